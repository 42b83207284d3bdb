import { randomBytes } from 'node:crypto'
import { passwordsOf } from '../aws/tokens.ts'
import { createRedisStore } from '../cache/redis-store.ts'
import type { InvalidateMode } from '../cache/store.ts'
import type { Config } from '../config.ts'
import { codeOf, StartupError } from '../db/startup-error.ts'
import { createRedisClient } from '../plugins/redis.ts'

/**
 * Makes every list in a Redis outdated; running services notice within a second.
 * @throws StartupError when Redis did not confirm it.
 */
export async function invalidateInRedis(
  { redisUrl, redisCluster, iam, cache: { prefix } }: Config & { redisUrl: string },
  mode: InvalidateMode,
): Promise<void> {
  const client = createRedisClient(redisUrl, redisCluster, passwordsOf(iam).redisPassword)
  client.on('error', () => {})
  try {
    await client.connect()
    await createRedisStore({ client, prefix, nonce: () => randomBytes(9).toString('base64url') }).invalidate(mode)
  } catch (error) {
    const code = codeOf(error) || 'no answer'
    throw new StartupError(
      `Redis in REDIS_URL did not confirm the invalidation (${code}): check that it runs, then try again.`,
      { cause: error },
    )
  } finally {
    client.disconnect()
  }
}
