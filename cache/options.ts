import type { Clock } from './clock.ts'
import type { CacheEvent } from './events.ts'
import type { CoolDown, Store } from './store.ts'

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
  /** Copies in this process, in front of a store that others share; default: none. */
  near?: { maxStaleMs: number } | undefined
  /**
   * Whether stale values are refreshed behind an answer (default). `false`, for a process that is frozen after each answer:
   * whoever gets the lease refreshes first, and answers that; the others are served the stale value.
   */
  refreshesBehind?: boolean
  /** Told of everything that happens; must not throw. */
  observe: (event: CacheEvent) => void
}
