import type { Clock } from './clock.ts'

/** Resolves like `work`, or rejects after `deadlineMs`. The work is not cancelled; a later result is ignored. */
export function withinDeadline<T>(clock: Clock, deadlineMs: number, work: Promise<T>): Promise<T> {
  let cancel: () => void
  const timeout = new Promise<never>((_resolve, reject) => {
    cancel = clock.schedule(deadlineMs, () => reject(new Error(`Expected a reply within ${deadlineMs} ms, got none.`)))
  })
  return Promise.race([work, timeout]).finally(() => cancel())
}
