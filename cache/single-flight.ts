/** Shares one read of an entry among all readers of this process that come before it ends. */
export interface SingleFlight<Result> {
  /**
   * Joins the read of `key` that is in flight, or starts one.
   * @param sinceMs when the reader came.
   * @param run the read; it does not throw synchronously.
   * @returns the result, and whether the reader has joined a read of another reader. A rejection reaches all readers.
   */
  joinOrStart(key: string, sinceMs: number, run: () => Promise<Result>): Promise<{ result: Result; hasWaited: boolean }>
  /** Later readers join no read of `key`, or of any key, that is in flight now. The readers that have joined are still answered. */
  clear(key?: string): void
}

/**
 * @param maxStaleMs how much older than a reader a result may be (ms).
 *
 * Race 1, a suspended process:
 * 1. A read asks the store.
 * 2. The process is suspended.
 * 3. Another process makes a hard invalidation, and the store confirms it.
 * 4. The process resumes, and a reader joins the read.
 * 5. The reply of step 1 arrives. It is valid for readers from before step 3, and too old for the reader of step 4:
 *    that one joins the next read, or starts it. `asOfMs` tells, because step 3 takes `maxStaleMs` until its caller is
 *    answered.
 *
 * Race 2, an invalidation in this process:
 * 1. Read A is in flight.
 * 2. `invalidate` clears the map.
 * 3. A reader starts read B of the same key.
 * 4. Read A ends. It must not remove read B from the map, so it removes only itself.
 */
export function createSingleFlight<
  Result extends {
    /** The result reflects every invalidation that was confirmed before this time (ms). */
    asOfMs: number
  },
>(maxStaleMs: number): SingleFlight<Result> {
  const inFlight = new Map<string, Promise<Result>>()

  function startRead(key: string, run: () => Promise<Result>): Promise<Result> {
    const started = run().finally(() => {
      // Race 2, step 4.
      if (inFlight.get(key) === started) inFlight.delete(key)
    })
    inFlight.set(key, started)
    return started
  }

  async function joinOrStart(
    key: string,
    sinceMs: number,
    run: () => Promise<Result>,
  ): Promise<{ result: Result; hasWaited: boolean }> {
    const pending = inFlight.get(key)
    if (pending === undefined) return { result: await startRead(key, run), hasWaited: false }
    const result = await pending
    // Race 1, step 5.
    const isTooOld = sinceMs > result.asOfMs && sinceMs - result.asOfMs >= maxStaleMs
    return isTooOld ? joinOrStart(key, sinceMs, run) : { result, hasWaited: true }
  }

  return { joinOrStart, clear: (key) => (key === undefined ? inFlight.clear() : void inFlight.delete(key)) }
}
