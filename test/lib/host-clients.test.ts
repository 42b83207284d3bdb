import { randomUUID } from 'node:crypto'
import fastifyRedis from '@fastify/redis'
import { Cluster, Command, Redis, type RedisOptions } from 'ioredis'
import t, { type Test } from 'tap'
import popularPosts, { type PopularPostsOptions } from '../../index.ts'
import type { HostRedis } from '../../lib/host-redis.ts'
import { openRedis } from '../../lib/redis.ts'
import { createBackend } from '../../lists/backend.ts'
import { fillBlog } from '../helpers/blog.ts'
import { cacheStatus, createLoggedApp, startLoggedApp } from '../helpers/logged-app.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { runProgram } from '../helpers/program.ts'
import { startRedis } from '../helpers/redis.ts'
import { startRedisCluster } from '../helpers/redis-cluster.ts'
import { redisCommand } from '../helpers/redis-command.ts'
import { until } from '../helpers/services/until.ts'

const READER = { method: 'POST', ip: '192.0.2.7', headers: { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/144.0' } }
const log = { debug() {}, info() {}, warn() {} }

const server = await startRedis()
t.teardown(() => server.stop())
const { db, url: databaseUrl } = await createTestDatabase(t)
await fillBlog(db, 3)

type HostOptions = Omit<RedisOptions, 'protocol' | 'replyMapping'>

function connect(t: Test, options: HostOptions | object = {}): Redis {
  const client = new Redis(server.port, options as HostOptions)
  client.on('error', () => {})
  t.teardown(async () => client.disconnect())
  return client
}

/** Options of a host's client that change its commands, its replies, or when it connects. */
const OPTIONS: Record<string, object> = {
  'the defaults': {},
  keyPrefix: { keyPrefix: 'app:' },
  'keyPrefix of bytes': { keyPrefix: Buffer.from('app:') },
  'keyPrefix with a hash tag': { keyPrefix: 'app{1}:' },
  stringNumbers: { stringNumbers: true },
  enableAutoPipelining: { enableAutoPipelining: true },
  'enableAutoPipelining, keyPrefix and stringNumbers': {
    enableAutoPipelining: true,
    keyPrefix: 'app:',
    stringNumbers: true,
  },
  lazyConnect: { lazyConnect: true },
  'lazyConnect without a queue': { lazyConnect: true, enableOfflineQueue: false },
  'no queue': { enableOfflineQueue: false },
  'maxRetriesPerRequest null': { maxRetriesPerRequest: null },
  'maxRetriesPerRequest 0': { maxRetriesPerRequest: 0 },
  'enableReadyCheck false': { enableReadyCheck: false },
  showFriendlyErrorStack: { showFriendlyErrorStack: true },
  'RESP 2': { protocol: 2 },
  'RESP 3 and its replies': { protocol: 3, replyMapping: 'resp3' },
  'RESP 3 with stringNumbers': { protocol: 3, replyMapping: 'resp3', stringNumbers: true },
  connectionName: { connectionName: 'mine' },
  'autoResubscribe false': { autoResubscribe: false },
  'a database': { db: 3 },
}

for (const [name, options] of Object.entries(OPTIONS)) {
  t.test(`a host's client with ${name}: lists, views and messages are shared`, async (t) => {
    await redisCommand(server.port, 'FLUSHALL')
    await redisCommand(server.port, 'SCRIPT', 'FLUSH')
    const plugin = () => ({ databaseUrl, viewFlushSeconds: 0, redis: connect(t, options) as HostRedis })
    const [one, other] = [await startLoggedApp(t, plugin()), await startLoggedApp(t, plugin())]
    t.match(await cacheStatus(one.app), 'fwd=miss; stored')
    t.match(await cacheStatus(other.app), /^hit; ttl=N/)
    const record = ({ app }: typeof one, ip: string) =>
      app.postViews.record({ slug: 'post-1', request: { ...READER, ip } })
    t.equal(await record(one, '192.0.2.1'), 'counted')
    t.equal(await record(other, '192.0.2.1'), 'repeat')
    t.equal(await record(other, '192.0.2.2'), 'counted')
    t.match(await one.app.postViews.flush(), { views: 2 })
    await other.app.popularPosts.invalidate()
    t.equal(other.app.popularPosts.stats().invalidations, 1)
    t.match(await cacheStatus(one.app), 'fwd=miss; stored')
    t.same([...one.warnings(), ...other.warnings()], [])
  })
}

const cluster = await startRedisCluster()
t.teardown(() => cluster.stop())
const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }))

