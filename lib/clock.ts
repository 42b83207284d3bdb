/**
 * A clock with timers. Code that needs time gets a clock as a parameter, so that a test can run hours in a millisecond,
 * in any order.
 */
export interface Clock {
  /** Returns milliseconds since some fixed moment. Never goes back. */
  now(): number
  /** Calls `run` once, `delayMs` from now. Returns a function that cancels the call. */
  schedule(delayMs: number, run: () => void): () => void
}

/**
 * The monotonic clock of the process: a change of the machine's date has no effect.
 *
 * A reply that has arrived in time is handled before its timeout. When a process was busy or suspended for longer than
 * a deadline, the timer is due and the reply is in the socket at the same moment, and Node.js runs timers before it
 * reads sockets. The immediate runs after both.
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

/** The same clock, with timers that do not keep an otherwise idle process alive. */
export const backgroundClock: Clock = {
  now: systemClock.now,
  schedule(delayMs, run) {
    const timer = setTimeout(run, delayMs).unref()
    return () => clearTimeout(timer)
  },
}
