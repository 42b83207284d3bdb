import type { PruneResult } from '../db/retention.ts'
import type { FlushResult } from './flusher.ts'

interface FlushTimerOptions {
  flush: () => Promise<FlushResult>
  prune: () => Promise<PruneResult>
  flushMs: number
  pruneMs?: number
  random?: () => number
}

/**
 * Counts recorded views every `flushMs`, and deletes old counters once an hour. `flush` and `prune` report their errors
 * themselves; the next tick tries again.
 *
 * Counters are deleted only when no batch waits to be counted: `prune` also deletes ids of counted batches, and a batch must
 * not exist longer than its id (see `db/retention.ts`).
 * @returns a function that stops the timer.
 */
export function startFlushTimer({
  flush,
  prune,
  flushMs,
  pruneMs = 3_600_000,
  random = Math.random,
}: FlushTimerOptions): () => void {
  // The processes of a fleet prune at different times.
  let pruneAtMs = performance.now() + pruneMs * random()
  async function tick(): Promise<void> {
    const { waiting } = await flush()
    if (waiting > 0 || performance.now() < pruneAtMs) return
    pruneAtMs = performance.now() + pruneMs
    const { hasMore } = await prune()
    if (hasMore) pruneAtMs = 0
  }
  const timer = setInterval(() => tick().catch(() => undefined), flushMs).unref()
  return () => clearInterval(timer)
}
