import { randomUUID } from 'node:crypto'
import { Cluster, Redis } from 'ioredis'
import t from 'tap'
import { createScripts, REDIS_TIME } from '../../cache/redis-scripts.ts'
import { channelOf, createRedisStore } from '../../cache/redis-store.ts'
import type { Lease, Store } from '../../cache/store.ts'
import type { RedisClient } from '../../lib/redis-scripts-runner.ts'
import { redisUrl, startRedis } from '../helpers/redis.ts'
import { startRedisCluster } from '../helpers/redis-cluster.ts'
import { until } from '../helpers/services/until.ts'
import { virtualScripts, withPrefix } from '../helpers/virtual-redis.ts'
import { testStoreContract } from './store-contract.ts'

const LIFETIME = { ttlMs: 60_000, keepForMs: 120_000 }
const COOL_DOWN = { firstMs: 20_000, maxMs: 60_000 }
const LEASE_MS = 30_000

const single = new Redis(await redisUrl())
const cluster = await startRedisCluster()
const many = new Cluster(cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })))
t.teardown(async () => {
  single.disconnect()
  many.disconnect()
  await cluster.stop()
})

const newPrefix = () => `test:${randomUUID()}`
const storeOn = (client: RedisClient, prefix: string, scripts = createScripts()) =>
  withPrefix(createRedisStore({ client, prefix, nonce: randomUUID, scripts }), prefix)

const acquire = (store: Store, options = {}) =>
  store.acquire('a', { token: randomUUID(), leaseMs: LEASE_MS, ...options })

async function takeLease(store: Store, options = {}): Promise<Lease> {
  const acquired = await acquire(store, options)
  if (acquired.state !== 'lease') throw new Error(`expected a lease, got ${acquired.state}`)
  return acquired.lease
}

