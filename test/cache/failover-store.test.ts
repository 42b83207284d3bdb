import t from 'tap'
import type { CacheEvent } from '../../cache/events.ts'
import { createFailoverStore } from '../../cache/failover-store.ts'
import { createMemoryStore } from '../../cache/memory-store.ts'
import type { Lease, Store } from '../../cache/store.ts'
import { createNames, createVirtualClock } from '../helpers/virtual-clock.ts'

const LIFETIME = { ttlMs: 60_000, keepForMs: 120_000 }
const COOL_DOWN = { firstMs: 500, maxMs: 5000 }
const bytes = (text: string) => Buffer.from(text)

/** `frozen`: commands run after the thaw; `deaf`: they run, too, but the replies are lost with the connection. */
type Reach = 'up' | 'silent' | 'refusing' | 'frozen' | 'deaf'

/** A failover store over a shared store that replies, is silent, refuses, or is frozen. */
function setUp({ isOutage = (_error: unknown): boolean => true } = {}) {
  const clock = createVirtualClock()
  const nonce = createNames()
  const shared = createMemoryStore({ clock, nonce })
  const events: string[] = []
  let reach: Reach = 'up'
  let asked = 0
  const held: (() => void)[] = []
  const thaw = () => new Promise<void>((resolve) => held.push(resolve))
  const gate = async <T>(work: () => Promise<T>): Promise<T> => {
    asked += 1
    if (reach === 'up') return work()
    if (reach === 'frozen') return thaw().then(work)
    if (reach === 'deaf') {
      await thaw()
      await work()
      throw new Error('ECONNRESET')
    }
    if (reach === 'silent') return new Promise(() => {})
    throw new Error('ECONNREFUSED')
  }
  const primary: Store = {
    acquire: (key, request) => gate(() => shared.acquire(key, request)),
    commit: (key, lease, value, lifetime) => gate(() => shared.commit(key, lease, value, lifetime)),
    renew: (key, lease, leaseMs) => gate(() => shared.renew(key, lease, leaseMs)),
    fail: (key, lease, coolDown) => gate(() => shared.fail(key, lease, coolDown)),
    release: (key, lease) => gate(() => shared.release(key, lease)),
    invalidate: (mode, cause) => gate(() => shared.invalidate(mode, cause)),
    invalidateKey: (key) => gate(() => shared.invalidateKey(key)),
    invalidateForChange: (mode, change) => gate(() => shared.invalidateForChange(mode, change)),
    generation: () => gate(() => shared.generation()),
  }
  const store = createFailoverStore({
    isOutage,
    primary,
    backup: createMemoryStore({ clock, nonce }),
    clock,
    deadlineMs: 150,
    retryAfterMs: 1000,
    localMs: 5000,
    observe: (event: CacheEvent) => events.push(event.type),
  })
  const acquire = (key = 'a') => store.acquire(key, { token: nonce(), leaseMs: 3000 })
  async function takeLease(key = 'a'): Promise<Lease> {
    const acquired = await acquire(key)
    if (acquired.state !== 'lease') throw new Error(`expected a lease, got ${acquired.state}`)
    return acquired.lease
  }
  /** Waits for `work` while it advances the time. Resolves to the duration. */
  async function duration(work: Promise<unknown>): Promise<number> {
    const startedAtMs = clock.now()
    let tookMs: number | undefined
    const end = () => {
      tookMs = clock.now() - startedAtMs
    }
    work.then(end, end)
    for (let i = 0; tookMs === undefined && i < 1000; i += 1) await clock.advance(1)
    return tookMs ?? Number.POSITIVE_INFINITY
  }
  return {
    clock,
    store,
    shared,
    events,
    acquire,
    takeLease,
    duration,
    asked: () => asked,
    set(next: Reach) {
      reach = next
      if (next === 'up') for (const resume of held.splice(0)) resume()
    },
  }
}

t.test('while the shared store replies, every command goes to it', async (t) => {
  const { store, shared, acquire, takeLease, events } = setUp()
  const lease = await takeLease()
  t.equal(lease.isLocal, undefined)
  t.equal(await store.renew('a', lease, 3000), true)
  t.equal(await store.commit('a', lease, bytes('one'), LIFETIME), 'stored')
  t.match(await acquire(), { state: 'hit', generation: await shared.generation() })
  t.match(await store.fail('a', lease, COOL_DOWN), { coolDownMs: 0, found: {} })
  t.equal(await store.generation(), await shared.generation())
  await store.invalidate('hard')
  t.match(await acquire(), { state: 'lease', found: undefined })
  t.equal(store.isDown(), false)
  t.strictSame(events, [])
})

