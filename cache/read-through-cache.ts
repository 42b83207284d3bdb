import { createBackground } from './background.ts'
import { LoadFailedError, UnsettledError } from './errors.ts'
import type { LoadReason } from './events.ts'
import { createNearCache } from './near-cache.ts'
import type { CacheOptions } from './options.ts'
import { createRenewal } from './renewal.ts'
import type { Acquired, InvalidateMode, InvalidateOptions, Lease, StoredValue } from './store.ts'
import { createWaiters } from './waiters.ts'

/** Makes the bytes of one entry, by the expensive way. */
export type Load = () => Promise<Uint8Array>

export interface Answer extends StoredValue {
  /**
   * `hit`: fresh. `stale`: past its time, served while a refresh runs, or because none can. `loaded`: this call loaded it.
   * `collapsed`: it waited for a load that another call had begun.
   */
  outcome: 'hit' | 'stale' | 'loaded' | 'collapsed'
}

/** An answer to a read. */
export interface ReadAnswer extends Answer {
  /** How long the read took; 0 where this process had it, and nobody looked at the clock. */
  durationMs: number
}

export interface ReadThroughCache {
  /** The entry, where this process has it, fresh, and need not ask anybody. It counts as a read that took no time. */
  peek(key: string): StoredValue | undefined
  /**
   * The entry: from the store, or loaded once for all who ask meanwhile.
   * @throws LoadFailedError when loading failed, now or a moment ago, and there is nothing older to serve; all who waited
   * for the same load get the same error. UnsettledError when hard invalidations overtook every attempt.
   */
  read(key: string, load: Load): Promise<ReadAnswer>
  /**
   * Loads the entry anew, unless somebody is at it already. Throws as `read`.
   * @param options.withinMs only if it is fresh for no longer than this; default: in any case.
   */
  refresh(key: string, load: Load, options?: { withinMs?: number }): Promise<Answer>
  /**
   * See `Store.invalidate`. A `read` that comes later never joins a load that began before. With copies in processes a hard
   * one resolves when the last of them has run out, `near.maxStaleMs` after the store's confirmation.
   * @param options.wait false: resolve at the confirmation, when copies in other processes may still be served so long.
   * @param options.cause see `Store.invalidate`. What is promised holds for whoever names it, also where another was faster.
   * @throws UnconfirmedError when the store could not confirm it.
   */
  invalidate(mode: InvalidateMode, options?: InvalidateOptions): Promise<void>
  /** What the store's channel says (see `channelOf`): makes things faster, and is needed for nothing. */
  hear(message: string): void
  /** Waits for what runs in the background. */
  settle(): Promise<void>
}

