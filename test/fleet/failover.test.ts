import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import { Cluster, Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { createRedisStore } from '../../cache/redis-store.ts'
import { type PopularPostsOptions, popularPosts } from '../../index.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { startRedisCluster } from '../helpers/redis-cluster.ts'
import { redisCommand } from '../helpers/redis-command.ts'
import { until } from '../helpers/services/until.ts'
import { startProxy } from '../helpers/tcp-proxy.ts'

// In these tests a replica is promoted, and the old master stays up.

async function startPair(t: Test): Promise<{ master: RedisServer; replica: RedisServer }> {
  const master = await startRedis()
  t.teardown(master.stop)
  const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(master.port)] })
  t.teardown(replica.stop)
  await until(async () => (await replicationOf(replica)).includes('master_link_status:up'), 'the replica is synced')
  return { master, replica }
}

/** The reply of a command, as JSON. */
async function ask({ url }: { url: string }, command: string, ...args: string[]): Promise<string> {
  const client = new Redis(url)
  return JSON.stringify(await client.call(command, ...args).finally(() => client.disconnect()))
}

const replicationOf = ({ port }: RedisServer) => redisCommand(port, 'INFO', 'replication')

/** The replica becomes the master. The old master follows it, or, with `isCutOff`, cannot reach it. */
async function failOver({ master, replica }: { master: RedisServer; replica: RedisServer }, { isCutOff = false } = {}) {
  await redisCommand(replica.port, 'REPLICAOF', 'NO', 'ONE')
  await redisCommand(master.port, 'REPLICAOF', '127.0.0.1', String(isCutOff ? 1 : replica.port))
}

/** An app whose list is the version of the blog. */
async function startApp(t: Test, blog: { version: number }, options: PopularPostsOptions) {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(popularPosts, { load: async () => [{ slug: `v${blog.version}` }], ...options })
  await app.ready()
  return {
    app,
    async read(): Promise<string> {
      const { statusCode, body } = await app.inject('/posts/popular')
      return statusCode === 200 ? String(JSON.parse(body)[0].slug) : String(statusCode)
    },
    isDown: () => app.popularPosts.backend().isDown,
  }
}

const clients = {
  'a client of its own': (_t: Test, port: number) => ({ redisUrl: `redis://127.0.0.1:${port}` }),
  'the client of the host': (t: Test, port: number) => {
    const redis = new Redis(port, '127.0.0.1')
    redis.on('error', () => undefined)
    t.teardown(() => redis.disconnect())
    return { redis }
  },
}
for (const [name, optionsFor] of Object.entries(clients)) {
  t.test(`${name}: the address leads to the new master, and the old connection to the old one`, async (t) => {
    const pair = await startPair(t)
    const wire = await startProxy(t, pair.master.port)
    const blog = { version: 1 }
    const one = await startApp(t, blog, optionsFor(t, wire.port))
    t.equal(await one.read(), 'v1')
    await failOver(pair)
    wire.leadTo(pair.replica.port)
    await until(async () => {
      t.equal(await one.read(), 'v1', 'no request fails')
      return (await ask(pair.replica, 'PUBSUB', 'CHANNELS')).includes('{blog:popular}:events')
    }, 'the subscriber is at the new master')
    await until(async () => {
      await one.read()
      return !one.isDown()
    }, 'the client is at the new master')
    const two = await startApp(t, blog, optionsFor(t, pair.replica.port))
    blog.version = 2
    await two.app.popularPosts.invalidate()
    t.equal(await one.read(), 'v2', 'an invalidation of another process counts')
    blog.version = 3
    await one.app.popularPosts.invalidate()
    t.equal(await two.read(), 'v3')
    t.equal(one.isDown(), false)
  })

  t.test(`${name}: a process that stays at the old master serves nothing that was withdrawn`, async (t) => {
    const pair = await startPair(t)
    const blog = { version: 1 }
    const left = await startApp(t, blog, { ...optionsFor(t, pair.master.port), ttlSeconds: 600 })
    t.equal(await left.read(), 'v1')
    await failOver(pair, { isCutOff: true })
    const others = await startApp(t, blog, { ...optionsFor(t, pair.replica.port), ttlSeconds: 600 })
    t.equal(await others.read(), 'v1')
    blog.version = 2
    await others.app.popularPosts.invalidate()
    const endMs = Date.now() + 3_000
    while (Date.now() < endMs) {
      t.equal(await left.read(), 'v2')
      await sleep(200)
    }
    t.equal(left.isDown(), true)
    await t.rejects(left.app.popularPosts.invalidate(), { code: 'PP_UNCONFIRMED' })
  })
}

