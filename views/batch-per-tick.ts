/**
 * Puts together what is asked in one turn of the event loop: one call of `askAll` for all of it, and at most `most` at
 * once. Each gets the answer in its own place; when the call fails, all get its error.
 */
export function batchPerTick<T, R>(
  runBatch: (questions: T[]) => Promise<readonly R[]>,
  maxBatch: number,
): (question: T) => Promise<R | undefined> {
  interface PendingCall {
    question: T
    resolve: (answer: R | undefined) => void
    reject: (error: unknown) => void
  }
  let pending: PendingCall[] = []

  function send(): void {
    const batch = pending
    pending = []
    runBatch(batch.map(({ question }) => question)).then(
      (answers) => batch.forEach(({ resolve }, index) => void resolve(answers[index])),
      (error: unknown) => batch.forEach(({ reject }) => void reject(error)),
    )
  }

  return (question) =>
    new Promise((resolve, reject) => {
      pending.push({ question, resolve, reject })
      if (pending.length === maxBatch) send()
      // After the sockets were read, so that all requests of this turn are in.
      else if (pending.length === 1) setImmediate(() => pending.length > 0 && send())
    })
}
