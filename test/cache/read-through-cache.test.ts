import t, { type Test } from 'tap'
import type { CacheEvent } from '../../cache/events.ts'
import { createCounts } from '../../cache/events.ts'
import { createMemoryStore } from '../../cache/memory-store.ts'
import { createReadThroughCache } from '../../cache/read-through-cache.ts'
import type { Store } from '../../cache/store.ts'
import { createNames, createVirtualClock, deferred } from '../helpers/virtual-clock.ts'
import { policy } from './policy.ts'

/** One or more processes over one store, with a virtual clock and no jitter (random is 0.5). */
function setUp(t: Test, { random = (): number => 0.5, wrap = (store: Store): Store => store } = {}) {
  const clock = createVirtualClock()
  const nonce = createNames()
  const store = wrap(createMemoryStore({ clock, nonce }))
  const events: CacheEvent[] = []
  const counts = createCounts()
  const createProcess = () =>
    createReadThroughCache({
      store,
      clock,
      random,
      nonce,
      policy,
      observe(event) {
        events.push(event)
        counts.count(event)
      },
    })
  const cache = createProcess()
  t.teardown(() => cache.settle())
  let version = 0
  /** Loads v1, v2, … */
  const load = async () => {
    version += 1
    return Buffer.from(`v${version}`)
  }
  const text = async (answer: Promise<{ value: Uint8Array }>) => Buffer.from((await answer).value).toString()
  return { clock, store, cache, createProcess, events, counts, load, text, loads: () => version }
}

t.test('1,000 readers of a cold entry start one load, and all get its value', async (t) => {
  const { cache, counts } = setUp(t)
  const loading = deferred<Uint8Array>()
  let loads = 0
  const answers = Promise.all(
    Array.from({ length: 1000 }, () =>
      cache.read('a', () => {
        loads += 1
        return loading.promise
      }),
    ),
  )
  loading.resolve(Buffer.from('list'))
  const all = await answers
  t.equal(loads, 1)
  t.equal(new Set(all.map((answer) => answer.value)).size, 1)
  t.equal(all[0]?.outcome, 'loaded')
  t.equal(all.filter((answer) => answer.outcome === 'collapsed').length, 999)
  t.match(counts.read(), { hits: 0, misses: 1000, loads: 1 })
})

t.test('an entry is a hit while it is fresh, with its age and its remaining time to live', async (t) => {
  const { cache, clock, load } = setUp(t)
  t.match(await cache.read('a', load), { outcome: 'loaded', ageMs: 0, ttlMs: 10_000 })
  await clock.advance(4_000)
  t.match(await cache.read('a', load), { outcome: 'hit', ageMs: 4_000, ttlMs: 6_000 })
})

t.test('peek returns a fresh copy of this process as a hit, never a stale value', async (t) => {
  for (const near of [undefined, { maxStaleMs: 1000 }]) {
    const { store, clock, events, load } = setUp(t)
    const cache = createReadThroughCache({
      store,
      clock,
      random: () => 0.5,
      nonce: createNames(),
      policy,
      near,
      observe: (event) => events.push(event),
    })
    t.equal(cache.peek('a'), undefined)
    t.strictSame(events, [])
    await cache.read('a', load)
    t.match(cache.peek('a'), { value: Buffer.from('v1'), ageMs: 0, ttlMs: 10_000 })
    t.strictSame(events.at(-1), { type: 'hit', key: 'a', durationMs: 0 })
    await clock.advance(10_000)
    const refreshing = deferred<Uint8Array>()
    t.match(await cache.read('a', () => refreshing.promise), { outcome: 'stale' })
    const before = events.length
    t.equal(cache.peek('a'), undefined)
    t.equal(events.length, before)
    t.match(await cache.read('a', load), { outcome: 'stale' })
    refreshing.resolve(Buffer.from('v2'))
    await cache.settle()
    t.match(cache.peek('a'), { value: Buffer.from('v2') })
  }
})

