import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { recordChange } from '../../changes/revision.ts'
import popularPosts, { type PopularPostsOptions } from '../../index.ts'
import { servicesOf } from '../../plugins/popular-posts.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { redisUrl, startRedis } from '../helpers/redis.ts'
import { startRedisCluster } from '../helpers/redis-cluster.ts'
import { until } from '../helpers/services/until.ts'
import { startProxy } from '../helpers/tcp-proxy.ts'

/** Longer than the maximum idle time of a connection. */
const FROZEN_MS = 1_100
let prefixes = 0

async function createApp(t: Test, options: PopularPostsOptions): Promise<FastifyInstance> {
  const app = Fastify()
  prefixes += 1
  const prefix = `between-${process.pid}-${prefixes}`
  await app.register(popularPosts, { redisPrefix: prefix, backgroundWork: false, ...options })
  t.teardown(() => app.close())
  return app
}

/** A source that counts its loads. */
function counting() {
  const source = {
    loads: 0,
    async load() {
      source.loads += 1
      return [{ slug: `load-${source.loads}` }]
    },
  }
  return source
}

const how = async (app: FastifyInstance, path = '/posts/popular') =>
  (await app.inject(path)).headers['cache-status']?.toString().replace('popular-posts; ', '')

t.test('between requests without Redis and without our database', async (t) => {
  const source = counting()
  const app = await createApp(t, { load: source.load, ttlSeconds: 1 })
  t.equal(await how(app), 'fwd=miss; stored')
  await sleep(FROZEN_MS + 100)
  t.equal(await how(app), 'fwd=miss; stored', 'refreshed before the answer, not behind it')
  t.equal(source.loads, 2)
  await app.popularPosts.refreshCategories()
  t.equal(source.loads, 2, 'there is no list of categories')
  const other = await createApp(t, { load: source.load })
  await how(other)
  t.same(await other.popularPosts.refresh({}, { withinSeconds: 60 }), [{ slug: 'load-3' }], 'it is fresh enough')
})

t.test('a half-open connection to Redis is replaced within the request', async (t) => {
  const server = await startRedis()
  t.teardown(() => server.stop())
  const wire = await startProxy(t, server.port)
  const source = counting()
  const app = await createApp(t, { load: source.load, redisUrl: `redis://127.0.0.1:${wire.port}` })
  await until(async () => /^hit/.test(String(await how(app))), 'it is on Redis')
  const { loads } = source
  for (const broken of ['half-open', 'reset', 'closed'] as const) {
    await sleep(FROZEN_MS)
    wire.cut(broken)
    t.match(await how(app), /^hit/, broken)
  }
  t.equal(source.loads, loads)
})

t.test('a process that resumes reads the generation once', async (t) => {
  const server = await startRedis()
  t.teardown(() => server.stop())
  const source = counting()
  const app = await createApp(t, { load: source.load, redisUrl: server.url })
  const admin = new Redis(server.url)
  t.teardown(() => admin.quit())
  const scripts = async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0)
  await until(async () => /^hit/.test(String(await how(app))), 'it has a copy')
  const before = await scripts()
  t.match(await how(app), /^hit/)
  const perRequest = (await scripts()) - before
  for (const frozenMs of [FROZEN_MS, 0]) {
    await sleep(frozenMs)
    const start = await scripts()
    t.match(await how(app), /^hit/)
    t.equal((await scripts()) - start, perRequest, `suspended for ${frozenMs} ms`)
  }
  t.equal(perRequest, 1)
  await sleep(FROZEN_MS)
  const other = await createApp(t, {
    load: source.load,
    redisUrl: server.url,
    redisPrefix: `between-${process.pid}-${prefixes}`,
  })
  await other.popularPosts.invalidate('hard')
  t.match(await how(app), 'fwd=miss; stored', 'the generation that it read is another one')
  await sleep(FROZEN_MS)
  await admin.flushall()
  t.match(await how(app), 'fwd=miss; stored', 'Redis has no generation any more')
})

t.test('a lost Redis is probed in the foreground, once a second', async (t) => {
  const server = await startRedis()
  t.teardown(() => server.stop())
  const app = await createApp(t, { load: counting().load, redisUrl: server.url })
  await how(app)
  await server.stop()
  t.equal(await how(app, '/posts/popular?days=1'), 'fwd=bypass; detail=redis-down')
  t.ok(app.popularPosts.stats().isStoreDown)
  const again = await startRedis({ port: server.port })
  t.teardown(() => again.stop())
  await until(async () => {
    await how(app)
    return !app.popularPosts.stats().isStoreDown
  }, 'it is back')
})

t.test('a Cluster that does not reply after a thaw is reconnected', async (t) => {
  const cluster = await startRedisCluster()
  t.teardown(() => cluster.stop())
  const source = counting()
  const app = await createApp(t, { load: source.load, redisUrl: cluster.nodes.map(({ url }) => url).join() })
  await until(async () => /^hit/.test(String(await how(app))), 'it is on Redis')
  await sleep(FROZEN_MS)
  for (const node of cluster.nodes) await node.kill('SIGSTOP')
  t.equal((await app.inject('/posts/popular')).statusCode, 200, 'it does without')
  for (const node of cluster.nodes) await node.kill('SIGCONT')
  await until(async () => /^hit; ttl=\d{3}/.test(String(await how(app))), 'it is on Redis again')
})

t.test('the maintenance compares with the result of the last one, in any process', async (t) => {
  const { db } = await createTestDatabase(t)
  const url = await redisUrl()
  const prefix = `upkeep-${process.pid}`
  const app = await createApp(t, { db, redisUrl: url, redisPrefix: prefix })
  const { database, redis } = servicesOf(app)
  t.match(await database?.maintain(), { change: 'hard' }, 'it is not known since when nobody has looked')
  t.match(await database?.maintain(), { change: undefined })
  await recordChange(db, 'soft')
  const other = await createApp(t, { db, redisUrl: url, redisPrefix: prefix })
  t.match(await servicesOf(other).database?.maintain(), { change: 'soft' })
  t.match(await database?.maintain(), { change: undefined })
  t.equal(app.popularPosts.stats().invalidations + other.popularPosts.stats().invalidations, 2)
  await redis?.client.callBuffer('DEL', `{${prefix}}:revision`, `{${prefix}}:gen`)

  const events: string[] = []
  const durationsMs: number[] = []
  servicesOf(app).events.observe((event) => {
    events.push(event.type)
    if (event.type === 'invalidated') durationsMs.push(event.durationMs)
  })
  // With the wait for the copies of other processes, each takes a second at least. Without it a busy machine may be as slow once.
  for (let attempt = 1; attempt <= 5 && !durationsMs.some((ms) => ms < 1_000); attempt += 1) {
    await recordChange(db, 'hard')
    t.match(await database?.maintain(), { change: 'hard' })
  }
  t.ok(Math.min(...durationsMs) < 1_000, 'no wait before the refresh')
  t.equal(events.lastIndexOf('loaded') > events.lastIndexOf('invalidated'), true, 'the lists are refreshed after it')

  const alone = await createApp(t, { db })
  const without = servicesOf(alone).database
  t.match(await without?.maintain({ lists: [], categories: [] }), { change: undefined, lists: 0 })
})
