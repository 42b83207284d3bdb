import type { Clock } from '../lib/clock.ts'
import type { CacheEvent } from './events.ts'
import type { LoadSlotsOptions, Rank } from './load-slots.ts'
import type { CoolDown, InvalidateMode, InvalidateOptions, Store, StoredValue } from './store.ts'

export interface CachePolicy {
  /** How long a value is fresh (±10 %, so that entries loaded together do not expire together). */
  ttlMs: number
  /** For how long after that it is still served at once, while one refresh runs. */
  staleMs: number
  /** For how long after its expiry it is served when loading fails. */
  failSafeMs: number
  /** How long a loader that died blocks the others; a living one renews at a third of it. */
  leaseMs: number
  /** How long an entry that was loaded for one reader is kept, until another one reads it. Entries of rank 0 are not concerned. */
  unreadMs: number
  /** How many loads run at once in a process, how many more of each rank wait, and for how long: see `createLoadSlots`. */
  loads: Pick<LoadSlotsOptions, 'max' | 'maxWaiting' | 'patienceMs'>
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

/** Makes the bytes of one entry, by the expensive way. */
export type Load = () => Promise<Uint8Array>

/** The result of a read: the value, and where it came from. */
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
   * for the same load get the same error. UnsettledError when hard invalidations overtook every attempt. TooManyLoadsError
   * when no load could begin in time, and there is nothing older to serve.
   * @param rank what its load leaves to others. Default 0. An entry of another rank is kept for `policy.unreadMs` only, unless it
   * is read from the store again by then.
   */
  read(key: string, load: Load, rank?: Rank): Promise<ReadAnswer>
  /**
   * Loads the entry anew, unless somebody is at it already. Throws as `read`.
   * @param options.withinMs only if it is fresh for no longer than this; default: in any case.
   * @param options.rank as of `read`.
   */
  refresh(key: string, load: Load, options?: { withinMs?: number; rank?: Rank }): Promise<Answer>
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
