import type { Clock } from '../lib/clock.ts'
import type { CacheEvent } from './events.ts'
import type { LoadSlotsOptions, Rank } from './load-slots.ts'
import type { Applied, Change, CoolDown, InvalidateMode, InvalidateOptions, Store, StoredValue } from './store.ts'

/** The times and bounds of a cache. `protocol.ts` has those that are not options, with their reasons. */
export interface CachePolicy {
  /** Time to live of a value (±10 %, so that entries that were loaded together do not expire together). */
  ttlMs: number
  /** How long after its expiry a value is still served at once, while one refresh runs. */
  staleMs: number
  /** How long after its expiry a value is served when its load fails. */
  failSafeMs: number
  /**
   * How long the lease of a dead holder blocks the other processes. A living holder renews its lease each third of
   * this.
   */
  leaseMs: number
  /**
   * How long an entry is kept that was loaded for one reader, until a second reader reads it. Not for entries of rank
   * 0.
   */
  unreadMs: number
  /**
   * How many loads run at once in a process, how many more of each rank wait, and for how long: see `createLoadSlots`.
   */
  loads: Pick<LoadSlotsOptions, 'max' | 'maxWaiting' | 'patienceMs'>
  /** A load that takes longer has failed. */
  loadTimeoutMs: number
  /** How long a reader without a value waits for a load. The load goes on after that. */
  waitTimeoutMs: number
  /** How long no process loads an entry after its load failed. */
  coolDown: CoolDown
  /**
   * The first and the longest interval at which a waiter asks the store whether another process has loaded the entry.
   */
  poll: { firstMs: number; longestMs: number }
}

/** How long one entry lives: see {@link CachePolicy}. */
export type EntryTimes = Pick<CachePolicy, 'ttlMs' | 'staleMs' | 'failSafeMs'>

/** What a cache is made of. */
export interface CacheOptions {
  store: Store
  clock: Clock
  /** Returns a number from 0 up to 1, for jitter. */
  random: () => number
  /** Returns a new random name, never the same twice, for leases. */
  nonce: () => string
  policy: CachePolicy
  /**
   * Copies in this process, in front of a shared store. `maxStaleMs`: for how long a copy is served after the
   * generation was last requested from the store. Default: no copies.
   */
  near?: { maxStaleMs: number } | undefined
  /**
   * Whether this process runs background tasks. Default true: stale values are refreshed in the background. `false`,
   * for a process that is suspended after each reply: the reader that gets the lease waits for the refresh, and the
   * others get the stale value.
   */
  backgroundWork?: boolean
  /** Receives all events. Must not throw. */
  observe: (event: CacheEvent) => void
}

/** Loads the bytes of one entry, for example by a query. */
export type Load = () => Promise<Uint8Array>

/** The result of a read: the value, and where it came from. */
export interface Answer extends StoredValue {
  /**
   * `hit`: a fresh value. `stale`: an expired value, because a refresh runs or the load fails. `loaded`: this call has
   * loaded the value. `collapsed`: this call has waited for the load of another one.
   */
  outcome: 'hit' | 'stale' | 'loaded' | 'collapsed'
}

/** Result of a read. */
export interface ReadAnswer extends Answer {
  /** Duration in ms. 0 for an answer from the memory of this process, which is not timed. */
  durationMs: number
}

/** A cache that loads what it does not have, once for all readers. */
export interface ReadThroughCache {
  /** Returns the entry if this process has it, fresh and verified; else `undefined`. Synchronous. Counted as a hit. */
  peek(key: string): StoredValue | undefined
  /**
   * Returns the entry: from this process, from the store, or loaded once for all readers that come before the load
   * ends.
   * @param load loads the entry if no value can be served.
   * @param rank the rank of the load: see {@link Rank}. Default 0. An entry of rank 1 or 2 is kept for
   * `policy.unreadMs` only, unless it is read from the store again by then.
   * @throws LoadFailedError when the load failed, now or during the cool-down, and there is no older value. All readers
   * that wait for one load get the same error. UnsettledError when hard invalidations overtook every attempt.
   * TooManyLoadsError when no slot was free in time, and there is no older value. WaitTimeoutError when the load takes
   * longer than `policy.waitTimeoutMs`, and there is no older value; a process without background work has no bound for a
   * load of its own, because it cannot go on after the reply.
   * @param sinceMs when the reader began to wait (ms, `clock`). Default: now.
   * @param times how long the entry lives. Default: those of the policy.
   */
  read(key: string, load: Load, rank?: Rank, sinceMs?: number, times?: EntryTimes): Promise<ReadAnswer>
  /** Ends the waits of all readers, as after `policy.waitTimeoutMs`. Call it when the process closes. */
  endWaits(): void
  /**
   * Loads the entry although it may be fresh, unless another process loads it already. Throws as `read`.
   * @param options.withinMs loads only if the entry stays fresh for no longer than this. Default: loads in any case.
   * @param options.rank as in `read`.
   */
  refresh(key: string, load: Load, options?: { withinMs?: number; rank?: Rank }): Promise<Answer>
  /**
   * Ends the generation: see `Store.invalidate`. A later `read` never joins a load that began before. With copies in
   * processes, a hard invalidation resolves when the last copy has expired, `near.maxStaleMs` after the store's
   * confirmation.
   * @param options.wait false: resolves at the confirmation. Copies in other processes may be served for
   * `near.maxStaleMs` more.
   * @param options.cause see `Store.invalidate`. The promise holds for every caller with this cause, not only for the
   * first.
   * @throws UnconfirmedError when the store did not confirm it.
   */
  invalidate(mode: InvalidateMode, options?: InvalidateOptions): Promise<void>
  /**
   * Ends one entry: see `Store.invalidateKey`. A later `read` never joins a load of it that began before. For a cache without
   * copies: those of other processes are not found.
   * @throws UnconfirmedError when the store did not confirm it.
   */
  invalidateKey(key: string): Promise<void>
  /**
   * Ends the generation for a change of the data, at the pace of the store: see `Store.invalidateForChange`. Copies in other
   * processes may be served for `near.maxStaleMs` after that. Throws as `invalidate`.
   */
  invalidateForChange(mode: InvalidateMode, change: Change): Promise<Applied>
  /**
   * Handles a message of the store's pub/sub channel (see `channelOf`). It only shortens waits; correctness never
   * depends on it.
   */
  onStoreMessage(message: string): void
  /** Records that this generation is current, by the store's reply to a request sent at `requestedAtMs` (`clock`). */
  verified(generation: string, requestedAtMs: number): void
  /** Resolves when no background task runs. Never rejects. */
  settle(): Promise<void>
}
