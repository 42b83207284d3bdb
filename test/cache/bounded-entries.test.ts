import { randomUUID } from 'node:crypto'
import { Cluster, Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { createRedisStore } from '../../cache/redis-store.ts'
import type { Lifetime, Store } from '../../cache/store.ts'
import { startRedis } from '../helpers/redis.ts'
import { startRedisCluster } from '../helpers/redis-cluster.ts'
import { virtualScripts } from '../helpers/virtual-redis.ts'

const MAX_BYTES = 100_000
/** Ten of them fit. */
const VALUE = Buffer.alloc(6_500)
const UNREAD: Lifetime = { ttlMs: 60_000, keepForMs: 7_200_000, unreadForMs: 120_000, isBounded: true }
const READ: Lifetime = { ttlMs: 60_000, keepForMs: 7_200_000, isBounded: true }
const RANK_0: Lifetime = { ttlMs: 60_000, keepForMs: 7_200_000 }

const server = await startRedis()
const single = new Redis(server.url)
const cluster = await startRedisCluster()
const many = new Cluster(cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })))
t.teardown(async () => {
  single.disconnect()
  many.disconnect()
  await server.stop()
  await cluster.stop()
})

async function setUp(client: Redis | Cluster, maxBoundedBytes = MAX_BYTES) {
  const prefix = `bounded-${randomUUID()}`
  const full = (name: string) => `{${prefix}}:${name}`
  const open = (): Store =>
    createRedisStore({ client, prefix, nonce: randomUUID, scripts: virtualScripts, maxBoundedBytes })
  const store = open()
  const acquire = (name: string) => store.acquire(full(name), { token: randomUUID(), leaseMs: 30_000, force: false })
  async function put(name: string, lifetime: Lifetime, value: Uint8Array = VALUE, by = store): Promise<void> {
    const acquired = await store.acquire(full(name), { token: randomUUID(), leaseMs: 30_000, force: true })
    if (acquired.state !== 'lease') throw new Error(`expected a lease, got ${acquired.state}`)
    await by.commit(full(name), acquired.lease, value, lifetime)
  }
  const advance = (ms: number) => client.incrby(full('now'), ms)
  await advance(1_700_000_000_000)
  return {
    prefix,
    full,
    store,
    open,
    put,
    acquire,
    advance,
    /** Which of these entries are in Redis. */
    async present(names: readonly string[]): Promise<string> {
      const there = await Promise.all(names.map(async (name) => (await client.exists(full(name))) === 1))
      return names.filter((_name, at) => there[at]).join(' ')
    },
    counted: async () => Number(await client.hget(full('index-bytes'), ':total')),
    index: async () => (await client.zrange(full('index'), '0', '-1')).map((name) => name.slice(prefix.length + 3)),
  }
}

const names = (letter: string, count: number) => Array.from({ length: count }, (_none, at) => `${letter}${at}`)

