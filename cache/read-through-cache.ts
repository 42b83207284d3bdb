import { createBackground } from './background.ts'
import { LoadFailedError, TooManyLoadsError, UnsettledError } from './errors.ts'
import type { LoadReason } from './events.ts'
import { createLoadSlots, type Rank } from './load-slots.ts'
import { createNearCache } from './near-cache.ts'
import type { Answer, CacheOptions, Load, ReadAnswer, ReadThroughCache } from './options.ts'
import { createRenewal } from './renewal.ts'
import type { Acquired, InvalidateMode, InvalidateOptions, Lease, StoredValue } from './store.ts'
import { createWaiters } from './waiters.ts'

/** What a flight brings back. */
interface Landed {
  answer: Answer
  /** No invalidation before this moment can have been missed. */
  asOfMs: number
}

/** What is to be loaded, should the store not have it. */
interface Wanted {
  key: string
  load: Load
  rank: Rank
}

/** What the store said, and when it was asked. */
type Asked<State = Acquired['state']> = Extract<Acquired, { state: State }> & { askedAtMs: number }

/** A day: Node.js runs timers of 25 days and more at once. */
const LONGEST_SLOT_MS = 86_400_000

/** A value overtaken by an invalidation is loaded again so many times. */
const RELOADS = 2

/** A cache over a store: the protocol of `store.ts`, seen from one process. */
export function createReadThroughCache({
  store,
  clock,
  random,
  nonce,
  policy,
  near,
  refreshesBehind = true,
  observe,
}: CacheOptions): ReadThroughCache {
  const flights = new Map<string, Promise<Landed>>()
  const { generation } = store
  const copies = near && createNearCache({ clock, generation, ...near, looksAhead: refreshesBehind })
  const maxStaleMs = near?.maxStaleMs ?? 0
  const waiters = createWaiters(clock)
  const background = createBackground(observe)
  const whileRenewing = createRenewal({ store, clock, policy, background })
  // What outlives its timeout, in a database that does not end it, still counts for as long again.
  const longestMs = Math.min(2 * policy.loadTimeoutMs, LONGEST_SLOT_MS)
  const takeSlot = createLoadSlots(clock, { ...policy.loads, longestMs })

  function peek(key: string): StoredValue | undefined {
    const found = copies === undefined ? store.peek?.(key) : copies.find(key)
    // Told without looking at the clock, which would take as long as all the rest.
    if (found !== undefined) observe({ type: 'hit', key, durationMs: 0 })
    return found
  }

  async function read(key: string, load: Load, rank: Rank = 0): Promise<ReadAnswer> {
    const here = peek(key)
    if (here !== undefined) return { ...here, outcome: 'hit', durationMs: 0 }
    const held = copies?.findHeld(key)
    if (held !== undefined) {
      const { isFailSafe, ...value } = held
      if (isFailSafe) observe({ type: 'fail-safe', key })
      observe({ type: 'stale-hit', key, durationMs: 0 })
      return { ...value, outcome: 'stale', durationMs: 0 }
    }
    const startedAtMs = clock.now()
    const { answer, hasWaited } = await find({ key, load, rank }, startedAtMs)
    const outcome = hasWaited && answer.outcome === 'loaded' ? 'collapsed' : answer.outcome
    const type = outcome === 'hit' ? 'hit' : outcome === 'stale' ? 'stale-hit' : 'miss'
    const durationMs = clock.now() - startedAtMs
    observe({ type, key, durationMs })
    return { ...answer, outcome, durationMs }
  }

  async function find(wanted: Wanted, sinceMs: number): Promise<{ answer: Answer; hasWaited: boolean }> {
    const underWay = flights.get(wanted.key)
    if (underWay === undefined) return { answer: (await takeOff(wanted)).answer, hasWaited: false }
    const { answer, asOfMs } = await underWay
    // 1. A flight asks the store. 2. This process is frozen. 3. Elsewhere a hard invalidation is made, and confirmed.
    // 4. It thaws; a read joins the flight. 5. The answer of 1 is taken in. It will do for who came before 3, not for 4.
    const isTooOld = sinceMs > asOfMs && sinceMs - asOfMs >= maxStaleMs
    return isTooOld ? find(wanted, sinceMs) : { answer, hasWaited: true }
  }

  /** Begins a flight, which everybody joins who asks for the same entry before it has landed. */
  function takeOff(wanted: Wanted): Promise<Landed> {
    const { key } = wanted
    const flight = fly(wanted).finally(() => {
      // After an invalidation the place may be another's, of a flight that began later.
      if (flights.get(key) === flight) flights.delete(key)
    })
    flights.set(key, flight)
    return flight
  }

  async function fly(wanted: Wanted): Promise<Landed> {
    const { key } = wanted
    if (copies !== undefined) {
      await copies.revalidate(key)
      const copy = copies.find(key)
      if (copy !== undefined) return { answer: { ...copy, outcome: 'hit' }, asOfMs: clock.now() }
    }
    const beganAtMs = clock.now()
    for (let polls = 0; ; polls += 1) {
      const acquired = await acquire(key)
      const { found, askedAtMs: asOfMs } = acquired
      const stale = found !== undefined && -found.freshForMs <= policy.staleMs ? found : undefined
      if (polls > 0 && (acquired.state !== 'wait' || stale !== undefined))
        observe({ type: 'waited', key, durationMs: clock.now() - beganAtMs })
      if (acquired.state === 'hit')
        return { answer: { ...acquired.found, outcome: polls === 0 ? 'hit' : 'collapsed' }, asOfMs }
      if (acquired.state === 'cooling') {
        if (found === undefined) throw new LoadFailedError(acquired.retryAfterMs)
        observe({ type: 'fail-safe', key })
        return serveStale(key, found, acquired)
      }
      if (acquired.state === 'lease') {
        if (polls > 0) observe({ type: 'takeover', key })
        if (stale === undefined) return loadUnder(wanted, acquired, 'load')
        if (!refreshesBehind) return loadUnder(wanted, acquired, 'refresh')
        background.run(loadUnder(wanted, acquired, 'refresh'))
        return serveStale(key, stale, acquired)
      }
      if (stale !== undefined) return serveStale(key, stale, acquired)
      if (polls === 0) observe({ type: 'wait', key })
      await pause(key, acquired.retryAfterMs, polls)
    }
  }

  /** For as long as a waiter would pause, those who come next are served the same without asking the store. */
  function serveStale(key: string, found: StoredValue, { state, generation, askedAtMs }: Asked): Landed {
    const forMs = policy.poll.longestMs
    if (generation !== undefined)
      copies?.hold(key, found, generation, askedAtMs, { forMs, isFailSafe: state === 'cooling' })
    return { answer: { ...found, outcome: 'stale' }, asOfMs: askedAtMs }
  }

  async function acquire(key: string, { force = false } = {}): Promise<Asked> {
    const askedAtMs = clock.now()
    const acquired = await store.acquire(key, { token: nonce(), leaseMs: policy.leaseMs, force })
    if (acquired.generation !== undefined) {
      if (acquired.state === 'hit') keepCopy(key, acquired.found, acquired.generation, askedAtMs)
      else copies?.confirm(acquired.generation, askedAtMs)
    }
    return { ...acquired, askedAtMs }
  }

  function keepCopy(key: string, value: StoredValue, generation: string, askedAtMs: number): void {
    copies?.put(key, value, generation, askedAtMs)
    copies?.confirm(generation, askedAtMs)
  }

  async function refresh(
    key: string,
    load: Load,
    { withinMs = Infinity, rank = 0 }: { withinMs?: number; rank?: Rank } = {},
  ): Promise<Answer> {
    const wanted = { key, load, rank }
    let acquired = await acquire(key, { force: withinMs === Infinity })
    if (acquired.state === 'hit') {
      if (acquired.found.freshForMs > withinMs) return { ...acquired.found, outcome: 'hit' }
      acquired = await acquire(key, { force: true })
    }
    const landed = acquired.state === 'lease' ? loadUnder(wanted, acquired, 'refresh') : fly(wanted)
    return (await landed).answer
  }

  /** Loads under a lease, and again where an invalidation overtook the load. Ends the lease in any case. */
  async function loadUnder(wanted: Wanted, first: Asked<'lease'>, why: LoadReason): Promise<Landed> {
    const { key, rank } = wanted
    let acquired = first
    for (let reloads = 0; ; reloads += 1) {
      const { lease } = acquired
      const startedAtMs = clock.now()
      let value: Uint8Array
      try {
        value = await loadInSlot(wanted, lease)
      } catch (error) {
        if (error instanceof TooManyLoadsError) return giveBack(key, acquired, why, error)
        const asOfMs = clock.now()
        const { coolDownMs, found } = await store.fail(key, lease, policy.coolDown)
        const durationMs = clock.now() - startedAtMs
        observe({ type: 'load-failed', key, why, error, durationMs, isServedStale: found !== undefined })
        if (found === undefined) throw new LoadFailedError(coolDownMs, { cause: error })
        return { answer: { ...found, outcome: 'stale' }, asOfMs }
      }
      const freshForMs = policy.ttlMs * (0.9 + 0.2 * random())
      const keepForMs = freshForMs + Math.max(policy.staleMs, policy.failSafeMs)
      // Nothing older: this may be the only reader that it ever has.
      const isBrief = rank > 0 && why === 'load' && acquired.found === undefined
      const unreadForMs = isBrief ? Math.min(policy.unreadMs, keepForMs) : keepForMs
      const askedAtMs = clock.now()
      const committed = await store.commit(key, lease, value, { freshForMs, keepForMs, unreadForMs })
      // The second reader shall ask the store, which keeps it for longer then.
      if (committed === 'stored' && !lease.isLocal && !isBrief)
        keepCopy(key, { value, ageMs: 0, freshForMs }, lease.generation, askedAtMs)
      const durationMs = clock.now() - startedAtMs
      observe({ type: 'loaded', key, why, durationMs, bytes: value.byteLength, committed })
      // What the shared store has not been asked about is as good as when it began to be loaded.
      const asOfMs = lease.isLocal || committed === 'unconfirmed' ? startedAtMs : askedAtMs
      if (!committed.startsWith('outdated'))
        return { answer: { value, outcome: 'loaded', ageMs: 0, freshForMs }, asOfMs }
      if (reloads === RELOADS) {
        // A soft invalidation allows an older list once more; a hard one never does.
        if (committed === 'outdated') return { answer: { value, outcome: 'loaded', ageMs: 0, freshForMs: 0 }, asOfMs }
        throw new UnsettledError()
      }
      const next = await acquire(key)
      // Another process is at it already, or done.
      if (next.state !== 'lease') return fly(wanted)
      acquired = next
    }
  }

  /** The slot is the load's until that has ended, however long ago its callers have given up. */
  async function loadInSlot({ key, load, rank }: Wanted, lease: Lease): Promise<Uint8Array> {
    const leave = await takeSlot(rank)
    return whileRenewing(key, lease, () => load().finally(leave))
  }

  /** The load could not begin: other processes may do it at once. */
  async function giveBack(key: string, acquired: Asked<'lease'>, why: LoadReason, error: Error): Promise<Landed> {
    const { lease, found } = acquired
    await store.release(key, lease)
    observe({ type: 'load-refused', key, why, isServedStale: found !== undefined })
    if (found === undefined) throw error
    return serveStale(key, found, acquired)
  }

  /** Waits before the next look at an entry that another process is loading. */
  function pause(key: string, longestMs: number, polls: number): Promise<void> {
    const backoffMs = Math.min(policy.poll.firstMs * 2 ** polls, policy.poll.longestMs) * (0.5 + 0.5 * random())
    return waiters.pause(key, Math.max(1, Math.min(longestMs, backoffMs)))
  }

  function hear(message: string): void {
    const [what, key = ''] = message.split(' ', 2)
    if (what === 'invalidated') {
      copies?.doubt()
    } else {
      copies?.release(key)
      waiters.wake(key)
    }
  }

  async function invalidate(
    mode: InvalidateMode,
    { wait = true, idempotencyKey: cause }: InvalidateOptions = {},
  ): Promise<void> {
    const startedAtMs = clock.now()
    // 1. Whoever comes from here on may not join a load that began before. 2. The store ends the generation. 3. Nor may
    // they join one that began between 1 and 2: it may have been handed a lease of the old generation.
    forgetAll()
    const isEnded = await store.invalidate(mode, cause)
    forgetAll()
    if (wait && near !== undefined && mode === 'hard') {
      await new Promise<void>((resolve) => clock.schedule(near.maxStaleMs, resolve))
    }
    if (isEnded) observe({ type: 'invalidated', mode, durationMs: clock.now() - startedAtMs })
  }

  function forgetAll(): void {
    flights.clear()
    copies?.clear()
    copies?.doubt()
  }

  return {
    peek,
    read,
    refresh,
    invalidate,
    hear,
    settle: background.settle,
  }
}
