// A host's program with `import`. Compiled by test/types.test.ts, against the declarations in the tarball.
import { metrics as openTelemetry } from '@opentelemetry/api'
import Fastify from 'fastify'
import popularPosts, {
  popularPosts as named,
  type PopularPost,
  type PopularPostsOptions,
  type PostViewsStats,
} from 'fastify-popular-posts'
import { type Cache, createCache } from 'fastify-popular-posts/cache'
import metrics, { metrics as namedMetrics } from 'fastify-popular-posts/metrics'
import { watchWithOpenTelemetry } from 'fastify-popular-posts/opentelemetry'
import { Redis } from 'ioredis'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { Registry } from 'prom-client'

const db = new Kysely<{ orders: { id: number } }>({ dialect: new PostgresDialect({ pool: new pg.Pool() }) })
const options: PopularPostsOptions = { db, redis: new Redis(), ttlSeconds: 900 }
const app = Fastify()
app.register(popularPosts, options)
app.register(named, { load: async ({ days, category }) => [{ slug: 'a', days, category }] })
app.register(metrics, { register: new Registry() })
app.register(namedMetrics, { register: new Registry() })
// @ts-expect-error -- a wrong option is an error of the compiler's
app.register(popularPosts, { ttlSeconds: '900' })
// @ts-expect-error -- not an object of anything
app.register(popularPosts, { db: {} })
// @ts-expect-error -- not a registry
app.register(metrics, { register: {} })

const cache: Cache = await createCache({ redis: new Redis(), log: app.log })
export const tags: { name: string; usedAt: string }[] = await cache.getOrSet(
  'tags',
  async () => [{ name: 'a', usedAt: new Date() }],
  { ttlSeconds: 60 },
)
export const own: string = await app.popularPosts.cache.getOrSet('a', () => 'a', { ttlSeconds: 60 })

export const stop: () => void = watchWithOpenTelemetry(openTelemetry.getMeter('host'))
export const posts: PopularPost[] = await app.popularPosts.get({ limit: 3 })
export const titles: string[] = posts.map(({ title }) => title)
export const views: PostViewsStats = app.postViews.stats()
// @ts-expect-error -- a host sees no decorator that is only for this package
export const backend = app.popularPostsBackend
// @ts-expect-error -- nor this one
export const redis = app.popularPostsRedis
// @ts-expect-error -- nor this one
export const database = app.popularPostsDatabase