/** Clients of a host over which a process gets the messages of another one. */
const LISTENERS: Record<string, () => Redis | Cluster> = {
  'no keyPrefix': () => new Redis(server.port),
  'a keyPrefix': () => new Redis(server.port, { keyPrefix: 'app:' }),
  'a keyPrefix, of a Cluster': () => new Cluster(nodes, { keyPrefix: 'app:' }),
  'a keyPrefix of the nodes of a Cluster': () => new Cluster(nodes, { redisOptions: { keyPrefix: 'app:' } }),
}

for (const [name, create] of Object.entries(LISTENERS)) {
  t.test(`a commit wakes the waiters of its key: ${name}`, async (t) => {
    const prefix = randomUUID()
    async function member() {
      const client = create() as HostRedis
      const redis = await openRedis({ client, bootBudgetMs: 2_000 }, log)
      const backend = createBackend({ prefix, backgroundWork: true, redis, observe: () => {}, log })
      t.teardown(async () => {
        backend.close()
        await redis.close()
        client.disconnect()
      })
      const heard: string[] = []
      backend.listen((message) => heard.push(message))
      await until(() => heard.includes('invalidated'), 'it listens')
      heard.length = 0
      return { store: backend.store, heard }
    }
    const [one, other] = [await member(), await member()]
    const key = `{${prefix}}:10:30`
    const acquired = await one.store.acquire(key, { token: 'one', leaseMs: 5_000 })
    t.equal(acquired.state, 'lease')
    if (acquired.state !== 'lease') return
    const lifetime = { ttlMs: 60_000, keepForMs: 60_000 }
    t.equal(await one.store.commit(key, acquired.lease, Buffer.from('list'), lifetime), 'stored')
    await until(() => other.heard.length > 0, 'the other process hears of it')
    t.same(other.heard, [`committed ${key}`])
  })
}

t.test('two environments with one prefix and a keyPrefix each share nothing', async (t) => {
  const prefix = randomUUID()
  const start = (keyPrefix: string) =>
    startLoggedApp(t, {
      redisPrefix: prefix,
      load: async () => [{ slug: keyPrefix }],
      redis: connect(t, { keyPrefix }) as HostRedis,
    })
  const [staging, live] = [await start('staging:'), await start('live:')]
  for (const { app } of [staging, live]) t.match(await cacheStatus(app), 'fwd=miss; stored')
  t.same((await live.app.inject('/posts/popular')).json(), [{ slug: 'live:' }])
  await staging.app.popularPosts.invalidate()
  t.match(await cacheStatus(live.app), /^hit/)
})

t.test('the command line reaches the keys of a client with keyPrefix, and says where there are none', async (t) => {
  const prefix = randomUUID()
  const { app } = await startLoggedApp(t, {
    redisPrefix: prefix,
    redis: connect(t, { keyPrefix: 'app:' }) as HostRedis,
  })
  t.match(await cacheStatus(app), 'fwd=miss; stored')
  const invalidate = async (CACHE_PREFIX: string) => {
    const env = { REDIS_URL: server.url, CACHE_PREFIX }
    const program = runProgram(t, 'bin/popular-posts.ts', { args: ['invalidate'], env })
    t.equal(await program.ended(), 0, program.stderr())
    return program.stdout()
  }
  t.match(
    await invalidate(prefix),
    `There was nothing to invalidate: no process has used REDIS_URL with the prefix "${prefix}". Check both; for a client whose keyPrefix is "app:", CACHE_PREFIX is app:{${prefix}}.`,
  )
  t.match(await cacheStatus(app), /^hit/)
  t.equal(await invalidate(`app:{${prefix}}`), 'All lists are outdated (hard).\n')
  await until(async () => (await cacheStatus(app)) === 'fwd=miss; stored', 'the list is loaded again')
})

