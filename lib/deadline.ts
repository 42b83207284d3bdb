import type { Clock } from './clock.ts'

/** Resolves like `work`, or rejects with `ETIMEDOUT` after `deadlineMs`. The work is not cancelled; a later result is ignored. */
export function withinDeadline<T>(clock: Clock, deadlineMs: number, work: Promise<T>): Promise<T> {
  let cancel: () => void
  const timeout = new Promise<never>((_resolve, reject) => {
    cancel = clock.schedule(deadlineMs, () => {
      const error = new Error(`Expected a reply within ${deadlineMs} ms, got none.`)
      reject(Object.assign(error, { code: 'ETIMEDOUT' }))
    })
  })
  return Promise.race([work, timeout]).finally(() => cancel())
}
