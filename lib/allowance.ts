/**
 * Creates a function that allows something a number of times in each second.
 * @param now returns milliseconds since some fixed moment.
 */
export function createAllowance(now: () => number, perSecond: number): () => boolean {
  let sinceMs = Number.NEGATIVE_INFINITY
  let used = 0
  return () => {
    const nowMs = now()
    if (nowMs - sinceMs >= 1_000) {
      sinceMs = nowMs
      used = 0
    }
    used += 1
    return used <= perSecond
  }
}
