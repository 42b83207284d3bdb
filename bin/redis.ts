import type { Cluster, Redis } from 'ioredis'
import { passwordsOf } from '../aws/tokens.ts'
import { codeOf, StartupError } from '../lib/errors.ts'
import { createRedisClient } from '../lib/redis.ts'
import type { Config } from '../service/config.ts'

/** A configuration in which there is a Redis. */
export type RedisConfig = Config & { redisUrl: string }

/**
 * Works over a connection of its own, and closes it.
 * @param failed what is said when the work rejects, with the code of its error.
 * @throws StartupError
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

/** Throws what was thrown, as a sentence. */
function failWith(of: (code: string) => string): (error: unknown) => never {
  return (error) => {
    throw new StartupError(of(codeOf(error) || 'no answer'), { cause: error })
  }
}