for (const [where, client] of [['one Redis', single] as const, ['a Cluster of three masters', many] as const]) {
  t.test(`on ${where}, with a virtual clock`, (t) =>
    testStoreContract(t, async () => {
      const prefix = newPrefix()
      const advance = async (ms: number) => {
        await client.incrby(`{${prefix}}:now`, ms)
      }
      await advance(1_000_000)
      return { store: storeOn(client, prefix, virtualScripts), advance }
    }),
  )

  t.test(`on ${where}: when the clock of Redis goes back, what remains is never more than was given`, async (t) => {
    const prefix = newPrefix()
    const advance = (ms: number) => client.incrby(`{${prefix}}:now`, ms)
    const store = storeOn(client, prefix, virtualScripts)
    await advance(100_000_000)
    const hourBack = () => advance(-3_600_000)

    const dead = await takeLease(store)
    await hourBack()
    t.match(await acquire(store), { state: 'wait', retryAfterMs: LEASE_MS })
    await advance(LEASE_MS)
    const next = await takeLease(store)
    t.equal(await store.renew('a', dead, LEASE_MS), false)
    t.equal(await store.renew('a', next, LEASE_MS), true)
    await hourBack()
    t.equal(await store.renew('a', next, LEASE_MS), true, 'the holder keeps its lease')

    t.match(await store.fail('a', next, COOL_DOWN), { coolDownMs: COOL_DOWN.firstMs })
    await hourBack()
    t.match(await acquire(store), { state: 'cooling', retryAfterMs: COOL_DOWN.firstMs })
    await advance(COOL_DOWN.firstMs)
    const after = await takeLease(store)

    t.equal(await store.commit('a', after, Buffer.from('one'), LIFETIME), 'stored')
    t.match(await acquire(store), { state: 'hit' })
    await hourBack()
    const stale = await acquire(store)
    t.match(stale, { state: 'lease', found: { ageMs: 0, ttlMs: 0 } }, 'its age is unknown: it is stale')
    if (stale.state === 'lease') await store.fail('a', stale.lease, COOL_DOWN)
    await advance(LIFETIME.keepForMs)
    t.match(await acquire(store), { state: 'lease', found: undefined }, 'and it is gone when its time has passed')

    t.equal(await store.invalidate('hard', 'change'), true)
    await hourBack()
    t.equal(await store.invalidate('hard', 'change'), true, 'a cause is not remembered for an hour')
    t.equal(await store.invalidate('hard', 'change'), false)
  })

  t.test(`on ${where}: Redis drops a value that is not read again`, async (t) => {
    const prefix = newPrefix()
    const store = storeOn(client, prefix)
    const expiresInMs = () => client.pttl(`{${prefix}}:a`)
    await store.commit('a', await takeLease(store), Buffer.from('one'), { ...LIFETIME, unreadForMs: 5_000 })
    t.ok((await expiresInMs()) <= 5_000)
    t.match(await acquire(store), { state: 'hit' })
    const expires = await expiresInMs()
    t.ok(expires > LIFETIME.ttlMs && expires <= LIFETIME.keepForMs)
    await store.commit('a', await takeLease(store, { force: true }), Buffer.from('two'), LIFETIME)
    t.ok((await expiresInMs()) > LIFETIME.ttlMs)
  })

  t.test(`on ${where}: every byte is stored unchanged`, async (t) => {
    const store = storeOn(client, newPrefix())
    const all = Uint8Array.from({ length: 1024 }, (_, index) => index % 256)
    // A view into a larger buffer: only the bytes of the view are stored.
    const value = all.subarray(3, 900)
    t.equal(await store.commit('a', await takeLease(store), value, LIFETIME), 'stored')
    const { found } = await acquire(store)
    t.same(Buffer.from(found?.value ?? []), Buffer.from(value))
  })

  t.test(`on ${where}: scripts are loaded again after Redis lost them`, async (t) => {
    const store = storeOn(client, newPrefix())
    const nodes = client instanceof Cluster ? client.nodes('master') : [client]
    // The flush removes the scripts of all tests on this server; their clients load them again, too.
    const forget = () => Promise.all(nodes.map((node) => node.script('FLUSH')))
    await forget()
    const lease = await takeLease(store)
    await forget()
    t.equal(await store.renew('a', lease, LEASE_MS), true)
    await forget()
    t.equal(await store.commit('a', lease, Buffer.from('one'), LIFETIME), 'stored')
    await forget()
    await store.invalidate('soft')
    const next = await takeLease(store)
    await forget()
    t.match(await store.fail('a', next, COOL_DOWN), { coolDownMs: COOL_DOWN.firstMs })
  })

  t.test(`on ${where}: a lost generation is never current again`, async (t) => {
    const prefix = newPrefix()
    const store = storeOn(client, prefix)
    await store.commit('a', await takeLease(store), Buffer.from('old'), LIFETIME)
    const lease = await takeLease(store, { force: true })
    await client.del(`{${prefix}}:gen`)
    t.equal(await store.generation(), undefined)
    t.equal(await store.renew('a', lease, LEASE_MS), false)
    t.match(await store.fail('a', lease, COOL_DOWN), { coolDownMs: 0, found: undefined })
    t.equal(await store.commit('a', lease, Buffer.from('old'), LIFETIME), 'forgotten')
    t.match(await acquire(store), { state: 'lease', found: undefined }, 'and a new one is made')
    t.equal(await store.commit('a', lease, Buffer.from('old'), LIFETIME), 'forgotten')
    t.match(await store.generation(), /^[^.]+\.[^.]+\.\w+$/)
    await store.invalidate('soft')
    t.equal(await store.commit('a', lease, Buffer.from('old'), LIFETIME), 'forgotten')
    await store.invalidate('hard')
    t.equal(await store.commit('a', lease, Buffer.from('old'), LIFETIME), 'outdated-hard')
    await client.del(`{${prefix}}:gen`)
    await store.invalidate('soft')
    t.match(await acquire(store), { state: 'lease', found: undefined }, 'a soft end of a lost one is a hard one')
  })

  t.test(`on ${where}: all keys are in one slot, and only the generation never expires`, async (t) => {
    const prefix = newPrefix()
    const store = storeOn(client, prefix)
    await store.commit('a', await takeLease(store), Buffer.from('one'), LIFETIME)
    await store.fail('a', await takeLease(store, { force: true }), COOL_DOWN)
    await store.acquire('b', { token: 'b', leaseMs: LEASE_MS })
    t.equal(await store.invalidate('soft', 'why'), true)
    const expiry: Record<string, number> = {}
    for (const key of await keysOf(client, prefix)) expiry[key.slice(prefix.length + 2)] = await client.pttl(key)
    t.strictSame(Object.keys(expiry).sort(), [':a', ':a:cool', ':b:lease', ':cause:soft:why', ':gen', ':pace'])
    const { ':gen': forEver, ...others } = expiry
    t.equal(forEver, -1)
    t.ok(Object.values(others).every((ms) => ms > 0 && ms <= COOL_DOWN.firstMs + 2 * COOL_DOWN.maxMs))
    const slots = new Set(
      await Promise.all(
        Object.keys(expiry).map((key) => client.cluster('KEYSLOT', `{${prefix}}${key}`).catch(() => 0)),
      ),
    )
    t.equal(slots.size, 1)
  })
}

