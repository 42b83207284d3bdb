import { setTimeout as sleep } from 'node:timers/promises'
import { loggedError } from '../lib/logged-error.ts'
import type { Logger } from '../lib/logger.ts'

/**
 * The stages of closing, in their order, and how long a part of each may take without progress (ms). The sum is below
 * 4 s: an orchestrator kills a process after 10 s or more.
 */
const STAGES = { work: 1_000, views: 1_500, connections: 750 }

/** Closes one part. A part with much to do calls `onProgress` after each step, and gets its whole time again. */
type ClosePart = (onProgress: () => void) => Promise<unknown>

/** Closes the parts of an app. */
export interface Closer {
  /** Adds a part. Parts of one stage close at the same time. `name` is for the log: `cannot close ${name}`. */
  add(stage: keyof typeof STAGES, name: string, close: ClosePart): void
  /** Closes all parts. A part that fails, or makes no progress, is logged and left alone. Never rejects. */
  close(): Promise<void>
}

/** Creates a closer: a server that does not reply delays the end of a process by a few seconds at most. */
export function createCloser(log: Pick<Logger, 'warn'>): Closer {
  const parts: { stage: keyof typeof STAGES; name: string; close: ClosePart }[] = []

  async function closePart(name: string, close: ClosePart, boundMs: number): Promise<void> {
    let isDone = false
    let isProgressing = true
    const closing = close(() => {
      isProgressing = true
    }).then(
      () => {
        isDone = true
      },
      (error: unknown) => {
        isDone = true
        log.warn({ err: loggedError(error), part: name }, 'popular posts: a part of the app failed to close')
      },
    )
    while (!isDone && isProgressing) {
      isProgressing = false
      const timeout = new AbortController()
      await Promise.race([closing, sleep(boundMs, undefined, { signal: timeout.signal }).catch(() => {})])
      timeout.abort()
    }
    if (!isDone)
      log.warn(
        { part: name, afterMs: boundMs },
        'popular posts: a part of the app did not close in time, and is dropped',
      )
  }

  return {
    add: (stage, name, close) => void parts.push({ stage, name, close }),
    async close() {
      for (const [stage, boundMs] of Object.entries(STAGES)) {
        const inStage = parts.filter((part) => part.stage === stage)
        await Promise.all(inStage.map(({ name, close }) => closePart(name, close, boundMs)))
      }
    },
  }
}
