// A server of a fleet: server.ts <cache> <its Redis> <the Redis of the judge> <ttl, seconds> [compress] [alone].
// It serves `GET /posts/popular?limit=10&days=30` from the cache, on a free port (see `serve`), and records each query
// in the Redis of the judge. `compress`: with @fastify/compress, where the cache is not ours; `alone`: on its own core.
import { setTimeout as sleep } from 'node:timers/promises'
import compress from '@fastify/compress'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import popularPosts from '../../index.ts'
import { bindToCore, SERVER_CORE } from '../cores.ts'
import { POSTS } from '../fixtures/list.ts'
import { serve } from '../server-process.ts'
import { OURS, peers } from './peers.ts'
import { NO_CACHE } from './start-server.ts'

const [, , name = '', redisUrl = '', judgeUrl = '', ttl = '', ...more] = process.argv
if (more.includes('alone')) bindToCore(SERVER_CORE)
const judge = new Redis(judgeUrl)
const ttlSeconds = Number(ttl)
const staleSeconds = 600
const QUERY_MS = 300

async function load(days: number): Promise<typeof POSTS> {
  const startedAtMs = Date.now()
  await Promise.all([judge.incr(`loads:${days}`), sleep(QUERY_MS)])
  await judge.rpush(`queries:${days}`, JSON.stringify({ startedAtMs, endedAtMs: Date.now() }))
  return POSTS
}

/** Creates a function that gets a list by its window. */
async function createPeer(): Promise<(days: number) => Promise<typeof POSTS>> {
  if (name === NO_CACHE) return async () => sleep(QUERY_MS, POSTS)
  const create = peers[name]
  if (create === undefined) throw new Error(`expected one of ${Object.keys(peers)}, got ${name}`)
  const cache = await create({ redisUrl, ttlSeconds, staleSeconds, load: (key) => load(Number(key)) as never })
  return (days) => cache.get(String(days)) as Promise<typeof POSTS>
}

const app = Fastify()
if (name === OURS) {
  await app.register(popularPosts, { redisUrl, ttlSeconds, staleSeconds, load: ({ days }) => load(days) })
} else {
  if (more.includes('compress')) await app.register(compress)
  const get = await createPeer()
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
    async ({ query: { limit, days } }) => (await get(days)).slice(0, limit),
  )
}

process.on('unhandledRejection', () => {})
await judge.ping()
serve(Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port))
