import type { Cluster, Redis } from 'ioredis'
import { passwordsOf } from '../aws/tokens.ts'
import { codeOf, StartupError } from '../lib/errors.ts'
import { createRedisClient } from '../lib/redis.ts'
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
  client.on('error', () => {})
  try {
    await client
      .connect()
      .catch(failWith((code) => `Redis in REDIS_URL could not be reached (${code}): check that it runs.`))
    return await work(client).catch(failWith(failed))
  } finally {
    client.disconnect()
  }
}

/** An error handler that throws a `StartupError` with the message `of` the error's code. */
function failWith(of: (code: string) => string): (error: unknown) => never {
  return (error) => {
    throw new StartupError(of(codeOf(error) || 'no answer'), { cause: error })
  }
}
