import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { createRedisStore } from '../../cache/redis-store.ts'
import type { Lease, Store } from '../../cache/store.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { redisCommand } from '../helpers/redis-command.ts'
import { until } from '../helpers/services/until.ts'
import { withPrefix } from '../helpers/virtual-redis.ts'

// A store that went back in time, and a node that is not the master any more.

const LIFETIME = { ttlMs: 60_000, keepForMs: 120_000 }
const OPTIONS = { maxRetriesPerRequest: 1, retryStrategy: () => 10 }

function connect(t: Test, { port }: { port: number }) {
  const client = new Redis(port, '127.0.0.1', OPTIONS)
  client.on('error', () => undefined)
  t.teardown(() => client.disconnect())
  return { client, store: withPrefix(createRedisStore({ client, prefix: 'blog', nonce: randomUUID }), 'blog') }
}

const acquire = (store: Store) => store.acquire('a', { token: randomUUID(), leaseMs: 30_000 })
async function put(store: Store, text: string): Promise<void> {
  const acquired = await acquire(store)
  if (acquired.state !== 'lease') throw new Error(`expected a lease, got ${acquired.state}`)
  await commit(store, acquired.lease, text)
}
const commit = (store: Store, lease: Lease, text: string) => store.commit('a', lease, Buffer.from(text), LIFETIME)

async function startReplicaOf(t: Test, { port }: RedisServer): Promise<RedisServer> {
  const replica = await startRedis({
    args: ['--replicaof', '127.0.0.1', String(port), '--repl-diskless-sync-delay', '0'],
  })
  t.teardown(replica.stop)
  await until(
    async () => (await redisCommand(replica.port, 'INFO', 'replication')).includes('link_status:up'),
    'synced',
  )
  return replica
}

t.test('a Redis that restarts from an older snapshot serves nothing from it', async (t) => {
  const first = await startRedis()
  t.teardown(first.stop)
  const { store } = connect(t, first)
  await put(store, 'withdrawn')
  const { generation } = await acquire(store)
  await redisCommand(first.port, 'SAVE')
  await store.invalidate('hard')
  await first.kill()
  const second = await startRedis({ port: first.port, directory: first.directory })
  t.teardown(second.stop)
  t.match(await redisCommand(second.port, 'GET', '{blog}:gen'), generation, 'the snapshot has the old generation')
  t.equal(await store.generation(), undefined, 'copies are not verified by it')
  const acquired = await acquire(store)
  t.match(acquired, { state: 'lease', found: undefined })
  const renewed = await store.generation()
  t.not(renewed, generation)
  t.equal(await acquire(store).then(({ state }) => state), 'wait', 'it is noticed once')
  t.equal(await store.generation(), renewed)
})

t.test('a replica that missed an invalidation, and is promoted, serves nothing from before', async (t) => {
  const master = await startRedis()
  t.teardown(master.stop)
  const replica = await startReplicaOf(t, master)
  const { store } = connect(t, master)
  await put(store, 'withdrawn')
  await redisCommand(master.port, 'WAIT', '1', '1000')
  await redisCommand(replica.port, 'REPLICAOF', '127.0.0.1', '1')
  await store.invalidate('hard')
  await redisCommand(replica.port, 'REPLICAOF', 'NO', 'ONE')
  const { store: promoted } = connect(t, replica)
  t.match(await acquire(promoted), { state: 'lease', found: undefined })
})

t.test('the same node, promoted for the second time, is noticed too', async (t) => {
  const first = await startRedis()
  t.teardown(first.stop)
  const second = await startReplicaOf(t, first)
  const { store } = connect(t, first)
  await put(store, 'one')
  // The second is the master for a while; the first has the scripts in its memory all the time.
  await redisCommand(second.port, 'REPLICAOF', 'NO', 'ONE')
  await redisCommand(first.port, 'REPLICAOF', '127.0.0.1', String(second.port))
  const isSynced = async () => (await redisCommand(first.port, 'INFO', 'replication')).includes('link_status:up')
  await until(isSynced, 'the first has become a replica')
  const { store: onSecond } = connect(t, second)
  await put(onSecond, 'two')
  await redisCommand(second.port, 'WAIT', '1', '1000')
  await redisCommand(first.port, 'REPLICAOF', '127.0.0.1', '1')
  await onSecond.invalidate('hard')
  await redisCommand(first.port, 'REPLICAOF', 'NO', 'ONE')
  t.match(await acquire(connect(t, first).store), { state: 'lease', found: undefined })
})

t.test('a replica is not the store: it answers nothing, whether its link is up or down', async (t) => {
  const master = await startRedis()
  t.teardown(master.stop)
  const replica = await startReplicaOf(t, master)
  const { store } = connect(t, master)
  await put(store, 'one')
  await redisCommand(master.port, 'WAIT', '1', '1000')
  for (const link of ['up', 'down']) {
    if (link === 'down') await redisCommand(replica.port, 'REPLICAOF', '127.0.0.1', '1')
    const { store: onReplica } = connect(t, replica)
    await t.rejects(acquire(onReplica), /READONLY/, link)
    await t.rejects(onReplica.generation(), /READONLY/, link)
    await t.rejects(onReplica.invalidate('hard'), /READONLY/, link)
    await t.rejects(onReplica.invalidateKey('a'), /READONLY/, link)
    await t.rejects(
      onReplica.renew('a', { token: 'x', generation: 'x', replaces: '', epoch: '' }, 1000),
      /READONLY/,
      link,
    )
  }
})

t.test('a master that may not write, because its replicas are gone, is not the store', async (t) => {
  const master = await startRedis()
  t.teardown(master.stop)
  const { store } = connect(t, master)
  await put(store, 'one')
  await redisCommand(master.port, 'CONFIG', 'SET', 'min-replicas-to-write', '1')
  await t.rejects(acquire(store), /NOREPLICAS/)
  await t.rejects(store.generation(), /NOREPLICAS/)
})

t.test('a client reconnects when its server has become a replica, but not again and again', async (t) => {
  const master = await startRedis()
  t.teardown(master.stop)
  const { client, store } = connect(t, master)
  await put(store, 'one')
  await redisCommand(master.port, 'REPLICAOF', '127.0.0.1', '1')
  let connects = 0
  client.on('connect', () => {
    connects += 1
  })
  await t.rejects(store.generation(), /READONLY/)
  await until(() => connects === 1 && client.status === 'ready', 'the client reconnects')
  for (let attempt = 0; attempt < 5; attempt += 1) await t.rejects(store.generation(), /READONLY/)
  t.equal(connects, 1)
})
