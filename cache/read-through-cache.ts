import type { Clock } from './clock.ts'
import { LoadFailedError, LoadTimeoutError, UnsettledError } from './errors.ts'
import type { CacheEvent, LoadReason } from './events.ts'
import type { CoolDown, InvalidateMode, Lease, Store, StoredValue } from './store.ts'

/** Makes the bytes of one entry, by the expensive way. */
export type Load = () => Promise<Uint8Array>

export interface CachePolicy {
  /** How long a value is fresh (±10 %, so that entries loaded together do not expire together). */
  ttlMs: number
  /** For how long after that it is still served at once, while one refresh runs. */
  staleMs: number
  /** For how long after its expiry it is served when loading fails. */
  failSafeMs: number
  /** How long a loader that died blocks the others; a living one renews at a third of it. */
  leaseMs: number
  /** A load that takes longer has failed. */
  loadTimeoutMs: number
  /** How long nobody loads after a failure. */
  coolDown: CoolDown
  /** How often a waiter looks whether the load of another process is done: its first pause, and its longest. */
  poll: { firstMs: number; longestMs: number }
}

export interface CacheOptions {
  store: Store
  clock: Clock
  /** A number from 0 up to 1: for jitter. */
  random: () => number
  /** A new random name, never the same twice: for leases. */
  nonce: () => string
  policy: CachePolicy
  /** Told of everything that happens; must not throw. */
  observe: (event: CacheEvent) => void
}

export interface Answer extends StoredValue {
  /**
   * `hit`: fresh. `stale`: past its time, served while a refresh runs, or because none can. `loaded`: this call loaded it.
   * `collapsed`: it waited for a load that another call had begun.
   */
  outcome: 'hit' | 'stale' | 'loaded' | 'collapsed'
}

