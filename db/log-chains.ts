/** One visitor's request for one post, in the ledger of imported logs or in the chunk of an import. */
export interface Visit {
  /** Milliseconds since the epoch. */
  timeMs: number
  /** Whether the ledger has it as a view; `undefined`: the ledger does not have it. */
  wasCounted: boolean | undefined
  /** Whether it leaves the ledger, because its import is undone. */
  isRemoved: boolean
  /** Whether it is a view now: {@link judgeChain} sets it. */
  isCounted: boolean
}

/**
 * Decides which visits of one visitor to one post are views: in the order of their times, each that is at least a
 * window after the last view. So the result depends on the visits only, not on the order in which they became known.
 *
 * What the ledger says is kept where no change reaches it, also under another window.
 * @param chain visits by time. It needs those of a window before each new or removed visit.
 * @param need called with a span of time, in milliseconds since the epoch, in which the change may reach further
 *   visits: if the chain lacks them, it must be judged again with them.
 */
export function judgeChain(
  chain: readonly Visit[],
  windowMs: number,
  need: (fromMs: number, toMs: number) => void,
): void {
  let lastBeforeMs = Number.NEGATIVE_INFINITY
  let lastMs = Number.NEGATIVE_INFINITY
  for (const visit of chain) {
    const { timeMs, wasCounted, isRemoved } = visit
    // The first visit out of the reach of both is a view either way. The chain may lack it, and begin again later.
    const isOutOfReach = timeMs - Math.max(lastBeforeMs, lastMs) >= windowMs
    const isKept = wasCounted !== undefined && (lastBeforeMs === lastMs || isOutOfReach)
    visit.isCounted = !isRemoved && (isKept ? wasCounted : timeMs - lastMs >= windowMs)
    if (wasCounted === true) lastBeforeMs = timeMs
    if (visit.isCounted) lastMs = timeMs
    if (lastBeforeMs !== lastMs) need(timeMs, Math.max(lastBeforeMs, lastMs) + windowMs)
  }
}