t.test('the store works with every option of a host’s client', async (t) => {
  const url = await redisUrl()
  const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
  const plain = new Redis(url)
  const clients: Record<string, RedisClient & { disconnect(): void }> = {
    'auto-pipelining': new Redis(url, { enableAutoPipelining: true }),
    'auto-pipelining on a Cluster': new Cluster(nodes, { enableAutoPipelining: true }),
    'a key prefix': new Redis(url, { keyPrefix: 'host:' }),
    'nothing but callBuffer': {
      callBuffer: (command, ...args) => plain.callBuffer(command, ...args),
      disconnect: () => plain.disconnect(),
    },
  }
  for (const [what, client] of Object.entries(clients)) {
    t.teardown(() => client.disconnect())
    const scripts = createScripts(`-- ${randomUUID()}\n${REDIS_TIME}`)
    const store = storeOn(client, newPrefix(), scripts)
    const all = await Promise.all([acquire(store), acquire(store), acquire(store)])
    t.strictSame(all.map(({ state }) => state).sort(), ['lease', 'wait', 'wait'], what)
    const [first] = all
    t.equal(await store.generation(), first.generation, what)
    await store.invalidate('hard')
    t.equal(await store.commit('a', await takeLease(store), Buffer.from('one'), LIFETIME), 'stored', what)
    t.match(await acquire(store), { state: 'hit' }, what)
  }
})

t.test("by Redis' own clock values and leases expire, and their keys are removed", async (t) => {
  const prefix = newPrefix()
  const store = storeOn(single, prefix)
  const lease = await takeLease(store)
  t.equal(await store.commit('a', lease, Buffer.from('one'), { ttlMs: 150.5, keepForMs: 300.5 }), 'stored')
  const hit = await acquire(store)
  t.match(hit, { state: 'hit', generation: lease.generation })
  await until(async () => (await acquire(store, { force: true, leaseMs: 60.5 })).state === 'lease', 'leased by force')
  await until(async () => (await acquire(store, { leaseMs: 60.5 })).state === 'lease', 'stale, and the lease ran out')
  await until(async () => (await keysOf(single, prefix)).length === 2, 'all but the generation and the pace')
  t.match(await acquire(store), { state: 'lease', found: undefined })
})

