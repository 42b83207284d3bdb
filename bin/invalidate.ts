import { createRedisStore } from '../cache/redis-store.ts'
import type { InvalidateMode } from '../cache/store.ts'
import { nonce } from '../lib/nonce.ts'
import { type RedisConfig, withRedis } from './redis.ts'

/**
 * Invalidates every list in Redis; running services see it within a second.
 * @returns whether a process has used this Redis with this prefix before.
 * @throws StartupError if Redis did not confirm the invalidation.
 */
export async function invalidateInRedis(config: RedisConfig, mode: InvalidateMode): Promise<boolean> {
  const { redisPrefix: prefix } = config.cache
  return withRedis(
    config,
    async (client) => {
      const store = createRedisStore({ client, prefix, nonce })
      const generation = await store.generation()
      await store.invalidate(mode)
      return generation !== undefined
    },
    (code) => `Redis in REDIS_URL did not confirm the invalidation (${code}): check that it runs, then try again.`,
  )
}
