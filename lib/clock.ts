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

/** Two sources of time (ms). */
interface TimeSources {
  /** Never goes back, and stands still while the machine is suspended. */
  monotonic: () => number
  /** The date: goes on while the machine is suspended, and may be set to any value. */
  wall: () => number
}

/** Differences below this are those of the sources: the date has whole milliseconds, and is corrected slowly. */
const SUSPENDED_MS = 100

/**
 * Creates a function that returns the time since its first call, including the time in which the machine was suspended
 * (ms): otherwise a copy of before a suspension looks fresh after it. While the machine runs, the monotonic source counts.
 * When the date has advanced further than that source since the last call, the difference was a suspension. (Or the date
 * was set: then copies expire early.) A date that goes back has no effect. The result never goes back.
 */
export function createNow({ monotonic, wall }: TimeSources): () => number {
  let suspendedMs = 0
  let offsetMs = wall() - monotonic()
  return () => {
    const nowMs = monotonic()
    const aheadMs = wall() - nowMs - offsetMs
    if (Math.abs(aheadMs) >= SUSPENDED_MS) {
      offsetMs += aheadMs
      suspendedMs += Math.max(0, aheadMs)
    }
    return nowMs + suspendedMs
  }
}

const now = createNow({ monotonic: () => performance.now(), wall: () => Date.now() })

/** A clock whose timers keep the process alive until `release` is called. */
export interface ReleasableClock extends Clock {
  /** From now on no timer keeps the process alive, also none that is scheduled later: the owner of the clock has closed. */
  release(): void
}

/**
 * Creates a clock that includes suspensions of the machine (see `createNow`).
 *
 * A reply that has arrived in time is handled before its timeout. When a process was busy or suspended for longer than
 * a deadline, the timer is due and the reply is in the socket at the same moment, and Node.js runs timers before it
 * reads sockets. The immediate runs after both.
 */
export function createReleasableClock(): ReleasableClock {
  const timers = new Set<NodeJS.Timeout>()
  let isReleased = false
  return {
    now,
    schedule(delayMs, run) {
      let immediate: NodeJS.Immediate | undefined
      const timer = setTimeout(() => {
        timers.delete(timer)
        immediate = setImmediate(run)
      }, delayMs)
      if (isReleased) timer.unref()
      else timers.add(timer)
      return () => {
        timers.delete(timer)
        clearTimeout(timer)
        clearImmediate(immediate)
      }
    },
    release() {
      isReleased = true
      for (const timer of timers) timer.unref()
      timers.clear()
    },
  }
}

/** The clock of the process. */
export const systemClock: Clock = createReleasableClock()

/** The same clock, with timers that do not keep an otherwise idle process alive. */
export const backgroundClock: Clock = {
  now,
  schedule(delayMs, run) {
    const timer = setTimeout(run, delayMs).unref()
    return () => clearTimeout(timer)
  },
}