t.test('an expired entry is served stale at once, and refreshed once', async (t) => {
  const { cache, clock, events, text, createProcess, load } = setUp(t)
  await cache.read('a', load)
  await clock.advance(10_001)
  const refreshing = deferred<Uint8Array>()
  let refreshes = 0
  const refresh = () => {
    refreshes += 1
    return refreshing.promise
  }
  const others = [createProcess(), createProcess()]
  for (const process of [cache, ...others, cache]) {
    const answer = await process.read('a', refresh)
    t.match(answer, { outcome: 'stale', ttlMs: -1, ageMs: 10_001 })
    t.equal(Buffer.from(answer.value).toString(), 'v1')
  }
  t.equal(refreshes, 1)
  refreshing.resolve(Buffer.from('v2'))
  await cache.settle()
  t.equal(await text(cache.read('a', load)), 'v2')
  t.match(
    events.filter((event) => event.type === 'loaded').map((event) => event.why),
    ['load', 'refresh'],
  )
})

t.test('after its stale time an entry is loaded before it is served', async (t) => {
  const { cache, clock, load, text } = setUp(t)
  await cache.read('a', load)
  await clock.advance(30_001)
  t.equal(await text(cache.read('a', load)), 'v2')
})

t.test('the time to live is spread by ten percent either way', async (t) => {
  for (const [random, ttlMs] of [
    [0, 9_000],
    [0.5, 10_000],
    [1, 11_000],
  ] as const) {
    const { cache, load } = setUp(t, { random: () => random })
    t.equal(Math.round((await cache.read('a', load)).ttlMs), ttlMs)
  }
})

t.test('a failed load rejects for all waiting readers, and no process loads until the cool-down ends', async (t) => {
  const { cache, clock, events, load, text } = setUp(t)
  const loading = deferred<Uint8Array>()
  let loads = 0
  const failing = () => {
    loads += 1
    return loading.promise
  }
  const all = Promise.allSettled(Array.from({ length: 100 }, () => cache.read('a', failing)))
  const cause = new Error('no connection')
  loading.reject(cause)
  const reasons = new Set((await all).map((one) => (one.status === 'rejected' ? one.reason : undefined)))
  t.equal(reasons.size, 1, 'the same error for all')
  t.match([...reasons][0], { code: 'PP_LOAD_FAILED', statusCode: 503, cause, retryAfterMs: 500 })
  t.equal(loads, 1)
  await clock.advance(400)
  await t.rejects(cache.read('a', failing), {
    code: 'PP_LOAD_FAILED',
    statusCode: 503,
    retryAfterMs: 100,
    cause: undefined,
  })
  t.equal(loads, 1)
  t.match(
    events.find((event) => event.type === 'load-failed'),
    { error: cause, isServedStale: false, why: 'load' },
  )
  await clock.advance(101)
  t.equal(await text(cache.read('a', load)), 'v1')
})

t.test('a load that throws at once is a failed load', async (t) => {
  const { cache } = setUp(t)
  const broken = () => {
    throw new Error('at once')
  }
  await t.rejects(cache.read('a', broken), { code: 'PP_LOAD_FAILED' })
})

t.test('when loading fails the last good value is served, for the fail-safe time', async (t) => {
  const { cache, clock, counts, load } = setUp(t)
  await cache.read('a', load)
  const failing = () => Promise.reject(new Error('down'))
  await clock.advance(40_000)
  t.match(await cache.read('a', failing), { outcome: 'stale', ageMs: 40_000 }, 'the caller whose load failed')
  t.match(await cache.read('a', failing), { outcome: 'stale' }, 'a caller during the cool-down')
  t.match(counts.read(), { loadsFailed: 1, failSafeServed: 2 })
  await clock.advance(70_001)
  await t.rejects(cache.read('a', failing), { code: 'PP_LOAD_FAILED' }, 'past the fail-safe time')
})

t.test('a refresh that fails in the background emits an event, and the stale value is still served', async (t) => {
  const { cache, clock, counts, events, load } = setUp(t)
  await cache.read('a', load)
  await clock.advance(10_001)
  const failing = () => Promise.reject(new Error('down'))
  t.match(await cache.read('a', failing), { outcome: 'stale' })
  await cache.settle()
  t.match(
    events.find((event) => event.type === 'load-failed'),
    { why: 'refresh', isServedStale: true },
  )
  t.match(await cache.read('a', failing), { outcome: 'stale' })
  t.equal(counts.read().loadsFailed, 1, 'once a cool-down')
})

