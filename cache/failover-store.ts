import { createBreaker } from '../lib/breaker.ts'
import type { Clock } from '../lib/clock.ts'
import { loggedError } from '../lib/logged-error.ts'
import { UnconfirmedError } from './errors.ts'
import type { CacheEvent } from './events.ts'
import type { Acquired, AcquireRequest, Store } from './store.ts'

interface FailoverOptions {
  /** The shared store. */
  primary: Store
  /** The process's own store, used while the shared store is out of reach. */
  backup: Store
  clock: Clock
  /** A command that takes longer has failed, and the shared store counts as out of reach. */
  deadlineMs: number
  /** How long after a failure the next command is sent to the shared store. */
  retryAfterMs: number
  /** As in `createBreaker`. Default true. */
  backgroundWork?: boolean
  /** Time to live of values that are loaded while the shared store is out of reach. */
  localMs: number
  /** Whether an error of the shared store means that it is out of reach. Default: each error does. */
  isOutage?: (error: unknown) => boolean
  observe: (event: CacheEvent) => void
  /** As in `createBreaker`. */
  causeOf?: ((error: unknown) => unknown) | undefined
}

/** After this time a refusal with the same cause is the first one again. */
const REFUSED_AGAIN_MS = 600_000

/** A store that uses the process's own memory while the shared store is out of reach. */
export interface FailoverStore extends Store {
  /** Whether the shared store is out of reach. */
  isDown(): boolean
  /** Call when the connection is back: probes the shared store now, if it is out of reach. */
  probeNow(): void
}

/**
 * Creates a store over a shared store that may be out of reach. During that time each process uses its own store: one
 * load at a time for each entry, whose value is served for `localMs`. An outage rejects no command, and only the
 * commands at its start wait for the deadline (see `createBreaker`).
 *
 * Only an invalidation needs the shared store: without it `invalidate`, `invalidateKey` and `invalidateForChange` reject with
 * `PP_UNCONFIRMED`.
 */
export function createFailoverStore(options: FailoverOptions): FailoverStore {
  const { primary, backup, clock, deadlineMs, retryAfterMs, backgroundWork, localMs, isOutage, observe, causeOf } =
    options
  /** Orphaned leases (token to key): requests that timed out here but may still take effect in the store. */
  const orphanedLeases = new Map<string, string>()
  /** The causes of the present outage that have been reported. */
  const causes = new Set<string | number>()
  /** When each cause of a refused command was last reported as a first one. */
  const refusedAtMs = new Map<string | number, number>()
  const nameOf = (error: unknown) => loggedError(error).code ?? loggedError(error).type
  const breaker = createBreaker({
    clock,
    deadlineMs,
    retryAfterMs,
    backgroundWork,
    causeOf,
    onOpen(error) {
      causes.clear()
      causes.add(nameOf(error))
      observe({ type: 'store-down', error })
    },
    onStillOpen(error) {
      if (causes.has(nameOf(error))) return
      causes.add(nameOf(error))
      observe({ type: 'store-still-down', error })
    },
    onRefused(error) {
      const name = nameOf(error)
      const isFirst = clock.now() - (refusedAtMs.get(name) ?? Number.NEGATIVE_INFINITY) >= REFUSED_AGAIN_MS
      if (isFirst) refusedAtMs.set(name, clock.now())
      observe({ type: 'store-refused', error, isFirst })
    },
    onClose: () => observe({ type: 'store-up' }),
    probe: () => primary.generation(),
    isOutage,
    onReply: releaseOrphanedLeases,
  })

  /**
   * A command that timed out may still be executed:
   * 1. `acquire` is sent.
   * 2. Redis is suspended.
   * 3. The deadline passes, and the caller goes on without the lease.
   * 4. Redis resumes and grants the lease. All other callers would wait until that lease ends.
   *
   * So the lease is released when the reply arrives, or when the store replies to a later command.
   */
  async function acquireShared(key: string, request: AcquireRequest): Promise<Acquired> {
    const reply = primary.acquire(key, request)
    try {
      return await breaker.run(() => reply)
    } catch (error) {
      orphanedLeases.set(request.token, key)
      // If the reply never arrives, the reply to a later command triggers the release.
      reply.then(releaseOrphanedLeases, () => undefined)
      throw error
    }
  }

  function releaseOrphanedLeases(): void {
    for (const [token, key] of orphanedLeases) {
      orphanedLeases.delete(token)
      // One attempt: if it fails, the lease ends by itself.
      primary.release(key, { token }).catch(() => undefined)
    }
  }

  const withFallback = <T>(command: () => Promise<T>, fallback: () => T | Promise<T>): Promise<T> =>
    breaker.runIfClosed(command).catch(fallback)

  return {
    isDown: breaker.isOpen,
    probeNow: breaker.probeNow,

    acquire: (key, request) =>
      withFallback(
        () => acquireShared(key, request),
        async () => {
          const acquired = await backup.acquire(key, request)
          // The generation is local to this process: such values must not be copied.
          if (acquired.state !== 'lease') return { ...acquired, generation: undefined }
          return { ...acquired, generation: undefined, lease: { ...acquired.lease, isLocal: true } }
        },
      ),

    async commit(key, lease, value, lifetime) {
      const { loadedInMs } = lifetime
      if (lease.isLocal) return backup.commit(key, lease, value, { ttlMs: localMs, keepForMs: localMs, loadedInMs })
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
      // Unknown; assume that the lease is still held, and let the next renewal decide.
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
        // Sent also while the store seems to be out of reach: there is no fallback.
        return await breaker.run(() => primary.invalidate(mode, cause))
      } catch (error) {
        throw new UnconfirmedError(error)
      }
    },

    async invalidateKey(key) {
      await backup.invalidateKey(key)
      try {
        await breaker.run(() => primary.invalidateKey(key))
      } catch (error) {
        throw new UnconfirmedError(error)
      }
    },

    async invalidateForChange(mode, change) {
      try {
        const applied = await breaker.run(() => primary.invalidateForChange(mode, change))
        if (applied.state !== 'paced') await backup.invalidate('hard')
        return applied
      } catch (error) {
        // The caller retries. At the pace of the own store, so that the retries do not overtake each slow load of it.
        await backup.invalidateForChange('hard', {})
        throw new UnconfirmedError(error)
      }
    },

    generation: () => breaker.runIfClosed(() => primary.generation()),
  }
}
