import type { Clock } from './clock.ts'

/** What `work` gives, if it does so in time; what comes later is not looked at. */
export function withinDeadline<T>(clock: Clock, deadlineMs: number, work: Promise<T>): Promise<T> {
  let cancel: () => void
  const tooLate = new Promise<never>((_resolve, reject) => {
    cancel = clock.schedule(deadlineMs, () => reject(new Error(`expected an answer within ${deadlineMs} ms`)))
  })
  return Promise.race([work, tooLate]).finally(() => cancel())
}