t.test('a prefix with braces of its own is the beginning of all keys', async (t) => {
  const prefix = `app:{${randomUUID()}}`
  const options = { databaseUrl, viewFlushSeconds: 0, redisUrl: server.url, redisPrefix: prefix }
  await redisCommand(server.port, 'FLUSHALL')
  const { app, warnings } = await startLoggedApp(t, options)
  t.match(await cacheStatus(app), 'fwd=miss; stored')
  t.equal(await app.postViews.record({ slug: 'post-1', request: READER }), 'counted')
  const keys = await connect(t).keys('*')
  t.ok(keys.length >= 5, 'generation, lists, buffer, visitor, salt')
  t.same(
    keys.filter((key) => !key.startsWith(`${prefix}:`)),
    [],
  )
  t.same(warnings(), [])
  for (const wrong of ['{a}{b}', 'a{b}c', 'a{}', '{', 'a}', 'a{b', `{${'a'.repeat(99)}}`, ''])
    await t.rejects(
      Promise.resolve(createLoggedApp(t).app.register(popularPosts, { load: async () => [], redisPrefix: wrong })),
      {
        code: 'PP_INVALID_OPTIONS',
        message: /redisPrefix: expected 1 to 100 characters without spaces, with one pair of braces/,
      },
      wrong,
    )
})

t.test('transformers of a host for arguments and replies do not reach the commands', async (t) => {
  const commands = ['get', 'set', 'hget', 'hgetall', 'hmget', 'publish', 'call']
  for (const name of commands) {
    Command.setReplyTransformer(name, () => 'transformed')
    Command.setArgumentTransformer(name, () => ['transformed'])
  }
  t.teardown(async () => {
    for (const name of commands) {
      Command.setReplyTransformer(name, (reply: unknown) => reply)
      Command.setArgumentTransformer(name, (args: unknown[]) => args)
    }
  })
  const options = { databaseUrl, redisPrefix: randomUUID(), viewFlushSeconds: 0, redis: connect(t) as HostRedis }
  const { app, warnings } = await startLoggedApp(t, options)
  t.match(await cacheStatus(app), 'fwd=miss; stored')
  t.equal(await app.postViews.record({ slug: 'post-1', request: READER }), 'counted')
  t.match(await app.postViews.flush(), { views: 1 })
  await app.popularPosts.invalidate()
  t.match(await cacheStatus(app), 'fwd=miss; stored')
  t.same(warnings(), [])
})

t.test("apps leave no listener on a host's client, and Node.js warns of none", async (t) => {
  const warnings: string[] = []
  const onWarning = ({ name }: Error) => warnings.push(name)
  process.on('warning', onWarning)
  t.teardown(async () => process.off('warning', onWarning))
  for (const [name, client] of [
    ['a client', connect(t)],
    ['a Cluster', new Cluster(nodes)],
  ] as const) {
    t.teardown(async () => client.disconnect())
    const listeners = () => Object.fromEntries(client.eventNames().map((event) => [event, client.listenerCount(event)]))
    if (client.status !== 'ready') await new Promise<void>((resolve) => client.once('ready', () => resolve()))
    const before = listeners()
    const options = (index: number): PopularPostsOptions => ({
      load: async () => [{ slug: 'a' }],
      redisPrefix: `app-${index % 3}`,
      redis: client as HostRedis,
    })
    await t.test(`${name}: one after the other`, async (t) => {
      for (let index = 0; index < 60; index += 1) {
        const { app } = await startLoggedApp(t, options(index))
        t.equal((await app.inject('/posts/popular')).statusCode, 200)
        await app.close()
      }
      t.same(listeners(), before)
    })
    await t.test(`${name}: at once`, async (t) => {
      const apps = await Promise.all(
        Array.from({ length: 60 }, async (_none, index) => (await startLoggedApp(t, options(index))).app),
      )
      t.equal(client.listenerCount('ready'), (before['ready'] ?? 0) + 1)
      await Promise.all(apps.map((app) => app.close()))
      t.same(listeners(), before)
    })
    await t.test(`${name}: registration fails`, async (t) => {
      const { app } = createLoggedApp(t)
      const register = () => app.register(popularPosts, { ...options(0), databaseUrl: 'postgres://127.0.0.1:9/none' })
      await register()
      await t.rejects(Promise.resolve(register()))
      await app.close()
      t.same(listeners(), before)
    })
  }
  t.same(warnings, [])
})

t.test('the client of @fastify/redis, with a keyPrefix', async (t) => {
  const { app, warnings } = createLoggedApp(t)
  await app.register(fastifyRedis, { url: server.url, keyPrefix: 'shop:' })
  await app.register(popularPosts, { load: async () => [{ slug: 'a' }], redisPrefix: randomUUID(), redis: '' })
  t.match(await cacheStatus(app), 'fwd=miss; stored')
  t.match(await cacheStatus(app), /^hit/)
  t.same(warnings(), [])
})
