import { setTimeout as sleep } from 'node:timers/promises'

/** Waits for something outside this process to become true; rejects after `timeoutMs`, naming what did not. */
export async function until(isTrue: () => boolean | Promise<boolean>, what: string, timeoutMs = 60_000): Promise<void> {
  const deadlineMs = Date.now() + timeoutMs
  while (!(await isTrue())) {
    if (Date.now() > deadlineMs) throw new Error(`waited ${timeoutMs} ms in vain until ${what}`)
    await sleep(10)
  }
}
