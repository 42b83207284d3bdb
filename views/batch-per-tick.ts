/**
 * Batches the calls of one tick of the event loop: `runBatch` gets all of them, at most `maxBatch` at once. Each call resolves
 * to the result at its own index. When `runBatch` rejects, all calls of the batch reject with its error.
 */
export function batchPerTick<T, R>(
  runBatch: (inputs: T[]) => Promise<readonly R[]>,
  maxBatch: number,
): (input: T) => Promise<R | undefined> {
  interface PendingCall {
    input: T
    resolve: (result: R | undefined) => void
    reject: (error: unknown) => void
  }
  let pending: PendingCall[] = []

  function send(): void {
    const batch = pending
    pending = []
    runBatch(batch.map(({ input }) => input)).then(
      (results) => batch.forEach(({ resolve }, index) => void resolve(results[index])),
      (error: unknown) => batch.forEach(({ reject }) => void reject(error)),
    )
  }

  return (input) =>
    new Promise((resolve, reject) => {
      pending.push({ input, resolve, reject })
      if (pending.length === maxBatch) send()
      // `setImmediate` runs after the sockets are read, so the batch has all requests of this tick.
      else if (pending.length === 1) setImmediate(() => pending.length > 0 && send())
    })
}
