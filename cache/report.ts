import type { Clock } from '../lib/clock.ts'
import type { Decision } from './decide.ts'
import type { CacheEvent, LoadReason } from './events.ts'
import type { LoadResult } from './load-with-lease.ts'
import type { Answer } from './options.ts'
import type { InvalidateMode, StoredValue } from './store.ts'

/** Derives events from results: the one place that does. */
export interface Reporter {
  /** A read has an answer. `durationMs` is 0 for an answer from the memory of this process, which is not timed. */
  read(key: string, outcome: Answer['outcome'], durationMs: number): void
  /** A read that began at `startedAtMs` (ms, `clock`) ends without a value, because its load takes too long. */
  waitTimeout(key: string, startedAtMs: number): void
  /** A stale value is served because the last load failed. */
  failSafe(key: string): void
  /**
   * A read knows what to do next.
   * @param waitedMs how long it has waited for another process; `undefined` after the first request to the store.
   */
  decision(key: string, decision: Decision, waitedMs: number | undefined): void
  /** A load has ended. `found`: the older value that came with its lease. */
  load(key: string, why: LoadReason, found: StoredValue | undefined, result: LoadResult): void
  /** The store has confirmed an invalidation of this process. */
  invalidation(mode: InvalidateMode, durationMs: number): void
}

/** A repeated problem is a first one again after this time. */
const FIRST_AGAIN_MS = 600_000

export function createReporter(observe: (event: CacheEvent) => void, clock: Clock): Reporter {
  let timedOutAtMs = Number.NEGATIVE_INFINITY
  const failSafe = (key: string) => observe({ type: 'fail-safe', key })
  return {
    read(key, outcome, durationMs) {
      observe({ type: outcome === 'hit' ? 'hit' : outcome === 'stale' ? 'stale-hit' : 'miss', key, durationMs })
    },
    waitTimeout(key, startedAtMs) {
      const nowMs = clock.now()
      const isFirst = nowMs - timedOutAtMs >= FIRST_AGAIN_MS
      if (isFirst) timedOutAtMs = nowMs
      observe({ type: 'wait-timeout', key, durationMs: nowMs - startedAtMs, isFirst })
    },
    failSafe,
    decision(key, decision, waitedMs) {
      const { action } = decision
      if (action === 'wait') {
        if (waitedMs === undefined) observe({ type: 'wait', key })
        return
      }
      if (waitedMs !== undefined) observe({ type: 'waited', key, durationMs: waitedMs })
      if (action === 'serve-stale' && decision.isFailSafe) failSafe(key)
      const hasLease = action === 'load' || action === 'serve-and-refresh'
      if (hasLease && waitedMs !== undefined) observe({ type: 'takeover', key })
    },
    load: (key, why, found, result) => observe(loadEvent(key, why, found, result)),
    invalidation: (mode, durationMs) => observe({ type: 'invalidated', mode, durationMs }),
  }
}

function loadEvent(key: string, why: LoadReason, older: StoredValue | undefined, result: LoadResult): CacheEvent {
  switch (result.status) {
    case 'refused':
      return { type: 'load-refused', key, why, isServedStale: older !== undefined }
    case 'failed':
    case 'timed-out': {
      const { error, durationMs, found } = result
      return { type: 'load-failed', key, why, durationMs, error, isServedStale: found !== undefined }
    }
    default: {
      const { committed, durationMs, value } = result
      return { type: 'loaded', key, why, durationMs, bytes: value.value.byteLength, committed }
    }
  }
}