t.test('a hard invalidation during a load: the value is refused, and the readers get a newer one', async (t) => {
  const { cache, events, load, text } = setUp(t)
  const early = deferred<Uint8Array>()
  let loads = 0
  const loadOldThenNew = () => {
    loads += 1
    return loads === 1 ? early.promise : load()
  }
  const waiting = text(cache.read('a', loadOldThenNew))
  await cache.invalidate('hard')
  early.resolve(Buffer.from('from before'))
  t.equal(await waiting, 'v1')
  t.match(
    events.filter((event) => event.type === 'loaded').map((event) => event.committed),
    ['outdated-hard', 'stored'],
  )
  t.match(await cache.read('a', load), { outcome: 'hit' })
})

t.test('a reader after an invalidation does not join a load from before it', async (t) => {
  const { cache, text } = setUp(t)
  const early = deferred<Uint8Array>()
  const first = text(cache.read('a', () => early.promise).catch(() => ({ value: Buffer.from('failed') })))
  await cache.invalidate('soft')
  t.equal(await text(cache.read('a', async () => Buffer.from('new'))), 'new')
  early.resolve(Buffer.from('old'))
  t.equal(await first, 'new', 'the early caller is answered from what is stored by then')
})

t.test('a soft invalidation: the list is served once more while one refresh runs', async (t) => {
  const { cache, load, text, loads } = setUp(t)
  await cache.read('a', load)
  await cache.invalidate('soft')
  t.equal(await text(cache.read('a', load)), 'v1')
  await cache.settle()
  t.equal(loads(), 2)
  t.equal(await text(cache.read('a', load)), 'v2')
})

t.test('a hard invalidation: no older value is served, not even when the load fails', async (t) => {
  const { cache, load } = setUp(t)
  await cache.read('a', load)
  await cache.invalidate('hard')
  await t.rejects(
    cache.read('a', () => Promise.reject(new Error('down'))),
    { code: 'PP_LOAD_FAILED' },
  )
})

t.test('a hard invalidation while a refresh fails: the value from before is not served instead', async (t) => {
  const { cache, clock, load } = setUp(t)
  await cache.read('a', load)
  await clock.advance(40_000)
  const loading = deferred<Uint8Array>()
  const waiting = cache.read('a', () => loading.promise)
  await clock.advance(0)
  await cache.invalidate('hard')
  loading.reject(new Error('down'))
  await t.rejects(waiting, { code: 'PP_LOAD_FAILED' })
})

t.test('a cause invalidates once; a later call with the same cause gets the same promise', async (t) => {
  const { clock, store, load } = setUp(t)
  const counts = createCounts()
  const createProcess = () =>
    createReadThroughCache({
      store,
      clock,
      random: () => 0.5,
      nonce: createNames(),
      policy,
      near: { maxStaleMs: 1000 },
      observe: counts.count,
    })
  const [first, second] = [createProcess(), createProcess()]
  const done: string[] = []
  const invalidate = (cache: typeof first, name: string) =>
    cache.invalidate('hard', { idempotencyKey: 'why' }).then(() => done.push(name))
  const all = [invalidate(first, 'first')]
  await clock.advance(500)
  await first.read('a', load)
  all.push(invalidate(second, 'second'))
  await clock.advance(499)
  t.strictSame(done, [])
  await clock.advance(1)
  t.strictSame(done, ['first'])
  await clock.advance(500)
  t.strictSame(done, ['first', 'second'], 'it has waited for the copies, too')
  await Promise.all(all)
  t.equal(counts.read().invalidations, 1)
  t.match(await second.read('a', load), { outcome: 'hit' }, 'what was loaded in between is kept')
})