/** What a flight brings back. */
interface Landed {
  answer: Answer
  /** No invalidation before this moment can have been missed. */
  asOfMs: number
}

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

  function peek(key: string): StoredValue | undefined {
    const found = copies === undefined ? store.peek?.(key) : copies.find(key)
    // Told without looking at the clock, which would take as long as all the rest.
    if (found !== undefined) observe({ type: 'hit', key, durationMs: 0 })
    return found
  }

  async function read(key: string, load: Load): Promise<ReadAnswer> {
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
    const { answer, hasWaited } = await find(key, load, startedAtMs)
    const outcome = hasWaited && answer.outcome === 'loaded' ? 'collapsed' : answer.outcome
    const type = outcome === 'hit' ? 'hit' : outcome === 'stale' ? 'stale-hit' : 'miss'
    const durationMs = clock.now() - startedAtMs
    observe({ type, key, durationMs })
    return { ...answer, outcome, durationMs }
  }

  async function find(key: string, load: Load, sinceMs: number): Promise<{ answer: Answer; hasWaited: boolean }> {
    const underWay = flights.get(key)
    if (underWay === undefined) return { answer: (await takeOff(key, load)).answer, hasWaited: false }
    const { answer, asOfMs } = await underWay
    // 1. A flight asks the store. 2. This process is frozen. 3. Elsewhere a hard invalidation is made, and confirmed.
    // 4. It thaws; a read joins the flight. 5. The answer of 1 is taken in. It will do for who came before 3, not for 4.
    const isTooOld = sinceMs > asOfMs && sinceMs - asOfMs >= maxStaleMs
    return isTooOld ? find(key, load, sinceMs) : { answer, hasWaited: true }
  }

  /** Begins a flight, which everybody joins who asks for the same entry before it has landed. */
  function takeOff(key: string, load: Load): Promise<Landed> {
    const flight = fly(key, load).finally(() => {
      // After an invalidation the place may be another's, of a flight that began later.
      if (flights.get(key) === flight) flights.delete(key)
    })
    flights.set(key, flight)
    return flight
  }

  async function fly(key: string, load: Load): Promise<Landed> {
    if (copies !== undefined) {
      await copies.revalidate(key)
      const copy = copies.find(key)
      if (copy !== undefined) return { answer: { ...copy, outcome: 'hit' }, asOfMs: clock.now() }
    }
    const beganAtMs = clock.now()
    for (let polls = 0; ; polls += 1) {
      const asOfMs = clock.now()
      const acquired = await acquire(key)
      const { found } = acquired
      const stale = found !== undefined && -found.freshForMs <= policy.staleMs ? found : undefined
      if (polls > 0 && (acquired.state !== 'wait' || stale !== undefined))
        observe({ type: 'waited', key, durationMs: clock.now() - beganAtMs })
      if (acquired.state === 'hit')
        return { answer: { ...acquired.found, outcome: polls === 0 ? 'hit' : 'collapsed' }, asOfMs }
      if (acquired.state === 'cooling') {
        if (found === undefined) throw new LoadFailedError(acquired.retryAfterMs)
        observe({ type: 'fail-safe', key })
        return serveStale(key, found, acquired, asOfMs)
      }
      if (acquired.state === 'lease') {
        if (polls > 0) observe({ type: 'takeover', key })
        if (stale === undefined) return loadUnder(key, acquired.lease, load, 'load')
        if (!refreshesBehind) return loadUnder(key, acquired.lease, load, 'refresh')
        background.run(loadUnder(key, acquired.lease, load, 'refresh'))
        return serveStale(key, stale, acquired, asOfMs)
      }
      if (stale !== undefined) return serveStale(key, stale, acquired, asOfMs)
      if (polls === 0) observe({ type: 'wait', key })
      await pause(key, acquired.retryAfterMs, polls)
    }
  }

  /** For as long as a waiter would pause, those who come next are served the same without asking the store. */
  function serveStale(key: string, found: StoredValue, { state, generation }: Acquired, askedAtMs: number): Landed {
    const forMs = policy.poll.longestMs
    if (generation !== undefined)
      copies?.hold(key, found, generation, askedAtMs, { forMs, isFailSafe: state === 'cooling' })
    return { answer: { ...found, outcome: 'stale' }, asOfMs: askedAtMs }
  }

  async function acquire(key: string, { force = false } = {}): Promise<Acquired> {
    const askedAtMs = clock.now()
    const acquired = await store.acquire(key, { token: nonce(), leaseMs: policy.leaseMs, force })
    if (acquired.generation === undefined) return acquired
    if (acquired.state === 'hit') keepCopy(key, acquired.found, acquired.generation, askedAtMs)
    else copies?.confirm(acquired.generation, askedAtMs)
    return acquired
  }

  function keepCopy(key: string, value: StoredValue, generation: string, askedAtMs: number): void {
    copies?.put(key, value, generation, askedAtMs)
    copies?.confirm(generation, askedAtMs)
  }

  async function refresh(key: string, load: Load, { withinMs = Infinity } = {}): Promise<Answer> {
    let acquired = await acquire(key, { force: withinMs === Infinity })
    if (acquired.state === 'hit') {
      if (acquired.found.freshForMs > withinMs) return { ...acquired.found, outcome: 'hit' }
      acquired = await acquire(key, { force: true })
    }
    const landed = acquired.state === 'lease' ? loadUnder(key, acquired.lease, load, 'refresh') : fly(key, load)
    return (await landed).answer
  }

  /** Loads under a lease, and again where an invalidation overtook the load. Ends the lease in any case. */
  async function loadUnder(key: string, firstLease: Lease, load: Load, why: LoadReason): Promise<Landed> {
    let lease = firstLease
    for (let reloads = 0; ; reloads += 1) {
      const startedAtMs = clock.now()
      let value: Uint8Array
      try {
        value = await whileRenewing(key, lease, load)
      } catch (error) {
        const asOfMs = clock.now()
        const { coolDownMs, found } = await store.fail(key, lease, policy.coolDown)
        const durationMs = clock.now() - startedAtMs
        observe({ type: 'load-failed', key, why, error, durationMs, isServedStale: found !== undefined })
        if (found === undefined) throw new LoadFailedError(coolDownMs, error)
        return { answer: { ...found, outcome: 'stale' }, asOfMs }
      }
      const freshForMs = policy.ttlMs * (0.9 + 0.2 * random())
      const keepForMs = freshForMs + Math.max(policy.staleMs, policy.failSafeMs)
      const askedAtMs = clock.now()
      const committed = await store.commit(key, lease, value, { freshForMs, keepForMs })
      if (committed === 'stored' && !lease.isLocal)
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
      if (next.state !== 'lease') return fly(key, load)
      lease = next.lease
    }
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

  async function invalidate(mode: InvalidateMode, { wait = true, cause }: InvalidateOptions = {}): Promise<void> {
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
