import { createReadStream } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { readLastHour } from '../../db/log-imports.ts'
import type { GrowingLog } from './growing-log.ts'
import { forEachUntilError, readLogs, type Summary } from './import-log.ts'
import { createLogCounter, type LogCounter, type LogCounterOptions } from './log-counter.ts'

/** How long (ms) the process waits until it reads again. */
const POLL_MS = 1000
/** The times of files are less exact than those of the clock. */
const FILE_TIME_MS = 5000
/** The times in a log may be in a wrong zone, and several logs are not read at the same moment. */
const LOG_TIME_MS = 86_400_000
/** After this many lines of which none can be read, the log has another format. */
const MIN_LINES = 10

interface FollowOptions extends LogCounterOptions {
  logs: readonly GrowingLog[]
  /** The logs, for people: an import of the same logs is continued. */
  source: string
  /** Ends following. */
  signal: AbortSignal
  /** Called after each time that the logs were read; `bytes` is 0. */
  onProgress(progress: { bytes: number; lines: number }): void
  /** Is called with a sentence for the user. */
  warn(sentence: string): void
}

/**
 * Counts the lines of logs as servers write them, until the signal: one import, each line once. If an earlier import had
 * the same logs, the files that were rotated since the day before its last visit are read first: it may have been killed before.
 * @returns also if a log cannot be read, or has no line that can be counted.
 * @throws the error of PostgreSQL; what was counted before stays, and the next import continues.
 */
export async function followLogs(options: FollowOptions): Promise<Summary> {
  const { db, logs, signal, source } = options
  const counter = await createLogCounter(options)
  const lastMs = await readLastHour(db, source, options.nowMs())
  if (lastMs !== undefined) for (const log of logs) await readRotated(log, lastMs - LOG_TIME_MS, counter, options)
  const readers = logs.map((log) => ({ log, read: counter.beginLog() }))
  let polledMs = options.nowMs()
  while (!signal.aborted) {
    const startedMs = options.nowMs()
    for (const [stoppedAt, { log, read }] of readers.entries()) {
      const stoppedBy = await forEachUntilError(log.readNew(), async (lines) => {
        if (!signal.aborted) await read(lines)
      })
      if (stoppedBy !== undefined) return { ...(await endOf(counter)), stoppedBy, stoppedAt }
      const rotation = log.rotation()
      if (rotation === undefined) continue
      const files = await readRotated(log, polledMs - FILE_TIME_MS, counter, options)
      if (rotation === 'copy' && files === 0)
        options.warn(
          `${log.path} was truncated, and there is no copy beside it: lines that were written right before that may not be counted. Import the copy: each line counts once.`,
        )
    }
    polledMs = startedMs
    await counter.count()
    options.onProgress({ bytes: 0, lines: counter.lines() })
    if (counter.isUnreadable() && counter.lines() >= MIN_LINES) break
    await sleep(POLL_MS, undefined, { signal }).catch(() => undefined)
  }
  return { ...(await endOf(counter)), stoppedBy: undefined, stoppedAt: undefined }
}

async function endOf(counter: LogCounter) {
  await counter.count()
  return counter.counts()
}

/**
 * Reads the rotated files of a log. Lines that were counted before count nothing.
 * @returns how many there are.
 */
async function readRotated(
  log: GrowingLog,
  sinceMs: number,
  counter: LogCounter,
  { signal, warn }: FollowOptions,
): Promise<number> {
  const files = await log.rotatedSince(sinceMs)
  for (const file of files) {
    const { stoppedBy } = await readLogs(counter, [createReadStream(file, { signal })], { signal })
    if (stoppedBy !== undefined) warn(`${file}: ${stoppedBy.message}`)
  }
  return files.length
}