export interface ReadThroughCache {
  /**
   * The entry: from the store, or loaded once for all who ask meanwhile.
   * @throws LoadFailedError when loading failed, now or a moment ago, and there is nothing older to serve; all who waited
   * for the same load get the same error. UnsettledError when hard invalidations overtook every attempt.
   */
  read(key: string, load: Load): Promise<Answer>
  /** Loads the entry anew, fresh or not, unless somebody is at it already. Throws as `read`. */
  refresh(key: string, load: Load): Promise<Answer>
  /** See `Store.invalidate`. A `read` that comes later never joins a load that began before. */
  invalidate(mode: InvalidateMode): Promise<void>
  /** Waits for what runs in the background. */
  close(): Promise<void>
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
  observe,
}: CacheOptions): ReadThroughCache {
  const flights = new Map<string, Promise<Answer>>()
  const background = new Set<Promise<void>>()

  async function read(key: string, load: Load): Promise<Answer> {
    const startedAtMs = clock.now()
    const underWay = flights.get(key)
    const answer = await (underWay ?? takeOff(key, load))
    const outcome = underWay !== undefined && answer.outcome === 'loaded' ? 'collapsed' : answer.outcome
    const type = outcome === 'hit' ? 'hit' : outcome === 'stale' ? 'stale-hit' : 'miss'
    observe({ type, key, durationMs: clock.now() - startedAtMs })
    return { ...answer, outcome }
  }

  /** Begins a flight, which everybody joins who asks for the same entry before it has landed. */
  function takeOff(key: string, load: Load): Promise<Answer> {
    const flight = answer(key, load).finally(() => {
      // After an invalidation the place may be another's, of a flight that began later.
      if (flights.get(key) === flight) flights.delete(key)
    })
    flights.set(key, flight)
    return flight
  }

  async function answer(key: string, load: Load): Promise<Answer> {
    for (let polls = 0; ; polls += 1) {
      const acquired = await store.acquire(key, { token: nonce(), leaseMs: policy.leaseMs })
      const { found } = acquired
      if (acquired.state === 'hit') return { ...acquired.found, outcome: polls === 0 ? 'hit' : 'collapsed' }
      if (acquired.state === 'cooling') {
        if (found === undefined) throw new LoadFailedError(acquired.retryAfterMs)
        observe({ type: 'fail-safe', key })
        return { ...found, outcome: 'stale' }
      }
      const stale = found !== undefined && -found.freshForMs <= policy.staleMs ? found : undefined
      if (acquired.state === 'lease') {
        if (polls > 0) observe({ type: 'takeover', key })
        if (stale === undefined) return loadUnder(key, acquired.lease, load, 'load')
        inBackground(loadUnder(key, acquired.lease, load, 'refresh'))
        return { ...stale, outcome: 'stale' }
      }
      if (stale !== undefined) return { ...stale, outcome: 'stale' }
      if (polls === 0) observe({ type: 'wait', key })
      await pause(acquired.retryAfterMs, polls)
    }
  }

  async function refresh(key: string, load: Load): Promise<Answer> {
    const acquired = await store.acquire(key, { token: nonce(), leaseMs: policy.leaseMs, force: true })
    return acquired.state === 'lease' ? loadUnder(key, acquired.lease, load, 'refresh') : answer(key, load)
  }

  /** Loads under a lease, and again where an invalidation overtook the load. Ends the lease in any case. */
  async function loadUnder(key: string, firstLease: Lease, load: Load, why: LoadReason): Promise<Answer> {
    let lease = firstLease
    for (let reloads = 0; ; reloads += 1) {
      const startedAtMs = clock.now()
      let value: Uint8Array
      try {
        value = await whileRenewing(key, lease, load)
      } catch (error) {
        const { coolDownMs, found } = await store.fail(key, lease, policy.coolDown)
        const durationMs = clock.now() - startedAtMs
        observe({ type: 'load-failed', key, why, error, durationMs, isServedStale: found !== undefined })
        if (found === undefined) throw new LoadFailedError(coolDownMs, error)
        return { ...found, outcome: 'stale' }
      }
      const freshForMs = policy.ttlMs * (0.9 + 0.2 * random())
      const keepForMs = freshForMs + Math.max(policy.staleMs, policy.failSafeMs)
      const committed = await store.commit(key, lease, value, { freshForMs, keepForMs })
      const durationMs = clock.now() - startedAtMs
      observe({ type: 'loaded', key, why, durationMs, bytes: value.byteLength, committed })
      if (committed === 'stored' || committed === 'lost') return { value, outcome: 'loaded', ageMs: 0, freshForMs }
      if (reloads === RELOADS) {
        // A soft invalidation allows an older list once more; a hard one never does.
        if (committed === 'outdated') return { value, outcome: 'loaded', ageMs: 0, freshForMs: 0 }
        throw new UnsettledError()
      }
      const next = await store.acquire(key, { token: nonce(), leaseMs: policy.leaseMs })
      // Another process is at it already, or done.
      if (next.state !== 'lease') return answer(key, load)
      lease = next.lease
    }
  }

  async function whileRenewing(key: string, lease: Lease, load: Load): Promise<Uint8Array> {
    let isLoading = true
    const renewLater = () => clock.schedule(policy.leaseMs / 3, () => inBackground(renew()))
    const renew = async () => {
      const isHeld = await store.renew(key, lease, policy.leaseMs)
      if (isHeld && isLoading) cancelRenewal = renewLater()
    }
    let cancelRenewal = renewLater()
    let giveUp: (error: Error) => void
    const tooLate = new Promise<never>((_resolve, reject) => {
      giveUp = reject
    })
    const cancelTimeout = clock.schedule(policy.loadTimeoutMs, () => giveUp(new LoadTimeoutError(policy.loadTimeoutMs)))
    try {
      return await Promise.race([load(), tooLate])
    } finally {
      isLoading = false
      cancelRenewal()
      cancelTimeout()
    }
  }

  function inBackground(work: Promise<unknown>): void {
    const tracked = work
      .then(
        () => {},
        (error: unknown) => {
          // A failed load has been told already, by whoever loaded.
          if (!(error instanceof LoadFailedError || error instanceof UnsettledError))
            observe({ type: 'background-failed', error })
        },
      )
      .finally(() => background.delete(tracked))
    background.add(tracked)
  }

  function pause(longestMs: number, polls: number): Promise<void> {
    const backoffMs = Math.min(policy.poll.firstMs * 2 ** polls, policy.poll.longestMs) * (0.5 + 0.5 * random())
    return new Promise((resolve) => clock.schedule(Math.max(1, Math.min(longestMs, backoffMs)), resolve))
  }

  async function invalidate(mode: InvalidateMode): Promise<void> {
    const startedAtMs = clock.now()
    // 1. Whoever comes from here on may not join a load that began before. 2. The store ends the generation. 3. Nor may
    // they join one that began between 1 and 2: it may have been handed a lease of the old generation.
    flights.clear()
    await store.invalidate(mode)
    flights.clear()
    observe({ type: 'invalidated', mode, durationMs: clock.now() - startedAtMs })
  }

  return {
    read,
    refresh,
    invalidate,
    async close() {
      while (background.size > 0) await Promise.all(background)
    },
  }
}