async function testBound(t: Test, client: Redis | Cluster): Promise<void> {
  await t.test('after a hard invalidation a commit drops 200 entries of before at most', async (t) => {
    const { put, store, index, present } = await setUp(client, 10_000_000)
    for (const name of names('old', 450)) await put(name, UNREAD, Buffer.alloc(10))
    await store.invalidate('hard')
    for (const [at, left] of [251, 52, 3].entries()) {
      await put(`new${at}`, UNREAD, Buffer.alloc(10))
      t.equal((await index()).length, left)
    }
    t.equal(await present(names('new', 3)), 'new0 new1 new2')
  })

  await t.test('the entry that ends first is dropped first', async (t) => {
    const { put, present, counted, advance } = await setUp(client)
    for (const name of names('a', 14)) {
      await put(name, UNREAD)
      await advance(1_000)
    }
    t.equal(await present(names('a', 14)), names('a', 14).slice(4).join(' '))
    t.ok((await counted()) <= MAX_BYTES)
  })

  await t.test('an entry that was read stays, while entries that were read once are dropped', async (t) => {
    const { put, acquire, present, advance } = await setUp(client)
    for (const name of names('read', 3)) await put(name, UNREAD)
    await put('refreshed', READ)
    for (const name of names('read', 3)) t.match(await acquire(name), { state: 'hit' })
    for (const name of names('a', 30)) {
      await put(name, UNREAD)
      await advance(1_000)
    }
    t.equal(await present([...names('read', 3), 'refreshed']), 'read0 read1 read2 refreshed')
    t.equal(await present(names('a', 30)), names('a', 30).slice(24).join(' '))
    for (const name of names('b', 30)) {
      await put(name, READ)
      await advance(1_000)
    }
    t.equal(await present([...names('read', 3), 'refreshed']), '', 'those whose load is the longest ago go')
    t.equal(await present(names('b', 30)), names('b', 30).slice(20).join(' '))
  })

  await t.test('a larger value drops as many as it needs, and a shorter one of the same entry none', async (t) => {
    const { put, present, counted, advance } = await setUp(client)
    for (const name of names('a', 10)) {
      await put(name, UNREAD)
      await advance(1_000)
    }
    await put('a9', UNREAD, Buffer.alloc(10))
    await put('small', UNREAD, Buffer.alloc(10))
    t.equal(await present(names('a', 10)), names('a', 10).join(' '))
    await put('large', UNREAD, Buffer.alloc(50_000))
    t.equal(await present([...names('a', 10), 'large']), 'a6 a7 a8 a9 large')
    const before = await counted()
    await put('large', UNREAD, Buffer.alloc(50_000))
    t.equal(await counted(), before, 'an entry counts once')
    await put('too-large', UNREAD, Buffer.alloc(MAX_BYTES))
    t.equal(await present([...names('a', 10), 'small', 'large', 'too-large']), 'too-large', 'the newest one stays')
  })

  await t.test('entries of rank 0 neither count nor go', async (t) => {
    const { put, acquire, present, index } = await setUp(client)
    for (const name of names('plain', 20)) await put(name, RANK_0)
    for (const name of names('a', 20)) await put(name, UNREAD)
    await acquire('plain0')
    t.equal(await present(names('plain', 20)), names('plain', 20).join(' '))
    t.equal((await index()).length, 10)
  })

  await t.test('after a hard invalidation the entries of before go first, also those that were read', async (t) => {
    const { store, put, present, index } = await setUp(client)
    for (const name of names('old', 8)) await put(name, READ)
    await store.invalidate('hard')
    await put('new0', UNREAD)
    t.equal(await present(names('old', 8)), '', 'without waiting for the bound')
    for (const name of names('new', 10)) await put(name, UNREAD)
    t.equal(await present(names('new', 10)), names('new', 10).join(' '))
    await store.invalidate('soft')
    await put('new0', UNREAD)
    t.equal((await index()).length, 10, 'a soft one drops none')
  })

  await t.test('entries that have ended are forgotten', async (t) => {
    const { put, index, counted, advance } = await setUp(client)
    for (const name of names('a', 5)) await put(name, UNREAD)
    const five = await counted()
    await advance(130_000)
    await put('b', UNREAD)
    t.same(await index(), ['b'])
    t.ok((await counted()) < five / 4)
  })

  await t.test('an entry that is read after it was chosen stays', async (t) => {
    const { prefix, full, put, acquire, present, advance } = await setUp(client)
    for (const name of names('a', 10)) {
      await put(name, UNREAD)
      await advance(1_000)
    }
    // A reader comes between the two scripts of the commit.
    const slow = createRedisStore({
      prefix,
      nonce: randomUUID,
      maxBoundedBytes: MAX_BYTES,
      scripts: virtualScripts,
      client: {
        async callBuffer(command, ...args) {
          if (args[0] === virtualScripts.drop.sha) await acquire('a0')
          return client.callBuffer(command, ...args)
        },
      },
    })
    await put('b', UNREAD, VALUE, slow)
    t.equal(await present(['a0', 'a1', 'b']), 'a0 a1 b')
    await put('c', UNREAD)
    t.equal(await present(['a0', 'a1', 'a2', 'b', 'c']), 'a0 b c', 'the next commit drops others')
    t.equal(await client.exists(full('a0')), 1)
  })

  for (const lost of ['index', 'index-bytes']) {
    await t.test(`the bound holds again after Redis has lost ${lost}`, async (t) => {
      const { full, put, counted, present, index, advance } = await setUp(client)
      for (const name of names('a', 10)) await put(name, UNREAD)
      await client.del(full(lost))
      for (const name of names('b', 25)) {
        await put(name, UNREAD)
        await advance(1_000)
      }
      t.equal(await present(names('b', 25)), names('b', 25).slice(15).join(' '))
      t.equal((await index()).length, 10)
      t.ok((await counted()) <= MAX_BYTES && (await counted()) > MAX_BYTES / 2)
    })
  }
}

t.test('on one Redis', (t) => testBound(t, single))
t.test('on a Cluster of three masters', (t) => testBound(t, many))

t.test('the bound is one of the memory of Redis, for values of each size', async (t) => {
  for (const bytes of [0, 300, 6_500, 26_000, 84_000, 1_100_000]) {
    const maxBoundedBytes = Math.max(1_000_000, 20 * bytes)
    await single.flushall()
    const prefix = `memory-${bytes}`
    const store = createRedisStore({ client: single, prefix, nonce: randomUUID, maxBoundedBytes })
    const usedBytes = async () => Number(/used_memory:(\d+)/.exec(await single.info('memory'))?.[1])
    const before = await usedBytes()
    const count = Math.ceil((2 * maxBoundedBytes) / (bytes + 1_500))
    for (let at = 0; at < count; at += 1) {
      const key = `{${prefix}}:v2:50:${at}:category:${'c'.repeat(at % 200)}`
      const acquired = await store.acquire(key, { token: randomUUID(), leaseMs: 30_000 })
      if (acquired.state === 'lease') await store.commit(key, acquired.lease, Buffer.alloc(bytes, 'x'), UNREAD)
    }
    const share = ((await usedBytes()) - before) / maxBoundedBytes
    // The buffer of the connection has the last value, too.
    t.ok(share <= 1.05 && share > 0.5, `values of ${bytes} bytes: ${share.toFixed(2)} of the bound`)
  }
})