t.test('changes invalidate at the pace of the store: a copy is served until one is applied', async (t) => {
  const { clock, store, load, text } = setUp(t)
  const counts = createCounts()
  const cache = createReadThroughCache({
    store,
    clock,
    random: () => 0.5,
    nonce: createNames(),
    policy,
    near: { maxStaleMs: 1000 },
    observe: counts.count,
  })
  t.match(await cache.invalidateForChange('hard', { cause: 'a' }), { state: 'ended', pauseMs: 1000 })
  t.equal(await text(cache.read('a', load)), 'v1')
  await clock.advance(400)
  const paced = await cache.invalidateForChange('hard', { cause: 'b' })
  t.match(paced, { state: 'paced', pauseMs: 600 })
  t.ok(cache.peek('a'), 'nothing is dropped')
  await clock.advance(600)
  t.match(await cache.invalidateForChange('hard', { cause: 'b', after: paced.ends }), { state: 'ended' })
  t.equal(cache.peek('a'), undefined)
  t.equal(await text(cache.read('a', load)), 'v2')
  t.match(await cache.invalidateForChange('hard', { cause: 'b' }), { state: 'known' })
  t.equal(cache.peek('a'), undefined, 'it may be older than the change, as far as this process knows')
  t.equal(await text(cache.read('a', load)), 'v2')
  t.equal(counts.read().invalidations, 2)
})

t.test(
  'the store records a load that a change overtakes, and the next change waits until the load is repeated',
  async (t) => {
    const { cache, clock, load, text, counts } = setUp(t)
    const slowly = async () => {
      await new Promise<void>((resolve) => clock.schedule(1500, resolve))
      return load()
    }
    const changes: string[] = []
    const change = async () => changes.push((await cache.invalidateForChange('hard', {})).state)
    await change()
    const reading = text(cache.read('a', slowly))
    for (let count = 0; count < 7; count += 1) {
      await clock.advance(500)
      await change()
    }
    t.strictSame(changes, ['ended', 'paced', 'ended', 'paced', 'paced', 'paced', 'paced', 'paced'])
    t.equal(await reading, 'v2')
    t.equal(counts.read().commitsRefused, 1)
  },
)

t.test('a load overtaken three times: hard rejects, soft returns the list but does not store it', async (t) => {
  for (const mode of ['hard', 'soft'] as const) {
    const { cache, counts } = setUp(t)
    let loads = 0
    const overtaken = async () => {
      loads += 1
      await cache.invalidate(mode)
      return Buffer.from(`v${loads}`)
    }
    const answer = cache.read('a', overtaken)
    if (mode === 'hard') await t.rejects(answer, { code: 'PP_UNSETTLED', statusCode: 503, retryAfterMs: 1000 })
    else t.match(await answer, { outcome: 'loaded', ttlMs: 0 })
    t.equal(loads, 3)
    t.equal(counts.read().commitsRefused, 3)
    await cache.read('a', async () => Buffer.from('settled'))
    t.equal(counts.read().loads, 4)
  }
})

t.test('another process waits for the load, and gets its value', async (t) => {
  const { cache, clock, createProcess, counts, events, text } = setUp(t)
  const loading = deferred<Uint8Array>()
  const first = text(cache.read('a', () => loading.promise))
  const other = createProcess().read('a', () => Promise.reject(new Error('must not load')))
  await clock.advance(2_000)
  loading.resolve(Buffer.from('list'))
  t.equal(await first, 'list')
  await clock.advance(250)
  t.match(await other, { outcome: 'collapsed' })
  t.match(counts.read(), { loads: 1, waits: 1, takeovers: 0, misses: 2 })
  const [waited] = events.filter(({ type }) => type === 'waited')
  t.match(waited, { key: 'a', durationMs: Number })
  t.ok(
    waited?.type === 'waited' && waited.durationMs >= 2_000 && waited.durationMs <= 2_250,
    'how long it waited is told',
  )
})

t.test('after the death of a holder, a waiter takes over when the lease expires', async (t) => {
  const dead = { is: false }
  const { cache, clock, createProcess, counts, text } = setUp(t, {
    // A killed process does not renew its lease.
    wrap: (store) => ({ ...store, renew: async (...all) => !dead.is && store.renew(...all) }),
  })
  const stuck = cache.read('a', () => new Promise<never>(() => {}))
  stuck.catch(() => {})
  await clock.advance(5_000)
  dead.is = true
  const answer = text(createProcess().read('a', async () => Buffer.from('taken over')))
  await clock.advance(3_250)
  t.equal(await answer, 'taken over')
  t.match(counts.read(), { takeovers: 1, loads: 1 })
})

