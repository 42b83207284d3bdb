import { createReadStream } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { readLastHour } from '../../db/log-imports.ts'
import type { GrowingLog } from './growing-log.ts'
import { forEachUntilError, readLogs, type Summary } from './import-log.ts'
import { createLogCounter, type LogCounter, type LogCounterOptions } from './log-counter.ts'
import { findSuccessor } from './rotated-files.ts'

/** How long (ms) the process waits until it reads again. */
const POLL_MS = 1000
/** The times of files are less exact than those of the clock. */
const FILE_TIME_MS = 5000
/** The times in a log may be in a wrong zone, and several logs are not read at the same moment. */
const LOG_TIME_MS = 86_400_000
/** How a file is imported by hand. */
const BY_HAND =
  'popular-posts import-log FILE, with the options of this command but --follow, counts each of its lines once.'
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
  const rotated: string[] = []
  if (lastMs !== undefined)
    for (const log of logs) rotated.push(...(await readRotated(log, lastMs - LOG_TIME_MS, counter, options)))
  let mayHaveGap = lastMs !== undefined
  const readers = logs.map((log) => ({ log, read: counter.beginLog(), warnOfSuccessor: onceOfSuccessor(log, options) }))
  let polledMs = options.nowMs()
  while (!signal.aborted) {
    const startedMs = options.nowMs()
    for (const [stoppedAt, { log, read, warnOfSuccessor }] of readers.entries()) {
      const stoppedBy = await forEachUntilError(log.readNew(), async (lines) => {
        if (!signal.aborted) await read(lines)
      })
      if (stoppedBy !== undefined) return { ...(await endOf(counter)), stoppedBy, stoppedAt }
      await warnOfSuccessor()
      const rotation = log.rotation()
      if (rotation === undefined) continue
      const files = await readRotated(log, polledMs - FILE_TIME_MS, counter, options)
      if (rotation === 'copy' && files.length === 0)
        options.warn(
          `${log.path} was truncated, and there is no copy beside it: lines that were written right before that may not be counted. If there is a copy elsewhere: ${BY_HAND}`,
        )
    }
    polledMs = startedMs
    await counter.count()
    if (mayHaveGap && !counter.hasKnown()) options.warn(gapSentence(source, rotated))
    mayHaveGap = false
    options.onProgress({ bytes: 0, lines: counter.lines() })
    if (counter.isUnreadable() && counter.lines() >= MIN_LINES) break
    await sleep(POLL_MS, undefined, { signal }).catch(() => undefined)
  }
  return { ...(await endOf(counter)), stoppedBy: undefined, stoppedAt: undefined }
}

/** The files of a log are continuous where one of them has views that were counted before. */
function gapSentence(source: string, rotated: readonly string[]): string {
  const files = rotated.length === 0 ? 'no rotated file was found beside it' : `nor in ${rotated.join(', ')}`
  return `No view that an earlier import of ${source} counted is in it (${files}): the lines between may be in a file that was rotated to another name or folder. If there is one: ${BY_HAND}`
}

/** Warns once when another file seems to continue a log. */
function onceOfSuccessor({ path }: GrowingLog, { warn }: FollowOptions): () => Promise<void> {
  let hasWarned = false
  return async () => {
    const successor = hasWarned ? undefined : await findSuccessor(path)
    if (successor === undefined) return
    hasWarned = true
    warn(
      `${path} has not grown for ten minutes, but ${successor} has. If the server writes there now, follow that file, and import the end of this one. ${BY_HAND}`,
    )
  }
}

async function endOf(counter: LogCounter) {
  await counter.count()
  return counter.counts()
}

/**
 * Reads the rotated files of a log. Lines that were counted before count nothing.
 * @returns their paths.
 */
async function readRotated(
  log: GrowingLog,
  sinceMs: number,
  counter: LogCounter,
  { signal, warn }: FollowOptions,
): Promise<string[]> {
  const files = await log.rotatedSince(sinceMs)
  for (const file of files) {
    const { stoppedBy } = await readLogs(counter, [createReadStream(file, { signal })], { signal })
    if (stoppedBy !== undefined) warn(`${file}: ${stoppedBy.message}`)
  }
  return files
}
