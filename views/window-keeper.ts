/** How often a process verifies that the sums are those of the present day, in milliseconds. */
const EVERY_MS = 60_000

/**
 * Creates a function that stores the sums of windows after a flush (see `db/window-rollups.ts`), once a minute at most when all
 * are stored. Its promise never rejects: lists are the same without these sums.
 * @param store stores the sums that are missing, for a while. Returns `false` if some are still missing: then the next flush
 *   continues. After an error, the next minute does.
 */
export function createWindowKeeper(
  store: () => Promise<boolean>,
  nowMs = () => performance.now(),
): () => Promise<void> {
  let running: Promise<void> | undefined
  let nextAtMs = Number.NEGATIVE_INFINITY
  return () => {
    if (running === undefined && nowMs() >= nextAtMs) {
      nextAtMs = nowMs() + EVERY_MS
      running = store()
        .then(
          (isComplete) => {
            if (!isComplete) nextAtMs = Number.NEGATIVE_INFINITY
          },
          () => {},
        )
        .finally(() => {
          running = undefined
        })
    }
    return running ?? Promise.resolve()
  }
}