t.test(
  'the store stops replying: only the first command waits for the timeout, and one event is emitted',
  async (t) => {
    const { set, store, acquire, duration, events, asked } = setUp()
    set('silent')
    const first = acquire()
    t.equal(await duration(first), 150)
    t.match(await first, { state: 'lease', generation: undefined, lease: { isLocal: true } })
    t.equal(store.isDown(), true)
    t.equal(await duration(acquire('b')), 0)
    t.match(await acquire(), { state: 'wait', generation: undefined }, 'one load at a time here, too')
    await t.rejects(store.generation(), /out of reach/)
    t.equal(asked(), 1)
    t.strictSame(events, ['store-down'])
  },
)

t.test('after retryAfterMs one command probes the store; the others use the fallback', async (t) => {
  const { set, clock, store, acquire, duration, events, asked } = setUp()
  set('refusing')
  await acquire()
  await clock.advance(999)
  await acquire()
  t.equal(asked(), 1)
  await clock.advance(1)
  set('silent')
  t.equal(await duration(acquire('b')), 0, 'nobody waits for the probe')
  t.match(await acquire('c'), { lease: { isLocal: true } }, 'while the probe is out')
  t.equal(asked(), 2)
  await clock.advance(150)
  await acquire()
  t.equal(asked(), 2, 'and again not for a while')
  await clock.advance(1000)
  set('up')
  t.match(await acquire('d'), { lease: { isLocal: true } }, 'the one that sets the probe off')
  await clock.advance(0)
  t.match(await acquire('e'), { generation: String, lease: { isLocal: undefined } })
  t.equal(store.isDown(), false)
  t.strictSame(events, ['store-down', 'store-still-down', 'store-up'])
})

t.test('a command that is refused by a store in reach takes the fallback, and opens no breaker', async (t) => {
  const { set, clock, store, acquire, events } = setUp({ isOutage: () => false })
  set('refusing')
  t.match(await acquire('a'), { lease: { isLocal: true } })
  t.match(await acquire('b'), { lease: { isLocal: true } })
  t.equal(store.isDown(), false)
  await clock.advance(600_000)
  await acquire('c')
  t.same([...new Set(events)], ['store-refused'])
})

t.test('a command from before the outage starts no second probe', async (t) => {
  const { set, clock, store, acquire, asked } = setUp()
  set('silent')
  const slow = acquire('a')
  await clock.advance(100)
  set('refusing')
  await acquire('b')
  set('silent')
  store.probeNow()
  await acquire('c')
  t.equal(asked(), 3)
  await clock.advance(50)
  await slow
  store.probeNow()
  await acquire('d')
  t.equal(asked(), 3)
  await clock.advance(100)
})

t.test('probeNow probes at once; a later failure of an older command does not open the breaker again', async (t) => {
  const { set, clock, store, acquire, events } = setUp()
  set('silent')
  const lost = acquire('a')
  await clock.advance(100)
  set('refusing')
  await acquire('b')
  t.equal(store.isDown(), true)
  set('up')
  t.match(await acquire('c'), { lease: { isLocal: true } })
  store.probeNow()
  await clock.advance(0)
  t.match(await acquire('d'), { lease: { isLocal: undefined } })
  await clock.advance(50)
  t.match(await lost, { lease: { isLocal: true } }, 'itself it is answered')
  t.equal(store.isDown(), false)
  t.strictSame(events, ['store-down', 'store-up'])
})

t.test('a value loaded during the outage is served for localMs, and not after the store is back', async (t) => {
  const { set, clock, store, acquire, takeLease } = setUp()
  set('refusing')
  const lease = await takeLease()
  t.equal(await store.renew('a', lease, 3000), true)
  t.equal(await store.commit('a', lease, bytes('local'), LIFETIME), 'stored')
  const hit = await acquire()
  t.match(hit, { state: 'hit', generation: undefined, found: { ttlMs: 5000 } })
  await clock.advance(4999)
  t.match(await acquire(), { state: 'hit' })
  await clock.advance(1)
  t.match(await acquire(), { state: 'lease', found: undefined })
  const again = await takeLease('b')
  await store.commit('b', again, bytes('local'), LIFETIME)
  set('up')
  store.probeNow()
  await clock.advance(0)
  t.match(await acquire('b'), { state: 'lease', lease: { isLocal: undefined }, found: undefined })
})

