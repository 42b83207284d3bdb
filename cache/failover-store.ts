import { createBreaker } from '../lib/breaker.ts'
import type { Clock } from '../lib/clock.ts'
import { UnconfirmedError } from './errors.ts'
import type { CacheEvent } from './events.ts'
import type { Acquired, AcquireRequest, Store } from './store.ts'

interface FailoverOptions {
  /** The shared store. */
  primary: Store
  /** The process's own, for while the shared one is out of reach. */
  backup: Store
  clock: Clock
  /** How long a command may take before the shared store counts as out of reach. */
  deadlineMs: number
  /** For how long it is not asked again then. */
  retryAfterMs: number
  /** See `createBreaker`. */
  probesBehind?: boolean
  /** For how long what is loaded meanwhile may be served. */
  localMs: number
  observe: (event: CacheEvent) => void
}

export interface FailoverStore extends Store {
  isDown(): boolean
  /** Asks the shared store's server for something else, as carefully: rejects at once while that is out of reach. */
  ask<T>(work: () => Promise<T>): Promise<T>
  /** The connection is back: ask again at once. */
  heal(): void
}

/**
 * A shared store that may go away. While it is out of reach each process keeps to itself: one load at a time for each
 * entry, served for `localMs`. Nothing fails, and only who notices first waits (see `createBreaker`).
 *
 * Only an invalidation cannot be made alone: it rejects with `PP_UNCONFIRMED`.
 */
export function createFailoverStore(options: FailoverOptions): FailoverStore {
  const { primary, backup, clock, deadlineMs, retryAfterMs, probesBehind, localMs, observe } = options
  /** Leases that the shared store may hold, or may yet hand out, for nobody: token to key. */
  const unclaimed = new Map<string, string>()
  const breaker = createBreaker({
    clock,
    deadlineMs,
    retryAfterMs,
    probesBehind,
    onOpen: (error) => observe({ type: 'store-down', error }),
    onClose: () => observe({ type: 'store-up' }),
    probe: () => primary.generation(),
    onAnswer: releaseUnclaimed,
  })

  /**
   * A question given up on may be executed all the same: (1) `acquire` is sent, (2) Redis is frozen, (3) the deadline
   * passes, (4) Redis thaws and leases the entry to a caller that has long gone; everybody waits out that lease. So such a
   * lease is given back once the answer comes, or the store answers anything else: that was asked later.
   */
  async function acquireShared(key: string, request: AcquireRequest): Promise<Acquired> {
    const asked = primary.acquire(key, request)
    try {
      return await breaker.attempt(() => asked)
    } catch (error) {
      unclaimed.set(request.token, key)
      // Answered after all; or lost, and then the next answer is waited for.
      asked.then(releaseUnclaimed, () => undefined)
      throw error
    }
  }

  function releaseUnclaimed(): void {
    for (const [token, key] of unclaimed) {
      unclaimed.delete(token)
      // Once: if that fails too, it runs out.
      primary.release(key, { token }).catch(() => undefined)
    }
  }

  const orElse = <T>(work: () => Promise<T>, instead: () => T | Promise<T>): Promise<T> =>
    breaker.ask(work).catch(instead)

  return {
    isDown: breaker.isOpen,
    ask: breaker.ask,
    heal: breaker.heal,

    acquire: (key, request) =>
      orElse(
        () => acquireShared(key, request),
        async () => {
          const acquired = await backup.acquire(key, request)
          // Of no generation that anybody else knows: such values are not copied.
          if (acquired.state !== 'lease') return { ...acquired, generation: undefined }
          return { ...acquired, generation: undefined, lease: { ...acquired.lease, isLocal: true } }
        },
      ),

    async commit(key, lease, value, lifetime) {
      if (lease.isLocal) return backup.commit(key, lease, value, { freshForMs: localMs, keepForMs: localMs })
      return orElse(
        () => primary.commit(key, lease, value, lifetime),
        () => {
          unclaimed.set(lease.token, key)
          return 'unconfirmed'
        },
      )
    },

    async release(key, lease) {
      if (lease.isLocal) return backup.release(key, lease)
      return orElse(
        () => primary.release(key, lease),
        () => void unclaimed.set(lease.token, key),
      )
    },

    async renew(key, lease, leaseMs) {
      if (lease.isLocal) return backup.renew(key, lease, leaseMs)
      // Not known: it may hold again a third of a lease later.
      return orElse(
        () => primary.renew(key, lease, leaseMs),
        () => true,
      )
    },

    async fail(key, lease, coolDown) {
      if (lease.isLocal) return backup.fail(key, lease, coolDown)
      return orElse(
        () => primary.fail(key, lease, coolDown),
        () => {
          unclaimed.set(lease.token, key)
          return { coolDownMs: coolDown.firstMs, found: undefined }
        },
      )
    },

    async invalidate(mode, cause) {
      await backup.invalidate('hard')
      try {
        // Worth a try also while the store seems to be out of reach: there is nothing else to do.
        return await breaker.attempt(() => primary.invalidate(mode, cause))
      } catch (error) {
        throw new UnconfirmedError(error)
      }
    },

    generation: () => breaker.ask(() => primary.generation()),
  }
}
