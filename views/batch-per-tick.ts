/**
 * Puts together what is asked in one turn of the event loop: one call of `askAll` for all of it, and at most `most` at
 * once. Each gets the answer in its own place; when the call fails, all get its error.
 */
export function together<T, R>(
  askAll: (questions: T[]) => Promise<readonly R[]>,
  most: number,
): (question: T) => Promise<R | undefined> {
  interface Asked {
    question: T
    resolve: (answer: R | undefined) => void
    reject: (error: unknown) => void
  }
  let asked: Asked[] = []

  function send(): void {
    const sent = asked
    asked = []
    askAll(sent.map(({ question }) => question)).then(
      (answers) => sent.forEach(({ resolve }, index) => void resolve(answers[index])),
      (error: unknown) => sent.forEach(({ reject }) => void reject(error)),
    )
  }

  return (question) =>
    new Promise((resolve, reject) => {
      asked.push({ question, resolve, reject })
      if (asked.length === most) send()
      // After the sockets were read, so that all requests of this turn are in.
      else if (asked.length === 1) setImmediate(() => asked.length > 0 && send())
    })
}