t.test('Sentinel promotes a replica: the client of the host finds it, and the old master is left', async (t) => {
  const pair = await startPair(t)
  const sentinel = await startRedis({ isSentinel: true })
  t.teardown(sentinel.stop)
  await ask(sentinel, 'SENTINEL', 'MONITOR', 'blog', '127.0.0.1', String(pair.master.port), '1')
  const replicaPort = String(pair.replica.port)
  await until(
    async () => (await ask(sentinel, 'SENTINEL', 'REPLICAS', 'blog')).includes(replicaPort),
    'Sentinel knows the replica',
  )
  const redis = new Redis({ sentinels: [{ host: '127.0.0.1', port: sentinel.port }], name: 'blog' })
  redis.on('error', () => undefined)
  t.teardown(() => redis.disconnect())
  const blog = { version: 1 }
  const one = await startApp(t, blog, { redis })
  t.equal(await one.read(), 'v1')
  const failover = () =>
    ask(sentinel, 'SENTINEL', 'FAILOVER', 'blog').then(
      () => true,
      () => false,
    )
  await until(failover, 'Sentinel has found the replica to be good')
  await until(
    async () => (await ask(sentinel, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'blog')).includes(replicaPort),
    'Sentinel fails over',
  )
  blog.version = 2
  await until(async () => {
    t.match(await one.read(), /^v[12]$/, 'no request fails')
    return one.app.popularPosts.invalidate().then(
      () => true,
      () => false,
    )
  }, 'an invalidation is confirmed by the new master')
  t.equal(await one.read(), 'v2')
  await until(async () => {
    await one.read()
    return (await ask(pair.replica, 'HGET', '{blog:popular}:v2:50:30', 'bytes')).includes('v2')
  }, 'the list is in the new master')
})

t.test('a Cluster whose client reads from replicas: no operation of the store reaches a replica', async (t) => {
  const cluster = await startRedisCluster()
  t.teardown(() => cluster.stop())
  const prefix = `test:${randomUUID()}`
  const owner = cluster.nodes[await cluster.ownerOf(`{${prefix}}`)]
  const id = (await redisCommand(owner?.port ?? 0, 'CLUSTER', 'MYID')).trim()
  const replica = await cluster.addReplica(id)
  const url = owner?.url ?? ''
  await until(async () => (await ask({ url }, 'CLUSTER', 'SLOTS')).includes(String(replica.port)), 'it is known')
  const client = new Cluster([url], { scaleReads: 'slave' })
  t.teardown(() => client.disconnect())
  await client.get(`{${prefix}}:x`)
  t.equal(client.nodes('slave').length, 1)
  const store = createRedisStore({ client, prefix, nonce: randomUUID })
  await redisCommand(replica.port, 'CONFIG', 'RESETSTAT')
  const key = `{${prefix}}:a`
  const acquired = await store.acquire(key, { token: 'x', leaseMs: 1000 })
  if (acquired.state === 'lease')
    await store.commit(key, acquired.lease, Buffer.from('one'), { ttlMs: 60_000, keepForMs: 60_000 })
  const generation = await store.generation()
  await store.invalidate('hard')
  t.not(await store.generation(), generation)
  t.notMatch(await redisCommand(replica.port, 'INFO', 'commandstats'), /cmdstat_(eval|evalsha|get):/)
})
