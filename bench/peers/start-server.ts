import { startServer } from '../server-process.ts'

/** Starts `server.ts` over a cache. */
export const startPeer = (name: string, redisUrl: string, judgeUrl: string, ttlSeconds: number) =>
  startServer(new URL('server.ts', import.meta.url), [name, redisUrl, judgeUrl, String(ttlSeconds)])

/** The list as a request, of another window for each number. */
export const listRequest = (days: number) => `GET /posts/popular?limit=10&days=${days} HTTP/1.1\r\nhost: blog\r\n\r\n`
