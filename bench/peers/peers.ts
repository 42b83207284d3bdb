import { cachified } from '@epic-web/cachified'
import KeyvRedis from '@keyv/redis'
import { RedisMessageProvider } from '@qified/redis'
import { createCache } from 'async-cache-dedupe'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis'
import { Cacheable } from 'cacheable'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import popularPosts from '../../index.ts'

/** The operations of every cache in this comparison. */
interface Peer {
  get(key: string): Promise<unknown>
  invalidate(key: string): Promise<unknown>
}

interface PeerOptions {
  redisUrl: string
  load: (key: string) => Promise<{ version: string }[]>
  ttlSeconds: number
  staleSeconds: number
}

type Create = (options: PeerOptions) => Promise<Peer>

/** The client for every cache that takes an ioredis client: commands fail soon when Redis is down. */
function connect(redisUrl: string): Redis {
  const redis = new Redis(redisUrl, { maxRetriesPerRequest: 1, connectTimeout: 500, commandTimeout: 500 })
  redis.on('error', () => {})
  return redis
}

const ours: Create = async ({ redisUrl, load, ttlSeconds, staleSeconds }) => {
  const app = Fastify()
  await app.register(popularPosts, {
    redisUrl,
    ttlSeconds,
    staleSeconds,
    maxDays: 100,
    routes: false,
    // The key of a list is its window in days.
    load: ({ days }) => load(String(days)),
  })
  return {
    get: (key) => app.popularPosts.get({ days: Number(key) }),
    invalidate: () => app.popularPosts.invalidate('hard'),
  }
}

/** Two levels and a bus, as its documentation recommends; grace and a timeout of 0 are its stale-while-revalidate. */
const bentocache: Create = async ({ redisUrl, load, ttlSeconds, staleSeconds }) => {
  const store = bentostore()
    .useL1Layer(memoryDriver({ maxItems: 1000 }))
    .useL2Layer(redisDriver({ connection: connect(redisUrl) }))
    .useBus(redisBusDriver({ connection: connect(redisUrl).options }))
  const cache = new BentoCache({ default: 'lists', stores: { lists: store } })
  return {
    get: (key) =>
      cache.getOrSet({
        key,
        factory: () => load(key),
        ttl: ttlSeconds * 1000,
        grace: staleSeconds * 1000,
        timeout: 0,
      }),
    invalidate: (key) => cache.delete({ key }),
  }
}

const asyncCacheDedupe: Create = async ({ redisUrl, load, ttlSeconds, staleSeconds }) => {
  const cache = createCache({
    ttl: ttlSeconds,
    stale: staleSeconds,
    storage: { type: 'redis', options: { client: connect(redisUrl) } },
  }).define('list', (key: string) => load(key))
  return { get: (key) => cache.list(key), invalidate: (key) => cache.clear('list', key) }
}

const epicCachified: Create = async ({ redisUrl, load, ttlSeconds, staleSeconds }) => {
  const redis = connect(redisUrl)
  const cache = {
    name: 'redis',
    get: async (key: string) => JSON.parse((await redis.get(key)) ?? 'null'),
    set: (key: string, entry: object) => redis.set(key, JSON.stringify(entry), 'EX', ttlSeconds + staleSeconds),
    delete: (key: string) => redis.del(key),
  }
  return {
    get: (key) =>
      cachified({
        key,
        cache,
        getFreshValue: () => load(key),
        ttl: ttlSeconds * 1000,
        swr: staleSeconds * 1000,
      }),
    invalidate: (key) => cache.delete(key),
  }
}

/** Two levels with sync messages between processes. It has no stale values. */
const cacheable: Create = async ({ redisUrl, load, ttlSeconds }) => {
  const cache = new Cacheable({
    secondary: new KeyvRedis(redisUrl),
    ttl: ttlSeconds * 1000,
    sync: { qified: new RedisMessageProvider({ uri: redisUrl }) },
  })
  cache.on('error', () => {})
  return { get: (key) => cache.getOrSet(key, () => load(key)), invalidate: (key) => cache.delete(key) }
}

/** The name of this package. */
export const OURS = 'fastify-popular-posts'

export const peers: Record<string, Create> = {
  [OURS]: ours,
  bentocache,
  'async-cache-dedupe': asyncCacheDedupe,
  cachified: epicCachified,
  cacheable,
}
