import { createRedisStore } from '../cache/redis-store.ts'
import type { InvalidateMode } from '../cache/store.ts'
import { nonce } from '../lib/nonce.ts'
import { type RedisConfig, withRedis } from './redis.ts'

/**
 * Invalidates every list in Redis; running services see it within a second.
 * @throws StartupError if Redis did not confirm the invalidation.
 */
export async function invalidateInRedis(config: RedisConfig, mode: InvalidateMode): Promise<void> {
  const { prefix } = config.cache
  await withRedis(
    config,
    (client) => createRedisStore({ client, prefix, nonce }).invalidate(mode),
    (code) => `Redis in REDIS_URL did not confirm the invalidation (${code}): check that it runs, then try again.`,
  )
}
