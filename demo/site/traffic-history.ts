/** Requests for lists and queries of the database since the start. */
export interface Traffic {
  requests: number
  queries: number
}

const SECONDS = 60

/**
 * Records the growth of both counters in each of the last 60 seconds, the oldest first. Call `sample` once a second.
 */
export function createTrafficHistory(read: () => Traffic) {
  const grown: Traffic[] = Array.from({ length: SECONDS }, () => ({ requests: 0, queries: 0 }))
  let last = read()
  return {
    sample(): void {
      const now = read()
      grown.push({ requests: now.requests - last.requests, queries: now.queries - last.queries })
      grown.shift()
      last = now
    },
    read: (): Record<keyof Traffic, number[]> => ({
      requests: grown.map(({ requests }) => requests),
      queries: grown.map(({ queries }) => queries),
    }),
  }
}