t.test('a clock of Redis that goes back, or a pace that is lost, makes no change wait', async (t) => {
  const prefix = newPrefix()
  const store = storeOn(single, prefix, virtualScripts)
  const advance = (ms: number) => single.incrby(`{${prefix}}:now`, ms)
  const change = async (change = {}) => (await store.invalidateForChange('hard', change)).state
  await advance(10_000_000)
  await store.commit('a', await takeLease(store), Buffer.from('one'), { ...LIFETIME, loadedInMs: 9000 })
  t.equal(await change({ cause: 'a' }), 'ended')
  t.equal(await change(), 'paced')
  await advance(-3_600_000)
  t.equal(await change({ cause: 'a' }), 'ended', 'that of an hour ahead')
  t.match(await store.invalidateForChange('hard', {}), { state: 'paced', pauseMs: 1000 })
  const { ends } = await store.invalidateForChange('hard', {})
  await single.del(`{${prefix}}:pace`)
  t.equal(await change({ after: ends }), 'ended', 'what it had seen to end is forgotten')
  await single.del(`{${prefix}}:gen`)
  t.equal(await change(), 'ended', 'nothing is current')
  await single.set(`{${prefix}}:pace`, 'not ours')
  t.equal(await change(), 'ended')
  t.equal(await store.commit('a', await takeLease(store), Buffer.from('one'), LIFETIME), 'stored')
  t.ok((await single.pttl(`{${prefix}}:pace`)) > 0, 'it is gone soon')
})

t.test('a snapshot of Redis that is restored does not make a change known that it has not applied', async (t) => {
  const prefix = newPrefix()
  const store = storeOn(single, prefix, virtualScripts)
  const key = (name: string) => `{${prefix}}:${name}`
  for (let count = 0; count < 3; count += 1) await store.invalidate('hard')
  const snapshot = await Promise.all(
    ['gen', 'pace'].map(async (name) => [name, await single.dumpBuffer(key(name))] as const),
  )
  await store.invalidateForChange('hard', {})
  const { ends } = await store.invalidateForChange('hard', {})
  for (const [name, dump] of snapshot) await single.restore(key(name), 0, dump ?? '', 'REPLACE')
  const before = await store.generation()
  const applied = await store.invalidateForChange('hard', { after: ends })
  t.equal(applied.state, 'ended')
  t.not(await store.generation(), before)
})

t.test('commits and invalidations are published on the channel', async (t) => {
  const prefix = newPrefix()
  const store = storeOn(single, prefix)
  const subscriber = single.duplicate()
  t.teardown(() => subscriber.disconnect())
  const heard: string[] = []
  subscriber.on('message', (_channel, message) => heard.push(message))
  await subscriber.subscribe(channelOf(single, prefix))
  await store.commit('a', await takeLease(store), Buffer.from('one'), LIFETIME)
  await store.invalidate('hard')
  await until(() => heard.length === 2, 'both are heard')
  t.strictSame(heard, [`committed {${prefix}}:a`, 'invalidated'])
})

t.test('a full Redis still invalidates, and one key of another type does not harm the others', async (t) => {
  const redis = await startRedis({ args: ['--maxmemory-policy', 'noeviction'] })
  t.teardown(redis.stop)
  const client = new Redis(redis.url)
  t.teardown(() => client.disconnect())
  const prefix = newPrefix()
  const store = storeOn(client, prefix)
  await store.commit('a', await takeLease(store), Buffer.from('old'), LIFETIME)
  await client.config('SET', 'maxmemory', '1')
  t.match(await acquire(store), { state: 'hit' }, 'a full Redis still serves')
  await t.rejects(acquire(store, { force: true }), /OOM/)
  const before = await store.generation()
  t.equal(await store.invalidate('hard', 'full'), true)
  t.not(await store.generation(), before)
  await t.rejects(acquire(store), /OOM/, 'no older value is served')
  await client.config('SET', 'maxmemory', '0')
  t.match(await acquire(store), { state: 'lease', found: undefined })
})

t.test('an error of Redis other than a missing script is thrown', async (t) => {
  const prefix = newPrefix()
  await single.set(`{${prefix}}:a`, 'not ours', 'PX', LEASE_MS)
  await t.rejects(acquire(storeOn(single, prefix)), /WRONGTYPE/)
  const odd: RedisClient = { callBuffer: () => Promise.reject('no error at all') }
  await t.rejects(storeOn(odd, prefix).generation())
  await t.rejects(acquire(storeOn(odd, prefix)))
})

async function keysOf(client: Redis | Cluster, prefix: string): Promise<string[]> {
  const nodes = client instanceof Cluster ? client.nodes('master') : [client]
  return (await Promise.all(nodes.map((node: Redis) => node.keys(`{${prefix}}:*`)))).flat()
}