t.test('a slow load renews its lease, until it times out', async (t) => {
  const { cache, clock, counts, createProcess } = setUp(t)
  const slow = cache.read('a', () => new Promise<never>(() => {}))
  const slowFails = t.rejects(slow, { code: 'PP_LOAD_FAILED', cause: { name: 'LoadTimeoutError' } })
  const other = createProcess().read('a', () => Promise.reject(new Error('must not load')))
  const otherFails = t.rejects(other, { code: 'PP_LOAD_FAILED', cause: undefined }, 'the waiter meets the cool-down')
  await clock.advance(30_000)
  await slowFails
  await clock.advance(250)
  await otherFails
  t.match(counts.read(), { takeovers: 0, loadsFailed: 1 })
})

t.test('a load that lost its lease to another process still returns its value to its own readers', async (t) => {
  const { cache, clock, createProcess, counts, text } = setUp(t, {
    wrap: (store) => ({ ...store, renew: async () => false }),
  })
  const slow = deferred<Uint8Array>()
  const first = text(cache.read('a', () => slow.promise))
  await clock.advance(3_001)
  const fast = deferred<Uint8Array>()
  const second = text(createProcess().read('a', () => fast.promise))
  await clock.advance(0)
  slow.resolve(Buffer.from('slow'))
  t.equal(await first, 'slow')
  fast.resolve(Buffer.from('fast'))
  t.equal(await second, 'fast')
  t.match(counts.read(), { commitsRefused: 1, loads: 2 })
})

t.test('a renewal whose reply comes after the end of the load is the last', async (t) => {
  const renewing = deferred<boolean>()
  let renewals = 0
  const { cache, clock, text } = setUp(t, {
    wrap: (store) => ({
      ...store,
      renew: () => {
        renewals += 1
        return renewing.promise
      },
    }),
  })
  const loading = deferred<Uint8Array>()
  const answer = text(cache.read('a', () => loading.promise))
  await clock.advance(1_000)
  loading.resolve(Buffer.from('list'))
  t.equal(await answer, 'list')
  renewing.resolve(true)
  await clock.advance(10_000)
  t.equal(renewals, 1)
})

t.test('refresh loads a fresh entry again, and waits for a load that runs', async (t) => {
  const { cache, clock, createProcess, load, loads, text } = setUp(t)
  await cache.read('a', load)
  t.equal(await text(cache.refresh('a', load)), 'v2')
  t.match(await cache.read('a', load), { outcome: 'hit' })
  const loading = deferred<Uint8Array>()
  const first = cache.refresh('a', () => loading.promise)
  t.equal(await text(createProcess().refresh('a', load)), 'v2', 'the other keeps to the fresh value')
  loading.resolve(Buffer.from('v3'))
  t.equal(await text(first), 'v3')
  await clock.advance(0)
  t.equal(loads(), 2)
})

t.test('refresh with withinMs keeps a value that stays fresh for longer, and loads another one', async (t) => {
  const { cache, load, loads } = setUp(t)
  await cache.read('a', load)
  t.match(await cache.refresh('a', load, { withinMs: 9_999 }), { outcome: 'hit' })
  t.equal(loads(), 1)
  t.match(await cache.refresh('a', load, { withinMs: 10_000 }), { outcome: 'loaded' })
  t.equal(loads(), 2)
})

t.test('a message about a key for which no reader waits has no effect', async (t) => {
  const { cache, load } = setUp(t)
  cache.onStoreMessage('committed a')
  t.match(await cache.read('a', load), { outcome: 'loaded' })
})

t.test('a background task that fails in the store emits an event', async (t) => {
  const { cache, clock, events, load } = setUp(t, {
    wrap: (store) => ({ ...store, renew: () => Promise.reject(new Error('store is gone')) }),
  })
  const loading = deferred<Uint8Array>()
  const answer = cache.read('a', () => loading.promise)
  await clock.advance(1_500)
  t.match(events.at(-1), { type: 'background-failed', error: { message: 'store is gone' } })
  loading.resolve(await load())
  await answer
})

