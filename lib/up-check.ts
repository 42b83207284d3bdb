import { type Clock, systemClock } from './clock.ts'
import { withinDeadline } from './deadline.ts'

/** A server is asked so often at most, and has so long to answer. */
const SECOND_MS = 1_000

/**
 * Makes a function that tells whether a server is up, in a second at the latest. Callers share one question, and its answer for a
 * second, so that a check that is called often costs one query a second. A question that is not answered in time
 * stays the only one until it ends: a server that hangs never holds more than one connection of the pool.
 * @param ask rejects where the server is not up.
 */
export function createUpCheck(ask: () => Promise<unknown>, clock: Clock = systemClock): () => Promise<boolean> {
  let isAsking = false
  let askedAtMs = Number.NEGATIVE_INFINITY
  let answer = Promise.resolve(false)

  return () => {
    const now = clock.now()
    if (!isAsking && now - askedAtMs >= SECOND_MS) {
      isAsking = true
      askedAtMs = now
      const asked = ask().finally(() => {
        isAsking = false
      })
      answer = withinDeadline(clock, SECOND_MS, asked).then(
        () => true,
        () => false,
      )
    }
    return answer
  }
}
