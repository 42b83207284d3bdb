// A server of a fleet: server.ts <contestant> <its Redis> <the Redis of the judge> <ttl, seconds>. `GET /posts/popular?limit=10&days=30` over
// the cache, on a free port that it tells by a message. To each message it answers with the processor time that it has used.
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import popularPosts from '../../index.ts'
import { POSTS } from '../list-of-the-bench.ts'
import { serve } from '../server-process.ts'
import { contestants } from './contestants.ts'

const [, , name = '', redisUrl = '', judgeUrl = '', ttl = ''] = process.argv
const judge = new Redis(judgeUrl)
const ttlSeconds = Number(ttl)
const staleSeconds = 600
const QUERY_MS = 300

async function load(days: number): Promise<typeof POSTS> {
  await Promise.all([judge.incr(`loads:${days}`), sleep(QUERY_MS)])
  return POSTS
}

const app = Fastify()
if (name === 'fastify-popular-posts') {
  await app.register(popularPosts, { redisUrl, ttlSeconds, staleSeconds, load: ({ days }) => load(days) })
} else {
  const create = contestants[name]
  if (create === undefined) throw new Error(`expected one of ${Object.keys(contestants)}, got ${name}`)
  const cache = await create({ redisUrl, ttlSeconds, staleSeconds, load: (key) => load(Number(key)) as never })
  const querystring = {
    type: 'object',
    properties: {
      limit: { type: 'integer', minimum: 1, maximum: 50, default: 10 },
      days: { type: 'integer', minimum: 0, maximum: 365, default: 30 },
    },
  }
  app.get<{ Querystring: { limit: number; days: number } }>(
    '/posts/popular',
    { schema: { querystring } },
    async ({ query: { limit, days } }) => ((await cache.get(String(days))) as typeof POSTS).slice(0, limit),
  )
}

process.on('unhandledRejection', () => {})
await judge.ping()
serve(Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port))
