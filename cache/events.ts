import type { Committed, InvalidateMode } from './store.ts'

/**
 * An event of a cache, on the diagnostics channel `fastify-popular-posts`. `durationMs` is in milliseconds, `key` the key
 * of the entry. By `type`:
 *
 * - reads: `hit` (a fresh value; 0 ms from the memory of the process), `stale-hit` (an expired value), `miss` (after a load),
 *   `fail-safe` (an expired value, because loading fails), `wait` and `waited` (for the load of another process)
 * - loads: `loaded`, `load-failed` and `load-refused` (too many loads are running), with `why`: a reader waits (`load`), or
 *   none (`refresh`); `takeover` (the lease of a process that died or gave up)
 * - `invalidated` (confirmed by the store)
 * - the shared store: `store-down`, `store-up`, `background-failed` (a background task failed)
 */
export type CacheEvent =
  /** A read was answered from a fresh value; after 0 ms, where it was in this process. */
  | { type: 'hit'; key: string; durationMs: number }
  /** A read was answered from a value past its time. */
  | { type: 'stale-hit'; key: string; durationMs: number }
  /** A read was answered after a load: its own, or one that it waited for. */
  | { type: 'miss'; key: string; durationMs: number }
  /** A load ended well. `load`: somebody waits for it; `refresh`: nobody has to. */
  | { type: 'loaded'; key: string; why: LoadReason; durationMs: number; bytes: number; committed: Committed }
  /** A load failed; `isServedStale` tells whether its callers get an older value. */
  | { type: 'load-failed'; key: string; why: LoadReason; durationMs: number; error: unknown; isServedStale: boolean }
  /** A load did not begin: all slots were taken. `isServedStale`: its callers get an older value. */
  | { type: 'load-refused'; key: string; why: LoadReason; isServedStale: boolean }
  /** A read answered during a cool-down with an older value. */
  | { type: 'fail-safe'; key: string }
  /** A read began to wait for a load of another process. */
  | { type: 'wait'; key: string }
  /** That wait is over, however it ended. */
  | { type: 'waited'; key: string; durationMs: number }
  /** A waiter took the lease over from a holder that died or gave up. */
  | { type: 'takeover'; key: string }
  /** An invalidation was confirmed by the store (not told where another process has made it, for the same cause). */
  | { type: 'invalidated'; mode: InvalidateMode; durationMs: number }
  /** The shared store is out of reach: from here on the process keeps to itself. */
  | { type: 'store-down'; error: unknown }
  /** The shared store is back. */
  | { type: 'store-up' }
  /** Something that nobody waited for went wrong in the store. */
  | { type: 'background-failed'; error: unknown }

/** `load`: a reader waits for the load. `refresh`: no reader waits. */
export type LoadReason = 'load' | 'refresh'

/** Counts since the cache was made. A read is one of `hits`, `staleHits` and `misses`, if it was answered at all. */
export interface CacheCounts {
  /** Reads answered from a fresh value. */
  hits: number
  /** Reads answered at once from a value past its time. */
  staleHits: number
  /** Reads answered after a load: their own, or one that they waited for. */
  misses: number
  /** Loads that ended well: what it cost the database. */
  loads: number
  /** Loads that failed. */
  loadsFailed: number
  /** Loads that did not begin, because too many others were running. */
  loadsRefused: number
  /** Loads whose value was not stored, because an invalidation or another loader had overtaken them. */
  commitsRefused: number
  /** Reads and failed loads answered with a value past its time because loading is failing. */
  failSafeServed: number
  /** Reads that waited for a load of another process. */
  waits: number
  /** Leases taken over from a holder that died or gave up. */
  takeovers: number
  /** Invalidations confirmed. */
  invalidations: number
  /** How often the shared store went out of reach. */
  storeFailures: number
}

/** Counts events. */
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
    takeovers: 0,
    invalidations: 0,
    storeFailures: 0,
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
        case 'takeover':
          counts.takeovers += 1
          break
        case 'invalidated':
          counts.invalidations += 1
          break
        case 'store-down':
          counts.storeFailures += 1
          break
        case 'waited':
        case 'store-up':
        case 'background-failed':
          break
      }
    },
    read: () => ({ ...counts }),
  }
}
