import { setTimeout as sleep } from 'node:timers/promises'

/** Waits for a condition outside this process. @throws after `timeoutMs`, with `what` in the message. */
export async function until(isTrue: () => boolean | Promise<boolean>, what: string, timeoutMs = 60_000): Promise<void> {
  const deadlineMs = Date.now() + timeoutMs
  while (!(await isTrue())) {
    if (Date.now() > deadlineMs) throw new Error(`timeout after ${timeoutMs} ms: expected that ${what}`)
    await sleep(10)
  }
}
