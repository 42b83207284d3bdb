import type { Test } from 'tap'
import { MAX_EPOCHS } from '../../cache/protocol.ts'
import type { Lease, Store } from '../../cache/store.ts'

/** A store under test, and a function that advances its time. */
export interface StoreUnderTest {
  store: Store
  advance(ms: number): Promise<void>
}

const bytes = (text: string) => Buffer.from(text)
const LIFETIME = { ttlMs: 1000, keepForMs: 5000 }
const COOL_DOWN = { firstMs: 100, maxMs: 350 }
const LEASE_MS = 300

/** The contract of every store: see `cache/store.ts`. */
export async function testStoreContract(t: Test, createStore: (t: Test) => Promise<StoreUnderTest>): Promise<void> {
  let tokens = 0
  const acquire = (store: Store, options: { force?: boolean } = {}) => {
    tokens += 1
    return store.acquire('a', { token: `t${tokens}`, leaseMs: LEASE_MS, ...options })
  }
  const takeLease = async (store: Store, options = {}): Promise<Lease> => {
    const acquired = await acquire(store, options)
    if (acquired.state !== 'lease') throw new Error(`expected a lease, got ${acquired.state}`)
    return acquired.lease
  }
  const put = async (store: Store, text: string) => store.commit('a', await takeLease(store), bytes(text), LIFETIME)

  await t.test('an entry that was never loaded is leased to one caller, and the others wait', async (t) => {
    const { store } = await createStore(t)
    await takeLease(store)
    const second = await acquire(store)
    t.match(second, { state: 'wait', found: undefined })
    t.ok(second.state === 'wait' && second.retryAfterMs > 0 && second.retryAfterMs <= LEASE_MS)
    t.match(await store.acquire('b', { token: 'other', leaseMs: LEASE_MS }), { state: 'lease' }, 'keys are apart')
  })

  await t.test('a committed value is a hit for its time to live, then stale, then gone', async (t) => {
    const { store, advance } = await createStore(t)
    t.equal(await put(store, 'one'), 'stored')
    const hit = await acquire(store)
    t.ok(hit.state === 'hit')
    t.same(Buffer.from(hit.found?.value ?? []).toString(), 'one')
    t.ok((hit.found?.ttlMs ?? 0) > 0 && (hit.found?.ttlMs ?? 0) <= 1000)
    await advance(1100)
    const stale = await acquire(store)
    t.equal(stale.state, 'lease')
    t.ok((stale.found?.ttlMs ?? 1) <= 0)
    t.ok((stale.found?.ageMs ?? 0) >= 1100)
    t.match(await acquire(store), { state: 'wait', found: { ttlMs: Number } }, 'a waiter sees the stale value too')
    await advance(4000)
    t.match(await acquire(store), { state: 'lease', found: undefined })
  })

  await t.test('a value that is not read again is gone soon; one that is read stays for its whole time', async (t) => {
    const { store, advance } = await createStore(t)
    const brief = { ...LIFETIME, unreadForMs: 400 }
    await store.commit('a', await takeLease(store), bytes('one'), brief)
    await advance(450)
    const gone = await acquire(store)
    t.match(gone, { state: 'lease', found: undefined }, 'fresh or not')
    if (gone.state === 'lease') await store.commit('a', gone.lease, bytes('two'), brief)
    await advance(300)
    t.match(await acquire(store), { state: 'hit' }, 'it is asked for again')
    await advance(500)
    t.match(await acquire(store), { state: 'hit' })
    await advance(3000)
    const stale = await acquire(store)
    t.match(stale, { state: 'lease', found: { ttlMs: Number } })
    if (stale.state !== 'lease') return
    await store.commit('a', stale.lease, bytes('three'), brief)
    t.match(await store.fail('a', stale.lease, COOL_DOWN), { found: { ttlMs: Number } })
    await advance(450)
    t.match(await acquire(store), { state: 'lease', found: undefined }, 'a failed load is no question for it')
  })

  await t.test('force skips a fresh value, and still respects a lease', async (t) => {
    const { store } = await createStore(t)
    await put(store, 'one')
    t.match(await acquire(store, { force: true }), { state: 'lease', found: { ttlMs: Number } })
    t.match(await acquire(store, { force: true }), { state: 'wait' })
    t.match(await acquire(store), { state: 'hit' }, 'readers are not bothered')
  })

  await t.test('a lease that is not renewed is free for the next; the late commit of the first is lost', async (t) => {
    const { store, advance } = await createStore(t)
    const dead = await takeLease(store)
    await advance(LEASE_MS + 50)
    const next = await takeLease(store)
    t.equal(await store.commit('a', dead, bytes('late'), LIFETIME), 'lost')
    t.equal(await store.renew('a', dead, LEASE_MS), false)
    t.match(await store.fail('a', dead, COOL_DOWN), { coolDownMs: 0 }, 'nor can it fail for the other')
    t.equal(await store.commit('a', next, bytes('next'), LIFETIME), 'stored')
  })

  await t.test('a late commit whose lease nobody took over is stored', async (t) => {
    const { store, advance } = await createStore(t)
    const late = await takeLease(store)
    await advance(LEASE_MS + 50)
    t.equal(await store.commit('a', late, bytes('late'), LIFETIME), 'stored')
  })

  await t.test('a late commit never replaces a value that was committed since', async (t) => {
    const { store, advance } = await createStore(t)
    await put(store, 'old')
    const late = await takeLease(store, { force: true })
    await advance(LEASE_MS + 50)
    const next = await takeLease(store, { force: true })
    t.equal(await store.commit('a', next, bytes('new'), LIFETIME), 'stored')
    await advance(10)
    t.equal(await store.commit('a', late, bytes('late'), LIFETIME), 'lost')
    const { found } = await acquire(store)
    t.equal(Buffer.from(found?.value ?? []).toString(), 'new')
    t.equal(found?.ageMs, 10)
    await store.invalidate('soft')
    t.equal(await store.commit('a', late, bytes('late'), LIFETIME), 'outdated')
    await store.invalidate('hard')
    t.equal(await store.commit('a', late, bytes('late'), LIFETIME), 'outdated-hard')
  })

  await t.test('a commit that is sent twice is stored once', async (t) => {
    const { store, advance } = await createStore(t)
    const lease = await takeLease(store)
    t.equal(await store.commit('a', lease, bytes('one'), LIFETIME), 'stored')
    await advance(10)
    t.equal(await store.commit('a', lease, bytes('one'), LIFETIME), 'stored')
    t.match(await acquire(store), { state: 'hit', found: { ageMs: 10 } }, 'the second has no effect')
    const next = await takeLease(store, { force: true })
    t.equal(await store.commit('a', lease, bytes('one'), LIFETIME), 'stored')
    t.equal(await store.renew('a', next, LEASE_MS), true, 'it ends no lease of another holder')
    t.equal(await store.commit('a', next, bytes('two'), LIFETIME), 'stored')
    t.equal(await store.commit('a', lease, bytes('one'), LIFETIME), 'lost')
    t.equal(Buffer.from((await acquire(store)).found?.value ?? []).toString(), 'two')
  })

  await t.test('a request for a lease that is sent twice gets the same lease', async (t) => {
    const { store } = await createStore(t)
    const request = { token: 'twice', leaseMs: LEASE_MS }
    const first = await store.acquire('a', request)
    t.match(first, { state: 'lease' })
    t.match(await store.acquire('a', request), first)
    t.match(await acquire(store), { state: 'wait' })
  })

  await t.test('a renewed lease holds', async (t) => {
    const { store, advance } = await createStore(t)
    const lease = await takeLease(store)
    for (let i = 0; i < 4; i += 1) {
      await advance(LEASE_MS / 2)
      t.equal(await store.renew('a', lease, LEASE_MS), true)
    }
    t.match(await acquire(store), { state: 'wait' })
  })

  await t.test('a failed load cools down, twice as long each time up to the longest, until a commit', async (t) => {
    const { store, advance } = await createStore(t)
    for (const coolDownMs of [100, 200, 350, 350]) {
      t.match(await store.fail('a', await takeLease(store), COOL_DOWN), { coolDownMs, found: undefined })
      const cooling = await acquire(store)
      t.ok(cooling.state === 'cooling' && cooling.retryAfterMs > 0 && cooling.retryAfterMs <= coolDownMs)
      await advance(coolDownMs + 20)
    }
    await put(store, 'one')
    t.match(await store.fail('a', await takeLease(store, { force: true }), COOL_DOWN), {
      coolDownMs: 100,
      found: { ttlMs: Number },
    })
  })

  await t.test(
    'a released lease is free for the next caller; a caller cannot release the lease of another',
    async (t) => {
      const { store } = await createStore(t)
      const lease = await takeLease(store)
      await store.release('a', { token: 'another token' })
      t.match(await acquire(store), { state: 'wait' })
      await store.release('a', lease)
      await takeLease(store)
      await store.release('a', lease)
      t.match(await acquire(store), { state: 'wait' })
      t.equal(await store.commit('a', lease, bytes('late'), LIFETIME), 'lost')
    },
  )

  await t.test('a series of failures is forgotten after a while', async (t) => {
    const { store, advance } = await createStore(t)
    await store.fail('a', await takeLease(store), COOL_DOWN)
    await advance(2000)
    t.match(await store.fail('a', await takeLease(store), COOL_DOWN), { coolDownMs: 100 })
  })

  await t.test('after a hard invalidation no older value is returned or stored', async (t) => {
    const { store } = await createStore(t)
    await put(store, 'old')
    const lease = await takeLease(store, { force: true })
    await store.invalidate('hard')
    t.equal(await store.renew('a', lease, LEASE_MS), false)
    t.equal(await store.commit('a', lease, bytes('old'), LIFETIME), 'outdated-hard')
    t.match(await store.fail('a', lease, COOL_DOWN), { coolDownMs: 0, found: undefined })
    t.match(await acquire(store), { state: 'lease', found: undefined }, 'the lease of the old generation is free')
  })

  await t.test('after a soft invalidation values are stale, and loads from before it are not stored', async (t) => {
    const { store } = await createStore(t)
    await put(store, 'old')
    const lease = await takeLease(store, { force: true })
    await store.invalidate('soft')
    t.equal(await store.commit('a', lease, bytes('old'), LIFETIME), 'outdated')
    const acquired = await acquire(store)
    t.equal(acquired.state, 'lease')
    t.same(Buffer.from(acquired.found?.value ?? []).toString(), 'old')
    t.ok((acquired.found?.ttlMs ?? 1) <= 0)
    await store.invalidate('hard')
    t.match(await acquire(store), { found: undefined }, 'hard after soft')
    t.equal(await put(store, 'new').catch(() => 'leased'), 'leased')
  })

  await t.test('after the invalidation of one key, no older value of it is returned or stored', async (t) => {
    const { store, advance } = await createStore(t)
    await put(store, 'old')
    const refreshing = await takeLease(store, { force: true })
    const other = await store.acquire('b', { token: 'other', leaseMs: LEASE_MS })
    await store.invalidateKey('a')
    t.equal(await store.renew('a', refreshing, LEASE_MS), false)
    t.equal(await store.commit('a', refreshing, bytes('old'), LIFETIME), 'outdated-hard')
    t.match(await store.fail('a', refreshing, COOL_DOWN), { coolDownMs: 0, found: undefined })
    const next = await acquire(store)
    t.match(next, { state: 'lease', found: undefined }, 'the lease from before it is free')
    t.equal(await store.commit('a', refreshing, bytes('old'), LIFETIME), 'outdated-hard', 'while another holder loads')
    if (next.state !== 'lease' || other.state !== 'lease') throw new Error('expected two leases')
    t.equal(await store.commit('a', next.lease, bytes('new'), LIFETIME), 'stored')
    t.equal(await store.commit('a', refreshing, bytes('old'), LIFETIME), 'outdated-hard', 'after it has stored a value')
    await advance(LIFETIME.keepForMs)
    t.equal(await store.commit('a', refreshing, bytes('old'), LIFETIME), 'outdated-hard', 'after that value is gone')
    t.equal(await store.commit('b', other.lease, bytes('b'), LIFETIME), 'stored', 'another key is not concerned')
    await store.fail('a', await takeLease(store), COOL_DOWN)
    t.match(await acquire(store), { state: 'cooling' })
    await store.invalidateKey('a')
    t.match(await acquire(store), { state: 'lease' }, 'a cool-down ends')
  })

  await t.test('a store that forgets invalidations of keys refuses the loads from before that', async (t) => {
    const { store } = await createStore(t)
    const lease = await takeLease(store)
    const other = await store.acquire('b', { token: 'other', leaseMs: LEASE_MS })
    await store.invalidateKey('a')
    const keys = Array.from({ length: MAX_EPOCHS }, (_none, index) => `key ${index}`)
    for (let from = 0; from < keys.length; from += 256)
      await Promise.all(keys.slice(from, from + 256).map((key) => store.invalidateKey(key)))
    t.equal(await store.commit('a', lease, bytes('old'), LIFETIME), 'outdated-hard')
    if (other.state !== 'lease') throw new Error('expected a lease')
    t.equal(await store.commit('b', other.lease, bytes('b'), LIFETIME), 'outdated-hard', 'though valid')
    t.equal(await put(store, 'new'), 'stored')
  })

  await t.test('a lease from before a hard and a soft invalidation is outdated hard', async (t) => {
    const { store } = await createStore(t)
    const lease = await takeLease(store)
    await store.invalidate('hard')
    await store.invalidate('soft')
    t.equal(await store.commit('a', lease, bytes('old'), LIFETIME), 'outdated-hard')
  })

  await t.test('a cause ends one generation in each mode, for every caller, for a minute', async (t) => {
    const { store, advance } = await createStore(t)
    t.equal(await store.invalidate('soft', 'a'), true)
    await put(store, 'new')
    const before = await store.generation()
    t.equal(await store.invalidate('soft', 'a'), false)
    t.equal(await store.generation(), before)
    t.match(await acquire(store), { state: 'hit' }, 'nothing has changed')
    t.equal(await store.invalidate('soft', 'b'), true, 'another cause')
    t.equal(await store.invalidate('hard', 'a'), true, 'soft is less than hard')
    t.match(await acquire(store), { state: 'lease', found: undefined })
    await advance(59_999)
    t.equal(await store.invalidate('hard', 'a'), false)
    await advance(1)
    t.equal(await store.invalidate('hard', 'a'), true, 'a minute later')
    t.equal(await store.invalidate('hard'), true, 'without a cause, always')
  })

  await t.test(
    'a change ends a generation at once, the next ones after a pause, and the first of those for all',
    async (t) => {
      const { store, advance } = await createStore(t)
      for (const [mode, pauseMs] of [['hard', 1000] as const, ['soft', 5000] as const]) {
        await advance(10_000)
        const first = await store.invalidateForChange(mode, { cause: `${mode} 1` })
        t.match(first, { state: 'ended', pauseMs })
        await store.commit('a', await takeLease(store), bytes('one'), { ttlMs: 4000, keepForMs: 60_000 })
        await advance(400)
        const same = await store.invalidateForChange(mode, { cause: `${mode} 1` })
        t.same(same, { ...first, state: 'known', pauseMs: pauseMs - 400 }, 'the change is known by its name')
        const other = await store.invalidateForChange(mode, { cause: `${mode} 2` })
        const another = await store.invalidateForChange(mode, {})
        t.same(other, { ...first, state: 'paced', pauseMs: pauseMs - 400 }, 'of another it is not known')
        t.same(another, other)
        t.match(await acquire(store), { state: 'hit' }, 'until then the value is served')
        await advance(pauseMs - 401)
        t.match(await store.invalidateForChange(mode, { cause: `${mode} 2` }), { state: 'paced', pauseMs: 1 })
        await advance(1)
        const ended = await store.invalidateForChange(mode, { cause: `${mode} 2` })
        t.same(ended, { state: 'ended', pauseMs, ends: first.ends + 1 })
        const late = await store.invalidateForChange(mode, { after: ended.ends })
        t.same(late, { ...ended, state: 'paced' }, 'a change after the end is not in it')
        const early = await store.invalidateForChange(mode, { after: other.ends })
        t.same(early, { ...ended, state: 'known' }, 'one that waited for it is')
        const acquired = await acquire(store)
        t.equal(acquired.state, 'lease')
        t.equal(acquired.found === undefined, mode === 'hard')
        await store.invalidate('hard')
      }
    },
  )

  await t.test('a hard change is a soft one, but not the other way round', async (t) => {
    const { store } = await createStore(t)
    t.match(await store.invalidateForChange('soft', {}), { state: 'ended', pauseMs: 5000 })
    const { ends } = await store.invalidateForChange('soft', {})
    t.match(await store.invalidateForChange('hard', {}), { state: 'ended', pauseMs: 1000 })
    t.match(await store.invalidateForChange('soft', {}), { state: 'paced', pauseMs: 5000 })
    t.match(await store.invalidateForChange('soft', { after: ends }), { state: 'known' })
    const hard = await store.invalidateForChange('hard', {})
    await store.invalidate('soft')
    t.match(await store.invalidateForChange('hard', { after: hard.ends }), { state: 'paced' })
  })

  await t.test(
    'an invalidation waits for no pause and begins none, and changes from before it are in it',
    async (t) => {
      const { store, advance } = await createStore(t)
      t.equal(await store.invalidate('hard', 'a'), true)
      t.match(await store.invalidateForChange('hard', { cause: 'a' }), { state: 'known', pauseMs: 0 })
      t.match(await store.invalidateForChange('hard', {}), { state: 'ended', pauseMs: 1000 })
      const { ends } = await store.invalidateForChange('hard', { cause: 'b' })
      await put(store, 'one')
      await advance(300)
      t.equal(await store.invalidate('hard'), true)
      t.match(await acquire(store), { state: 'lease', found: undefined })
      const applied = await store.invalidateForChange('hard', { cause: 'b', after: ends })
      t.same(applied, { state: 'known', pauseMs: 700, ends: ends + 1 })
      t.equal(await store.invalidate('hard', 'b'), true, 'to whom the change is not named it is not known')
    },
  )

  await t.test('the slowest load of two minutes makes the pause longer, up to half a minute', async (t) => {
    const { store, advance } = await createStore(t)
    const load = async (loadedInMs: number) =>
      store.commit('a', await takeLease(store, { force: true }), bytes('one'), { ...LIFETIME, loadedInMs })
    const pauseMs = async () => (await store.invalidateForChange('hard', {})).pauseMs
    await load(399)
    t.equal(await pauseMs(), 1000)
    await load(3001)
    t.equal(await pauseMs(), 7503, 'also that of the pause that runs')
    await load(1500)
    await advance(7502)
    t.match(await store.invalidateForChange('hard', {}), { state: 'paced', pauseMs: 1 })
    await advance(119_999 - 7502)
    t.equal(await pauseMs(), 7503)
    await load(1501)
    await advance(60_000)
    t.equal(await pauseMs(), 7503, 'a load of half the time says that loads are slow')
    await advance(60_000)
    t.equal(await pauseMs(), 1000)
    const late = await takeLease(store, { force: true })
    await store.invalidate('hard')
    const lifetime = { ...LIFETIME, loadedInMs: 50_000 }
    t.equal(await store.commit('a', late, bytes('late'), lifetime), 'outdated-hard')
    t.equal(await pauseMs(), 30_000, 'so does a load that comes too late')
    await advance(30_000)
    t.match(await store.invalidateForChange('soft', {}), { state: 'ended', pauseMs: 30_000 })
  })

  await t.test('an empty value is a value', async (t) => {
    const { store } = await createStore(t)
    await put(store, '')
    t.match(await acquire(store), { state: 'hit' })
  })
}
