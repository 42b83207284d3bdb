/** Time as the cache sees it. Passed in everywhere, so that a test can run hours in a millisecond, in any order. */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  now(): number
  /** Calls `run` once, `delayMs` from now; the answer cancels it. */
  schedule(delayMs: number, run: () => void): () => void
}

/**
 * The process's own monotonic clock: setting the machine's date does not touch it.
 *
 * What arrives in time is heard first. A process that was busy or frozen for longer than a deadline finds its timer due
 * and the answer in its socket at the same moment, and Node.js runs timers before it reads: hence the immediate, which
 * comes after.
 */
export const systemClock: Clock = {
  now: () => performance.now(),
  schedule(delayMs, run) {
    let immediate: NodeJS.Immediate | undefined
    const timer = setTimeout(() => {
      immediate = setImmediate(run)
    }, delayMs)
    return () => {
      clearTimeout(timer)
      clearImmediate(immediate)
    }
  },
}

/** The same time, for what must not keep a process alive that has nothing else to do. */
export const backgroundClock: Clock = {
  now: systemClock.now,
  schedule(delayMs, run) {
    const timer = setTimeout(run, delayMs).unref()
    return () => clearTimeout(timer)
  },
}
