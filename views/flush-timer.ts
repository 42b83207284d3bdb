import type { PruneResult } from '../db/retention.ts'
import type { Flushed } from './flusher.ts'

interface FlushTimerOptions {
  flush: () => Promise<Flushed>
  prune: () => Promise<PruneResult>
  flushMs: number
  pruneMs?: number
  random?: () => number
}

/**
 * Counts recorded views now and then, and deletes old counters once an hour. What goes wrong is told by `flush` and `prune`
 * themselves, and tried again.
 *
 * Only where no batch waits to be counted: the ledger forgets ids, and a batch must not outlive its own (see
 * `db/retention.ts`).
 * @returns ends it.
 */
export function startFlushTimer({
  flush,
  prune,
  flushMs,
  pruneMs = 3_600_000,
  random = Math.random,
}: FlushTimerOptions): () => void {
  // Not all processes of a fleet at once.
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