t.test('settle waits for a refresh in the background', async (t) => {
  const { cache, clock, load } = setUp(t)
  await cache.read('a', load)
  await clock.advance(10_001)
  const refreshing = deferred<Uint8Array>()
  await cache.read('a', () => refreshing.promise)
  let isClosed = false
  const closing = cache.settle().then(() => {
    isClosed = true
  })
  await clock.advance(0)
  t.equal(isClosed, false)
  refreshing.resolve(Buffer.from('v2'))
  await closing
  t.equal(isClosed, true)
})

t.test('after a suspension a reader does not join a read from before it', async (t) => {
  const { clock, store, load, text } = setUp(t)
  const nonce = createNames()
  const held: (() => void)[] = []
  let isFrozen = false
  const reply: Store['acquire'] = async (key, request) => {
    const acquired = await store.acquire(key, { ...request, token: `frozen ${request.token}` })
    if (isFrozen) await new Promise<void>((resolve) => held.push(resolve))
    return acquired
  }
  const createProcess = (acquire: Store['acquire']) =>
    createReadThroughCache({
      store: { ...store, acquire },
      clock,
      random: () => 0.5,
      nonce,
      policy,
      near: { maxStaleMs: 1000 },
      observe: () => {},
    })
  const [frozen, other] = [createProcess(reply), createProcess(store.acquire)]
  t.equal(await text(other.read('a', load)), 'v1')
  isFrozen = true
  const before = frozen.read('a', load)
  await clock.advance(0)
  const confirmed = other.invalidate('hard')
  await clock.advance(1000)
  await confirmed
  t.equal(await text(other.read('a', load)), 'v2')
  isFrozen = false
  const after = frozen.read('a', load)
  for (const thaw of held) thaw()
  t.equal(await text(before), 'v1', 'asked before the invalidation')
  t.equal(await text(after), 'v2')
})

/** Starts two loads that fill the slots of the least important rank; one slot for other ranks stays free. */
function occupy({ cache }: Pick<ReturnType<typeof setUp>, 'cache'>) {
  const loading = deferred<Uint8Array>()
  const both = Promise.all(['x', 'y'].map((key) => cache.read(key, () => loading.promise)))
  return async () => {
    loading.resolve(Buffer.from('late'))
    await both
  }
}

t.test('a load that finds no slot is refused, without a cool-down: another process loads at once', async (t) => {
  const set = setUp(t)
  const { cache, clock, createProcess, counts, events, load, loads, text } = set
  const end = occupy(set)
  await clock.advance(0)
  const refused = Promise.all(
    [1, 2, 3].map(() =>
      t.rejects(cache.read('a', load, 2), { code: 'PP_TOO_MANY_LOADS', statusCode: 503, retryAfterMs: 1000 }),
    ),
  )
  await clock.advance(500)
  const elsewhere = text(createProcess().read('a', load, 2))
  await clock.advance(500)
  await refused
  await clock.advance(250)
  t.equal(await elsewhere, 'v1')
  t.match(counts.read(), { loadsRefused: 1, loadsFailed: 0, loads: 1, waits: 1 })
  t.match(
    events.find(({ type }) => type === 'load-refused'),
    { key: 'a', why: 'load', isServedStale: false },
  )
  t.match(await cache.read('a', load, 2), { outcome: 'hit' })
  t.equal(loads(), 1)
  t.equal(await text(cache.read('b', load)), 'v2', 'an entry of rank 0 has a slot left')
  await end()
})

t.test('a refused load serves the older value, stale or as a fail-safe', async (t) => {
  const set = setUp(t)
  const { cache, clock, counts, events, load, text } = set
  t.equal(await text(cache.read('a', load, 2)), 'v1')
  t.match(await cache.read('a', load, 2), { outcome: 'hit' }, 'read again, so that it is kept')
  await clock.advance(10_001)
  const end = occupy(set)
  await clock.advance(0)
  t.match(await cache.read('a', load, 2), { outcome: 'stale' })
  await clock.advance(1_000)
  t.match(
    events.find(({ type }) => type === 'load-refused'),
    { why: 'refresh', isServedStale: true },
  )
  t.notOk(events.some(({ type }) => type === 'background-failed'))
  await clock.advance(20_000)
  const failSafe = cache.read('a', load, 2)
  await clock.advance(1_000)
  t.match(await failSafe, { outcome: 'stale', ageMs: 31_001 })
  t.match(counts.read(), { loadsRefused: 2, loadsFailed: 0, failSafeServed: 0 })
  await end()
  t.equal(await text(cache.refresh('a', load)), 'v2')
})

