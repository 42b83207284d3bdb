import type { Committed, InvalidateMode } from './store.ts'

/**
 * An event of a cache, on the diagnostics channel `fastify-popular-posts`. `durationMs` is in milliseconds, `key` the key
 * of the entry. By `type`:
 *
 * - reads: `hit` (a fresh value; 0 ms from the memory of the process), `stale-hit` (an expired value), `miss` (after a load),
 *   `fail-safe` (an expired value, because loading fails), `wait` and `waited` (for the load of another process),
 *   `wait-timeout` (no value in time)
 * - loads: `loaded`, `load-failed` and `load-refused` (too many loads are running), with `why`: a reader waits (`load`), or
 *   none (`refresh`); `takeover` (the lease of a process that died or gave up)
 * - `invalidated` (confirmed by the store)
 * - the shared store: `store-down`, `store-still-down`, `store-up`, `store-refused`, `store-evicted`, `background-failed` (a
 *   background task failed)
 */
export type CacheEvent =
  /** A read returned a fresh value. `durationMs` is 0 for a value in the memory of this process. */
  | { type: 'hit'; key: string; durationMs: number }
  /** A read returned an expired value at once. */
  | { type: 'stale-hit'; key: string; durationMs: number }
  /** A read returned a loaded value: it has loaded the value, or waited for the load of another read. */
  | { type: 'miss'; key: string; durationMs: number }
  /** A load returned a value. `committed`: whether the store has it. */
  | { type: 'loaded'; key: string; why: LoadReason; durationMs: number; bytes: number; committed: Committed }
  /** A load failed or timed out. `isServedStale`: whether its readers get an older value. */
  | { type: 'load-failed'; key: string; why: LoadReason; durationMs: number; error: unknown; isServedStale: boolean }
  /** A load did not begin, because all slots were taken. `isServedStale`: whether its readers get an older value. */
  | { type: 'load-refused'; key: string; why: LoadReason; isServedStale: boolean }
  /** A read returned an older value during a cool-down. */
  | { type: 'fail-safe'; key: string }
  /** A read began to wait for the load of another process. */
  | { type: 'wait'; key: string }
  /** The wait has ended, for any reason. */
  | { type: 'waited'; key: string; durationMs: number }
  /**
   * A read ended without a value, because the load takes longer than `waitTimeoutSeconds`. `isFirst`: the first one in ten
   * minutes.
   */
  | { type: 'wait-timeout'; key: string; durationMs: number; isFirst: boolean }
  /** A waiter got the lease, because its holder died or gave it back. */
  | { type: 'takeover'; key: string }
  /**
   * The store confirmed an invalidation. Not emitted if an earlier one with the same cause has ended the generation.
   */
  | { type: 'invalidated'; mode: InvalidateMode; durationMs: number }
  /** The shared store is out of reach: from now on this process uses its own memory. */
  | { type: 'store-down'; error: unknown }
  /** The shared store is still out of reach, for a cause that this outage did not have before. */
  | { type: 'store-still-down'; error: unknown }
  /**
   * The shared store replied, but refused a command: its memory is full, or a key has another type. Other commands work.
   * `isFirst`: the first refusal with this cause in ten minutes.
   */
  | { type: 'store-refused'; error: unknown; isFirst: boolean }
  /**
   * The memory of the shared store is full, and it has evicted keys, of this cache or of others, in the last minute.
   * `isFirst`: it had not evicted any in the ten minutes before.
   */
  | { type: 'store-evicted'; keys: number; isFirst: boolean }
  /** The shared store replies again. */
  | { type: 'store-up' }
  /** A background task failed in the store. */
  | { type: 'background-failed'; error: unknown }

/**
 * Why an entry is loaded. `load`: there is no value that may be served at once. `refresh`: to replace such a value, or
 * by request.
 */
export type LoadReason = 'load' | 'refresh'

/** Counts since the start. A read that returns a value is one of `hits`, `staleHits` and `misses`. */
export interface CacheCounts {
  /** Reads that returned a fresh value. */
  hits: number
  /** Reads that returned an expired value at once. */
  staleHits: number
  /** Reads that returned a loaded value: their own load, or one that they waited for. */
  misses: number
  /** Loads that returned a value. */
  loads: number
  /** Loads that failed or timed out. */
  loadsFailed: number
  /** Loads that did not begin, because too many other loads were running. */
  loadsRefused: number
  /**
   * Loads whose value was not stored: an invalidation or another holder had overtaken them, or the store did not reply.
   */
  commitsRefused: number
  /** Reads and failed loads that returned an expired value, because loads fail. */
  failSafeServed: number
  /** Reads that waited for the load of another process. */
  waits: number
  /** Reads that ended without a value, because the load took longer than `waitTimeoutSeconds`. */
  waitTimeouts: number
  /** Leases that a waiter got, because the holder died or gave the lease back. */
  takeovers: number
  /** Invalidations that the store confirmed. */
  invalidations: number
  /** How many times the shared store went out of reach. */
  storeFailures: number
  /** Commands that the shared store refused while it was in reach, for example because its memory is full. */
  storeRefusals: number
  /** Keys that the shared store evicted, because its memory was full; those of other programs too. */
  storeEvictions: number
}

/** Creates counters of events. `read()` returns a copy of the counts. */
export function createCounts(): { count(event: CacheEvent): void; read(): CacheCounts } {
  const counts: CacheCounts = {
    hits: 0,
    staleHits: 0,
    misses: 0,
    loads: 0,
    loadsFailed: 0,
    loadsRefused: 0,
    commitsRefused: 0,
    failSafeServed: 0,
    waits: 0,
    waitTimeouts: 0,
    takeovers: 0,
    invalidations: 0,
    storeFailures: 0,
    storeRefusals: 0,
    storeEvictions: 0,
  }
  return {
    count(event) {
      switch (event.type) {
        case 'hit':
          counts.hits += 1
          break
        case 'stale-hit':
          counts.staleHits += 1
          break
        case 'miss':
          counts.misses += 1
          break
        case 'loaded':
          counts.loads += 1
          if (event.committed !== 'stored') counts.commitsRefused += 1
          break
        case 'load-failed':
          counts.loadsFailed += 1
          if (event.isServedStale) counts.failSafeServed += 1
          break
        case 'load-refused':
          counts.loadsRefused += 1
          break
        case 'fail-safe':
          counts.failSafeServed += 1
          break
        case 'wait':
          counts.waits += 1
          break
        case 'wait-timeout':
          counts.waitTimeouts += 1
          break
        case 'takeover':
          counts.takeovers += 1
          break
        case 'invalidated':
          counts.invalidations += 1
          break
        case 'store-down':
          counts.storeFailures += 1
          break
        case 'store-refused':
          counts.storeRefusals += 1
          break
        case 'store-evicted':
          counts.storeEvictions += event.keys
          break
        case 'waited':
        case 'store-still-down':
        case 'store-up':
        case 'background-failed':
          break
      }
    },
    read: () => ({ ...counts }),
  }
}
