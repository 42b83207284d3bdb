/** Time as the cache sees it. Passed in everywhere, so that a test can run hours in a millisecond, in any order. */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  now(): number
  /** Calls `run` once, `delayMs` from now; the answer cancels it. */
  schedule(delayMs: number, run: () => void): () => void
}

/** The process's own monotonic clock: setting the machine's date does not touch it. */
export const systemClock: Clock = {
  now: () => performance.now(),
  schedule(delayMs, run) {
    const timer = setTimeout(run, delayMs)
    return () => clearTimeout(timer)
  },
}
