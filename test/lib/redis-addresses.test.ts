import { Cluster, Redis, type RedisOptions } from 'ioredis'
import t, { type Test } from 'tap'
import { freePort } from '../../db/embedded/server.ts'
import popularPosts, { type PopularPostsOptions } from '../../index.ts'
import { fillBlog } from '../helpers/blog.ts'
import { makeCertificate, tlsArguments } from '../helpers/certificate.ts'
import { cacheStatus, createLoggedApp, startLoggedApp } from '../helpers/logged-app.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { runProgram } from '../helpers/program.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { startRedisCluster } from '../helpers/redis-cluster.ts'
import { redisCommand } from '../helpers/redis-command.ts'
import { until } from '../helpers/services/until.ts'

const STORED = 'fwd=miss; stored'
const HIT = /^hit; ttl=N/
const READER = { method: 'POST', ip: '192.0.2.7', headers: { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/144.0' } }

async function start(t: Test, args: string[] = []): Promise<RedisServer> {
  const server = await startRedis({ args })
  t.teardown(() => server.stop())
  return server
}

function hostClient(t: Test, port: number, options: Omit<RedisOptions, 'protocol' | 'replyMapping'>): Redis {
  const client = new Redis(port, options)
  client.on('error', () => {})
  t.teardown(async () => client.disconnect())
  return client
}

/** The numbers of keys by database, as in `{ db3: 2 }`. */
async function keysOf({ port }: RedisServer): Promise<Record<string, number>> {
  const lines = await redisCommand(port, 'INFO', 'keyspace')
  return Object.fromEntries([...lines.matchAll(/(db\d+):keys=(\d+)/g)].map(([, db, keys]) => [db, Number(keys)]))
}

const connections = async ({ port }: RedisServer) =>
  (await redisCommand(port, 'CLIENT', 'LIST')).trim().split('\n').length

/** Ways to name a database that the server does not have. */
const MISSING: Record<string, (t: Test, server: RedisServer) => PopularPostsOptions | Promise<PopularPostsOptions>> = {
  'an index in redisUrl': (_t, { url }) => ({ redisUrl: `${url}/99` }),
  'the client of a host that is connected': async (t, { port }) => {
    const redis = hostClient(t, port, { db: 99 })
    await redis.ping()
    return { redis }
  },
  'the client of a host that is connecting': (t, { port }) => ({ redis: hostClient(t, port, { db: 99 }) }),
  'the lazy client of a host': (t, { port }) => ({ redis: hostClient(t, port, { db: 99, lazyConnect: true }) }),
  'the lazy client of a host, without a queue': (t, { port }) => ({
    redis: hostClient(t, port, { db: 99, lazyConnect: true, enableOfflineQueue: false }),
  }),
  'the client of a host, with automatic pipelines': (t, { port }) => ({
    redis: hostClient(t, port, { db: 99, enableAutoPipelining: true }),
  }),
}

for (const [name, optionsOf] of Object.entries(MISSING)) {
  t.test(`${name}: a database that the server lacks is refused, and database 0 stays empty`, async (t) => {
    const server = await start(t)
    const { app } = createLoggedApp(t)
    const options = await optionsOf(t, server)
    await t.rejects(Promise.resolve(app.register(popularPosts, { load: async () => [], ...options })), {
      code: 'PP_WRONG_REDIS',
      message:
        /^Expected a Redis that has the database 99, got one without it: correct the index, or raise "databases"/,
    })
    if (options.redisUrl !== undefined)
      await until(async () => (await connections(server)) === 1, 'the connections are closed')
    t.same(await keysOf(server), {})
  })
}

t.test('a Cluster has only database 0', async (t) => {
  const cluster = await startRedisCluster()
  t.teardown(() => cluster.stop())
  const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
  const redis = new Cluster(nodes, { redisOptions: { db: 1 } })
  redis.on('error', () => {})
  t.teardown(async () => redis.disconnect())
  for (const options of [{ redis }, { redisUrl: `${cluster.nodes[0]?.url}/1` }]) {
    const { app } = createLoggedApp(t)
    await t.rejects(Promise.resolve(app.register(popularPosts, { load: async () => [], ...options })), {
      code: 'PP_WRONG_REDIS',
      message: /database 1, .* \(a Cluster has only the database 0\)/,
    })
  }
  t.same(await cluster.command('DBSIZE'), ['0', '0', '0'])
})

t.test('a database that the server loses at a restart: named in the log, never database 0', async (t) => {
  const { db, url: databaseUrl } = await createTestDatabase(t)
  await fillBlog(db, 1)
  for (const kind of ['own', 'host'] as const) {
    await t.test(`the client is of the ${kind === 'own' ? 'plugin' : 'host'}`, async (t) => {
      const server = await start(t)
      const { port, url } = server
      const redis = kind === 'own' ? { redisUrl: `${url}/9` } : { redis: hostClient(t, port, { db: 9 }) }
      const { app, of } = await startLoggedApp(t, { databaseUrl, viewFlushSeconds: 0, ...redis })
      const view = (ip: string) => app.postViews.record({ slug: 'post-1', request: { ...READER, ip } })
      t.match(await cacheStatus(app), STORED)
      t.equal(await view('192.0.2.1'), 'counted')
      t.same(Object.keys(await keysOf(server)), ['db9'])
      await server.kill()
      const small = await startRedis({ port, args: ['--databases', '4'] })
      t.teardown(() => small.stop())
      const named = () =>
        [...of('store-down'), ...of('store-still-down')].filter(({ err }) => err?.code === 'PP_WRONG_REDIS')
      await until(async () => {
        await app.inject('/posts/popular?days=7')
        return named().length > 0
      }, 'the log names the cause')
      t.match(named()[0]?.err?.message, /database 9/)
      await t.rejects(app.popularPosts.invalidate(), { code: 'PP_UNCONFIRMED', cause: { code: 'PP_WRONG_REDIS' } })
      await view('192.0.2.2')
      t.same(await keysOf(small), {}, 'nothing is written')
      await small.kill()
      const large = await startRedis({ port })
      t.teardown(() => large.stop())
      await until(async () => {
        await app.inject('/posts/popular?days=7')
        return !app.popularPosts.stats().isStoreDown
      }, 'Redis is used again')
      await app.inject('/posts/popular?days=7')
      t.same(Object.keys(await keysOf(large)), ['db9'])
    })
  }
})

t.test('without the right to SELECT, nothing is written to database 0', async (t) => {
  const server = await start(t)
  await redisCommand(server.port, 'ACL', 'SETUSER', 'ann', 'on', '>pw', '~*', '&*', '+@all', '-select')
  const { app, of } = await startLoggedApp(t, { redisUrl: `redis://ann:pw@127.0.0.1:${server.port}/2` })
  t.equal((await app.inject('/posts/popular')).statusCode, 200)
  t.match(of('store-down'), [{ err: { code: 'NOPERM' } }])
  t.same(await keysOf(server), {})
})

t.test('a database that is there is used, by every command', async (t) => {
  const { db, url: databaseUrl, pool } = await createTestDatabase(t)
  await fillBlog(db, 1)
  const server = await start(t)
  const kinds: Record<string, (t: Test) => PopularPostsOptions> = {
    'of redisUrl': () => ({ redisUrl: `${server.url}/3` }),
    'of a host': (t) => ({ redis: hostClient(t, server.port, { db: 3 }) }),
    'of a host, with all that changes replies': (t) => ({
      redis: hostClient(t, server.port, { db: 3, stringNumbers: true, enableAutoPipelining: true }),
    }),
  }
  for (const [name, optionsOf] of Object.entries(kinds)) {
    await t.test(name, async (t) => {
      await redisCommand(server.port, 'FLUSHALL')
      await redisCommand(server.port, 'SCRIPT', 'FLUSH')
      await pool.query('delete from post_views_total')
      const options = { databaseUrl, viewFlushSeconds: 0, ...optionsOf(t) }
      const [one, other] = [await startLoggedApp(t, options), await startLoggedApp(t, options)]
      t.match(await cacheStatus(one.app), STORED)
      t.match(await cacheStatus(other.app), HIT)
      t.equal(await one.app.postViews.record({ slug: 'post-1', request: READER }), 'counted')
      t.equal(await other.app.postViews.record({ slug: 'post-1', request: READER }), 'repeat')
      t.match(await other.app.postViews.flush(), { views: 1 })
      await one.app.popularPosts.invalidate()
      t.match(await cacheStatus(other.app), STORED)
      t.same(Object.keys(await keysOf(server)), ['db3'])
      t.same([...one.warnings(), ...other.warnings()], [])
    })
  }
})

t.test('the programs name a database that is not there', async (t) => {
  const server = await start(t)
  const invalidate = runProgram(t, 'bin/popular-posts.ts', {
    args: ['invalidate'],
    env: { REDIS_URL: `${server.url}/99` },
  })
  t.equal(await invalidate.ended(), 1)
  t.match(invalidate.stderr(), /^REDIS_URL: Expected a Redis that has the database 99, .*\.\n$/)
  const { url } = await createTestDatabase(t)
  const service = runProgram(t, 'server.ts', { env: { DATABASE_URL: url, REDIS_URL: `${server.url}/99`, PORT: '0' } })
  t.equal(await service.ended(), 1)
  t.match(service.stderr(), /^REDIS_URL: Expected a Redis that has the database 99, .*\.\n$/)
  t.same(await keysOf(server), {})
})

t.test('a Sentinel in redisUrl is refused by name', async (t) => {
  const sentinel = await startRedis({ isSentinel: true })
  t.teardown(() => sentinel.stop())
  const { app } = createLoggedApp(t)
  await t.rejects(Promise.resolve(app.register(popularPosts, { load: async () => [], redisUrl: sentinel.url })), {
    code: 'PP_WRONG_REDIS',
    message: /for a Sentinel, pass a client as the option redis, new Redis\(\{ sentinels: /,
  })
})

t.test('an IPv6 address in brackets', async (t) => {
  const server = await start(t, ['--bind', '127.0.0.1', '::1'])
  const { app, warnings } = await startLoggedApp(t, { redisUrl: `redis://[::1]:${server.port}/2` })
  t.match(await cacheStatus(app), STORED)
  t.same(Object.keys(await keysOf(server)), ['db2'])
  t.same(warnings(), [])
})

t.test('rediss:// to an address: the certificate is compared with it', async (t) => {
  const certificate = await makeCertificate(t)
  const tlsPort = await freePort()
  await start(t, ['--bind', '127.0.0.1', '::1', ...tlsArguments(tlsPort, certificate)])
  for (const host of ['localhost', '127.0.0.1', '[::1]']) {
    const program = runProgram(t, 'bin/popular-posts.ts', {
      args: ['invalidate'],
      env: { REDIS_URL: `rediss://${host}:${tlsPort}`, NODE_EXTRA_CA_CERTS: certificate.certFile },
    })
    t.equal(await program.ended(), 0, `${host}: ${program.stderr()}`)
    t.equal(program.stderr(), '', 'Node.js warns of nothing')
  }
  const cluster = await startRedisCluster({ certificate })
  t.teardown(() => cluster.stop())
  const program = runProgram(t, 'bin/popular-posts.ts', {
    args: ['invalidate'],
    env: {
      REDIS_URL: `rediss://127.0.0.1:${cluster.tlsPorts[0]}`,
      REDIS_CLUSTER: 'true',
      NODE_EXTRA_CA_CERTS: certificate.certFile,
    },
  })
  t.equal(await program.ended(), 0, `a Cluster: ${program.stderr()}`)
  t.equal(program.stderr(), '')
})
