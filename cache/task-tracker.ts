import { LoadFailedError, TooManyLoadsError, UnsettledError } from './errors.ts'
import type { CacheEvent } from './events.ts'

/** Errors of loads: the load itself has reported them. */
const REPORTED = [LoadFailedError, UnsettledError, TooManyLoadsError]

/** Tracks background tasks. Failures are reported as `background-failed`; `settle()` waits for all of them. */
export interface TaskTracker {
  track(task: Promise<unknown>): void
  /** Resolves when no task runs, also none that another task has started. Never rejects. */
  settle(): Promise<void>
}

export function createTaskTracker(observe: (event: CacheEvent) => void): TaskTracker {
  const running = new Set<Promise<void>>()
  return {
    track(task) {
      const tracked = task
        .then(
          () => {},
          (error: unknown) => {
            if (!REPORTED.some((type) => error instanceof type)) observe({ type: 'background-failed', error })
          },
        )
        .finally(() => running.delete(tracked))
      running.add(tracked)
    },
    async settle() {
      while (running.size > 0) await Promise.all(running)
    },
  }
}
