import { startRedis } from '../../test/helpers/redis.ts'
import { startServer } from '../server-process.ts'

/** The same route without a cache: every request waits as long as a query takes. */
export const NO_CACHE = 'no cache'

/** Starts `server.ts` over a cache. */
export const startPeer = (name: string, redisUrl: string, judgeUrl: string, ttlSeconds: number, more: string[] = []) =>
  startServer(new URL('server.ts', import.meta.url), [name, redisUrl, judgeUrl, String(ttlSeconds), ...more])

/** Starts {@link PROCESSES} servers over a cache, with their own Redis. */
export async function startPeers(name: string, judgeUrl: string, ttlSeconds: number) {
  const redis = await startRedis()
  const servers = await Promise.all(
    Array.from({ length: PROCESSES }, () => startPeer(name, redis.url, judgeUrl, ttlSeconds)),
  )
  return {
    ports: servers.map(({ port }) => port),
    async stop() {
      for (const server of servers) await server.stop()
      await redis.stop()
    },
  }
}

/** The number of servers that share a Redis. */
export const PROCESSES = 4

/** The request for a list of `days` days. */
export const listRequest = (days: number, headers = '') =>
  `GET /posts/popular?limit=10&days=${days} HTTP/1.1\r\nhost: blog\r\n${headers}\r\n`
