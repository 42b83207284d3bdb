import { LoadFailedError, TooManyLoadsError, UnsettledError } from './errors.ts'
import type { CacheEvent } from './events.ts'

const TOLD = [LoadFailedError, UnsettledError, TooManyLoadsError]

/** What nobody waits for; until, in the end, somebody waits for all of it. */
export function createTaskTracker(observe: (event: CacheEvent) => void) {
  const running = new Set<Promise<void>>()
  return {
    track(work: Promise<unknown>): void {
      const tracked = work
        .then(
          () => {},
          (error: unknown) => {
            // A failed load has been told already, by whoever loaded.
            if (!TOLD.some((type) => error instanceof type)) observe({ type: 'background-failed', error })
          },
        )
        .finally(() => running.delete(tracked))
      running.add(tracked)
    },
    async settle(): Promise<void> {
      while (running.size > 0) await Promise.all(running)
    },
  }
}