t.test('a local lease stays local when the store is back', async (t) => {
  const { set, clock, store, takeLease, asked } = setUp()
  set('refusing')
  const [committing, failing] = [await takeLease('a'), await takeLease('b')]
  set('up')
  store.probeNow()
  await clock.advance(0)
  const before = asked()
  t.equal(await store.renew('a', committing, 3000), true)
  t.equal(await store.commit('a', committing, bytes('local'), LIFETIME), 'stored')
  t.match(await store.fail('b', failing, COOL_DOWN), { coolDownMs: 500 })
  t.equal(asked(), before)
})

t.test('a lease of the shared store during an outage: a renewal reports it as held', async (t) => {
  const { set, clock, store, takeLease, acquire } = setUp()
  const lease = await takeLease()
  set('refusing')
  t.equal(await store.renew('a', lease, 3000), true)
  t.equal(await store.commit('a', lease, bytes('one'), LIFETIME), 'unconfirmed')
  t.match(await store.fail('a', lease, COOL_DOWN), { coolDownMs: 500, found: undefined })
  set('up')
  await clock.advance(1000)
  store.probeNow()
  await clock.advance(0)
  t.match(await acquire(), { lease: { isLocal: undefined } }, 'it was given back')
})

for (const reach of ['frozen', 'deaf'] as const) {
  t.test(`a lease granted after the timeout of its request is released (${reach})`, async (t) => {
    const { set, clock, store, acquire, duration, shared } = setUp()
    set(reach)
    const asked = acquire()
    await duration(asked)
    t.match(await asked, { lease: { isLocal: true } })
    await clock.advance(100)
    set('up')
    await clock.advance(0)
    if (reach === 'deaf') {
      t.match(await shared.acquire('a', { token: 'other', leaseMs: 3000 }), { state: 'wait' }, 'nobody knows of it yet')
      store.probeNow()
      await clock.advance(0)
    }
    t.match(await shared.acquire('a', { token: 'other', leaseMs: 3000 }), { state: 'lease' })
  })
}

t.test('a lease that cannot be released ends by itself', async (t) => {
  const { set, clock, acquire, duration, shared } = setUp()
  set('frozen')
  await duration(acquire())
  set('up')
  set('refusing')
  await clock.advance(0)
  t.match(await shared.acquire('a', { token: 'other', leaseMs: 3000 }), { state: 'wait' })
  await clock.advance(3000)
  t.match(await shared.acquire('a', { token: 'other', leaseMs: 3000 }), { state: 'lease' })
})

t.test('a commit that timed out may have been executed; its value stays', async (t) => {
  const { set, clock, store, acquire, takeLease, shared } = setUp()
  const lease = await takeLease()
  set('frozen')
  const commit = store.commit('a', lease, bytes('one'), LIFETIME)
  await clock.advance(150)
  t.equal(await commit, 'unconfirmed')
  set('up')
  await clock.advance(0)
  t.match(await shared.acquire('a', { token: 'other', leaseMs: 3000 }), { state: 'hit' }, 'it was stored after all')
  store.probeNow()
  await clock.advance(0)
  t.match(await acquire(), { state: 'hit' })
})

t.test(
  'an invalidation is confirmed by the shared store, or rejects; local values are dropped in any case',
  async (t) => {
    const { set, clock, store, acquire, takeLease, duration, events } = setUp()
    set('refusing')
    const under = await takeLease('b')
    await store.commit('a', await takeLease('a'), bytes('local'), LIFETIME)
    await t.rejects(store.invalidate('soft'), {
      code: 'PP_UNCONFIRMED',
      statusCode: 503,
      cause: Error,
      retryAfterMs: 1000,
    })
    t.equal(await store.commit('b', under, bytes('old'), LIFETIME), 'outdated-hard')
    t.match(await acquire('a'), { state: 'lease', found: undefined })
    await clock.advance(1000)
    set('silent')
    const silent = store.invalidate('hard')
    silent.catch(() => {})
    t.equal(await duration(silent), 150)
    await t.rejects(silent, { code: 'PP_UNCONFIRMED' })
    await clock.advance(1000)
    set('up')
    await store.invalidate('hard')
    t.strictSame(events, ['store-down', 'store-still-down', 'store-up'])
  },
)

