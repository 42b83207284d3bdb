import type { Cluster, Redis } from 'ioredis'
import { passwordsOf } from '../aws/tokens.ts'
import { createConnectionErrors } from '../lib/connection-errors.ts'
import { StartupError } from '../lib/errors.ts'
import { loggedError } from '../lib/logged-error.ts'
import { createRedisClient } from '../lib/redis.ts'
import { isWrongRedis } from '../lib/wrong-redis.ts'
import type { Config } from '../service/config.ts'

/** A configuration with REDIS_URL. */
export type RedisConfig = Config & { redisUrl: string }

/**
 * Runs `work` with its own connection, and closes the connection.
 * @param failed the message if `work` rejects; gets the code of the error.
 * @throws StartupError if Redis cannot be reached, or `work` rejects.
 */
export async function withRedis<T>(
  { redisUrl, redisCluster, iam }: RedisConfig,
  work: (client: Redis | Cluster) => Promise<T>,
  failed: (code: string) => string,
): Promise<T> {
  const client = createRedisClient(redisUrl, redisCluster, passwordsOf(iam).redisPassword)
  const { add, causeOf } = createConnectionErrors()
  client.on('error', add).on('node error', add)
  /** An error handler that throws a `StartupError` with the message `of` the error's code. */
  const failWith =
    (of: (code: string) => string) =>
    (error: unknown): never => {
      const cause = causeOf(error)
      if (isWrongRedis(cause)) throw new StartupError(`REDIS_URL: ${cause.message}`, { cause })
      const { type, code = type } = loggedError(cause)
      throw new StartupError(of(String(code)), { cause })
    }
  try {
    await client
      .connect()
      .catch(failWith((code) => `Redis in REDIS_URL could not be reached (${code}): check that it runs.`))
    return await work(client).catch(failWith(failed))
  } finally {
    client.disconnect()
  }
}
