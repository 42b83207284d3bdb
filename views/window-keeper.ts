import { codeOf } from '../lib/errors.ts'

/** How often a process verifies that the sums are those of the present day, in milliseconds. */
const EVERY_MS = 60_000
/** After this time a call starts no further slice: a flush on AWS Lambda waits for it. */
const BUDGET_MS = 10_000
/** After a refusal no sum is stored for this time: each attempt is an error in the log of PostgreSQL. */
const REFUSED_MS = 600_000
/** The user may not write, or the server is a standby, as for a moment in a failover. */
const REFUSALS = /^(?:42501|25006)$/

/**
 * Creates a function that stores the sums of windows for about ten seconds (see `db/window-rollups.ts`), once a minute at most
 * when all are stored. Its promise never rejects: lists are the same without these sums.
 * @param store stores the sums that are missing, until `isOver`. Returns `false` if some are still missing: then the next call
 *   continues. After an error, the next minute does; where the user may not write, ten minutes later.
 */
export function createWindowKeeper(
  store: (isOver: () => boolean) => Promise<boolean>,
  nowMs = () => performance.now(),
): () => Promise<void> {
  let running: Promise<void> | undefined
  let nextAtMs = Number.NEGATIVE_INFINITY
  return () => {
    if (running === undefined && nowMs() >= nextAtMs) {
      const startedAtMs = nowMs()
      nextAtMs = startedAtMs + EVERY_MS
      running = store(() => nowMs() >= startedAtMs + BUDGET_MS)
        .then(
          (isComplete) => {
            if (!isComplete) nextAtMs = Number.NEGATIVE_INFINITY
          },
          (error: unknown) => {
            if (REFUSALS.test(codeOf(error))) nextAtMs = startedAtMs + REFUSED_MS
          },
        )
        .finally(() => {
          running = undefined
        })
    }
    return running ?? Promise.resolve()
  }
}