t.test(
  'an invalidation of one key is confirmed by the shared store, or rejects; the local value is dropped',
  async (t) => {
    const { set, clock, store, acquire, takeLease } = setUp()
    set('refusing')
    await store.commit('a', await takeLease('a'), bytes('local'), LIFETIME)
    const under = await takeLease('b')
    for (const key of ['a', 'b'])
      await t.rejects(store.invalidateKey(key), { code: 'PP_UNCONFIRMED', statusCode: 503, cause: Error })
    t.match(await acquire('a'), { state: 'lease', found: undefined })
    t.equal(await store.commit('b', under, bytes('old'), LIFETIME), 'outdated-hard')
    await clock.advance(1000)
    set('up')
    await store.invalidateKey('a')
    t.equal(await store.commit('c', await takeLease('c'), bytes('new'), LIFETIME), 'stored')
    await store.invalidateKey('c')
    t.match(await acquire('c'), { state: 'lease', found: undefined })
  },
)

t.test('a known cause ends no generation, but local values are dropped', async (t) => {
  const { set, clock, store, shared, acquire, takeLease } = setUp()
  t.equal(await store.invalidate('hard', 'why'), true)
  set('refusing')
  await store.commit('a', await takeLease('a'), bytes('local'), LIFETIME)
  set('up')
  await clock.advance(1000)
  store.probeNow()
  await clock.advance(0)
  const before = await shared.generation()
  t.equal(await store.invalidate('hard', 'why'), false)
  t.equal(await shared.generation(), before)
  set('refusing')
  t.match(await acquire('a'), { state: 'lease', found: undefined })
})

t.test('a change is applied by the shared store at its pace, and own values are dropped when it is', async (t) => {
  const { set, clock, store, shared, acquire, takeLease } = setUp()
  const putLocally = async () => {
    set('refusing')
    await store.commit('a', await takeLease('a'), bytes('local'), LIFETIME)
    set('up')
    await clock.advance(1000)
    store.probeNow()
    await clock.advance(0)
  }
  const isLocalKept = async () => {
    set('refusing')
    const { state } = await acquire('a')
    return state === 'hit'
  }
  await putLocally()
  t.match(await store.invalidateForChange('hard', { cause: 'a' }), { state: 'ended', pauseMs: 1000 })
  t.equal(await isLocalKept(), false)
  await shared.invalidateForChange('hard', {})
  await clock.advance(100)
  const { ends } = await shared.invalidateForChange('hard', {})
  await clock.advance(3000)
  await putLocally()
  await shared.invalidateForChange('hard', {})
  t.match(await store.invalidateForChange('hard', { cause: 'b' }), { state: 'paced' })
  t.equal(await isLocalKept(), true, 'not yet')
  set('up')
  await clock.advance(1000)
  t.match(await store.invalidateForChange('hard', { after: ends }), { state: 'known' })
  t.equal(await isLocalKept(), false)
})

t.test('while the shared store is down, the retries of a change do not overtake each load', async (t) => {
  const { set, clock, store, takeLease } = setUp()
  set('refusing')
  const refused = () => t.rejects(store.invalidateForChange('hard', { cause: 'a' }), { code: 'PP_UNCONFIRMED' })
  const load = async () => {
    const lease = await takeLease()
    await clock.advance(800)
    await refused()
    await clock.advance(800)
    return store.commit('a', lease, bytes('local'), { ...LIFETIME, loadedInMs: 1600 })
  }
  await refused()
  await clock.advance(2000)
  t.equal(await load(), 'outdated-hard', 'the store does not know yet how slow it is')
  t.equal(await load(), 'stored')
})

t.test('a lease is released in the store that granted it, now or when that store replies again', async (t) => {
  const { acquire, clock, set, shared, store, takeLease } = setUp()
  const free = (key: string) => shared.acquire(key, { token: `free ${key}`, leaseMs: 3000 })
  await store.release('a', await takeLease('a'))
  t.match(await free('a'), { state: 'lease' })

  const lease = await takeLease('b')
  set('refusing')
  await store.release('b', lease)
  const local = await acquire('c')
  t.match(local, { state: 'lease', lease: { isLocal: true } })
  if (local.state === 'lease') await store.release('c', local.lease)
  t.match(await acquire('c'), { state: 'lease' }, 'also by the own store')
  t.match(await shared.acquire('b', { token: 'early', leaseMs: 3000 }), { state: 'wait' })

  set('up')
  store.probeNow()
  await clock.advance(0)
  t.match(await free('b'), { state: 'lease' })
})