t.test('a load that timed out keeps its slot until it ends', async (t) => {
  const { cache, clock, load } = setUp(t)
  const loading = deferred<Uint8Array>()
  const slow = ['x', 'y', 'z'].map((key) =>
    t.rejects(
      cache.read(key, () => loading.promise),
      { code: 'PP_LOAD_FAILED' },
    ),
  )
  await clock.advance(30_000)
  await Promise.all(slow)
  const refused = t.rejects(cache.read('a', load), { code: 'PP_TOO_MANY_LOADS' })
  await clock.advance(1_000)
  await refused
  loading.resolve(Buffer.from('too late'))
  await clock.advance(0)
  t.match(await cache.read('a', load), { outcome: 'loaded' })
})

t.test('an entry of rank 1 or 2 is dropped soon unless it is read again, also behind copies', async (t) => {
  const { clock, store, load, loads } = setUp(t)
  const createProcess = (near: { maxStaleMs: number } | undefined) =>
    createReadThroughCache({
      store,
      clock,
      random: () => 0.5,
      nonce: createNames(),
      policy,
      near,
      observe: () => {},
    })
  for (const near of [undefined, { maxStaleMs: 1000 }]) {
    const cache = createProcess(near)
    const before = loads()
    for (const key of ['once', 'twice', 'refreshed']) await cache.read(`${key} ${near}`, load, 1)
    await cache.read(`main ${near}`, load)
    await cache.refresh(`refreshed ${near}`, load, { rank: 1 })
    t.match(await cache.read(`twice ${near}`, load, 1), { outcome: 'hit' })
    t.match(await cache.read(`twice ${near}`, load, 1), { outcome: 'hit' })
    await clock.advance(policy.unreadMs)
    t.equal(loads() - before, 5)
    for (const key of ['twice', 'refreshed', 'main'])
      t.match(await createProcess(near).read(`${key} ${near}`, load, 1), { outcome: 'hit' }, key)
    t.match(await cache.read(`once ${near}`, load, 1), { outcome: 'loaded' })
    t.equal(loads() - before, 6)
  }
})

t.test('after an invalidation of one key no later reader of it gets a value from before, in any process', async (t) => {
  const { clock, cache, createProcess, text, counts } = setUp(t)
  const other = createProcess()
  const old = deferred<Uint8Array>()
  const early = text(cache.read('a', () => old.promise))
  const waiter = text(other.read('a', async () => Buffer.from('new')))
  await clock.advance(10)
  await other.invalidateKey('a')
  const late = text(cache.read('a', async () => Buffer.from('new')))
  await clock.advance(1_000)
  old.resolve(Buffer.from('old'))
  await clock.advance(1_000)
  t.same(await Promise.all([early, waiter, late]), ['new', 'new', 'new'])
  t.match(counts.read(), { invalidations: 1 })
})

t.test('an entry has the times of the read that loads it', async (t) => {
  const { clock, cache, load } = setUp(t)
  const times = { ttlMs: 1_000, staleMs: 500, failSafeMs: 5_000 }
  const read = (loadIt = load) => cache.read('a', loadIt, 0, undefined, times)
  t.match(await read(), { outcome: 'loaded', ttlMs: 1_000 })
  await clock.advance(999)
  t.match(await read(), { outcome: 'hit' })
  await clock.advance(502)
  t.match(await read(), { outcome: 'loaded' }, 'past its stale time')
  await clock.advance(1_100)
  t.match(await read(), { outcome: 'stale' })
  await clock.advance(5_900)
  const fails = () => Promise.reject(new Error('no'))
  t.match(await read(fails), { outcome: 'stale' }, 'fail-safe')
  await clock.advance(6_100)
  await t.rejects(read(fails), { code: 'PP_LOAD_FAILED' })
})
