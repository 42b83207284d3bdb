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
  backgroundWork?: boolean
  /** For how long what is loaded meanwhile may be served. */
  localMs: number
  observe: (event: CacheEvent) => void
}

export interface FailoverStore extends Store {
  isDown(): boolean
  /** The connection is back: ask again at once. */
  probeNow(): void
}

/**
 * A shared store that may go away. While it is out of reach each process keeps to itself: one load at a time for each
 * entry, served for `localMs`. Nothing fails, and only who notices first waits (see `createBreaker`).
 *
 * Only an invalidation cannot be made alone: it rejects with `PP_UNCONFIRMED`.
 */
export function createFailoverStore(options: FailoverOptions): FailoverStore {
  const { primary, backup, clock, deadlineMs, retryAfterMs, backgroundWork, localMs, observe } = options
  /** Leases that the shared store may hold, or may yet hand out, for nobody: token to key. */
  const orphanedLeases = new Map<string, string>()
  const breaker = createBreaker({
    clock,
    deadlineMs,
    retryAfterMs,
    backgroundWork,
    onOpen: (error) => observe({ type: 'store-down', error }),
    onClose: () => observe({ type: 'store-up' }),
    probe: () => primary.generation(),
    onAnswer: releaseOrphanedLeases,
  })

  /**
   * A question given up on may be executed all the same: (1) `acquire` is sent, (2) Redis is frozen, (3) the deadline
   * passes, (4) Redis thaws and leases the entry to a caller that has long gone; everybody waits out that lease. So such a
   * lease is given back once the answer comes, or the store answers anything else: that was asked later.
   */
  async function acquireShared(key: string, request: AcquireRequest): Promise<Acquired> {
    const asked = primary.acquire(key, request)
    try {
      return await breaker.run(() => asked)
    } catch (error) {
      orphanedLeases.set(request.token, key)
      // Answered after all; or lost, and then the next answer is waited for.
      asked.then(releaseOrphanedLeases, () => undefined)
      throw error
    }
  }

  function releaseOrphanedLeases(): void {
    for (const [token, key] of orphanedLeases) {
      orphanedLeases.delete(token)
      // Once: if that fails too, it runs out.
      primary.release(key, { token }).catch(() => undefined)
    }
  }

  const withFallback = <T>(work: () => Promise<T>, instead: () => T | Promise<T>): Promise<T> =>
    breaker.runIfClosed(work).catch(instead)

  return {
    isDown: breaker.isOpen,
    probeNow: breaker.probeNow,

    acquire: (key, request) =>
      withFallback(
        () => acquireShared(key, request),
        async () => {
          const acquired = await backup.acquire(key, request)
          // Of no generation that anybody else knows: such values are not copied.
          if (acquired.state !== 'lease') return { ...acquired, generation: undefined }
          return { ...acquired, generation: undefined, lease: { ...acquired.lease, isLocal: true } }
        },
      ),

    async commit(key, lease, value, lifetime) {
      if (lease.isLocal) return backup.commit(key, lease, value, { ttlMs: localMs, keepForMs: localMs })
      return withFallback(
        () => primary.commit(key, lease, value, lifetime),
        () => {
          orphanedLeases.set(lease.token, key)
          return 'unconfirmed'
        },
      )
    },

    async release(key, lease) {
      if (lease.isLocal) return backup.release(key, lease)
      return withFallback(
        () => primary.release(key, lease),
        () => void orphanedLeases.set(lease.token, key),
      )
    },

    async renew(key, lease, leaseMs) {
      if (lease.isLocal) return backup.renew(key, lease, leaseMs)
      // Not known: it may hold again a third of a lease later.
      return withFallback(
        () => primary.renew(key, lease, leaseMs),
        () => true,
      )
    },

    async fail(key, lease, coolDown) {
      if (lease.isLocal) return backup.fail(key, lease, coolDown)
      return withFallback(
        () => primary.fail(key, lease, coolDown),
        () => {
          orphanedLeases.set(lease.token, key)
          return { coolDownMs: coolDown.firstMs, found: undefined }
        },
      )
    },

    async invalidate(mode, cause) {
      await backup.invalidate('hard')
      try {
        // Worth a try also while the store seems to be out of reach: there is nothing else to do.
        return await breaker.run(() => primary.invalidate(mode, cause))
      } catch (error) {
        throw new UnconfirmedError(error)
      }
    },

    generation: () => breaker.runIfClosed(() => primary.generation()),
  }
}
