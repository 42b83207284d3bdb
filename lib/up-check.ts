import { type Clock, systemClock } from './clock.ts'
import { withinDeadline } from './deadline.ts'

/** The shortest time between two checks, and the timeout of a check. */
const SECOND_MS = 1_000

/**
 * Creates a function that returns whether a server is up, within one second. Calls share one check, and its result for
 * a second, so that frequent calls cost one query per second. After a timeout no further check starts until the old one
 * ends: a server that hangs holds at most one connection of the pool.
 * @param check rejects if the server is not up.
 */
export function createUpCheck(check: () => Promise<unknown>, clock: Clock = systemClock): () => Promise<boolean> {
  let isChecking = false
  let startedAtMs = Number.NEGATIVE_INFINITY
  let result = Promise.resolve(false)

  return () => {
    const now = clock.now()
    if (!isChecking && now - startedAtMs >= SECOND_MS) {
      isChecking = true
      startedAtMs = now
      const checking = check().finally(() => {
        isChecking = false
      })
      result = withinDeadline(clock, SECOND_MS, checking).then(
        () => true,
        () => false,
      )
    }
    return result
  }
}
