import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../../lib/clock.ts'

interface VirtualClock extends Clock {
  /** Advances the time. Runs due timers in order, each at its own time, with the timers that they schedule. */
  advance(ms: number): Promise<void>
}

/** Creates a clock that stands still until `advance`. */
export function createVirtualClock(): VirtualClock {
  let nowMs = 0
  let order = 0
  const timers = new Map<number, { atMs: number; run: () => void }>()

  return {
    now: () => nowMs,
    schedule(delayMs, run) {
      order += 1
      const id = order
      timers.set(id, { atMs: nowMs + delayMs, run })
      return () => timers.delete(id)
    },
    async advance(ms) {
      const untilMs = nowMs + ms
      await nextTurn()
      for (;;) {
        const due = [...timers]
          .filter(([, timer]) => timer.atMs <= untilMs)
          .sort(([a, x], [b, y]) => x.atMs - y.atMs || a - b)[0]
        if (due === undefined) break
        const [id, timer] = due
        timers.delete(id)
        nowMs = Math.max(nowMs, timer.atMs)
        timer.run()
        await nextTurn()
      }
      nowMs = untilMs
    },
  }
}

/** Creates a promise that the caller settles. */
export function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: unknown) => void } {
  let resolve: (value: T) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}

/** Creates a generator of unique names: `n1`, `n2`, … */
export function createNames(): () => string {
  let count = 0
  return () => {
    count += 1
    return `n${count}`
  }
}
