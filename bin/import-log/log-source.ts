import type { Readable } from 'node:stream'
import { followLogs } from './follow.ts'
import { type GrowingLog, openGrowingLog } from './growing-log.ts'
import { importLog, type Summary } from './import-log.ts'
import type { LogCounterOptions } from './log-counter.ts'
import { closeLogs, type OpenLog, openLogs } from './open-logs.ts'
import type { Progress } from './progress.ts'

/** Open logs. */
export interface LogSource {
  names: readonly string[]
  /** The size before unpacking; `undefined`: unknown. */
  bytes: number | undefined
  /** Whether reading goes on until the signal. */
  isFollowed: boolean
  read(counting: LogCounterOptions, onProgress: Progress['update']): Promise<Summary>
  close(): Promise<void>
}

interface LogSourceOptions {
  isFollowing: boolean
  stdin: Readable
  nowMs(): number
  /** Ends reading. */
  signal: AbortSignal
  /** Is called with a sentence for the user. */
  warn(sentence: string): void
}

/** @throws an error for the user, if a log cannot be opened; all are closed then. */
export async function openSource(paths: readonly string[], options: LogSourceOptions): Promise<LogSource> {
  return options.isFollowing ? openFollowed(paths, options) : openFinished(paths, options)
}

async function openFinished(paths: readonly string[], { stdin, signal }: LogSourceOptions): Promise<LogSource> {
  const logs = await openLogs(paths.length === 0 ? ['-'] : paths, stdin)
  // Ends also a read that waits for the next line.
  signal.addEventListener('abort', () => closeLogs(logs))
  const input = logs.map((log) => log.input)
  const names = logs.map(({ name }) => name)
  return {
    names,
    bytes: sizeOf(logs),
    isFollowed: false,
    read: (counting, onProgress) =>
      importLog({ ...counting, source: names.join(', '), nowMs: counting.nowMs(), input, signal, onProgress }),
    close: async () => closeLogs(logs),
  }
}

async function openFollowed(paths: readonly string[], { nowMs, signal, warn }: LogSourceOptions): Promise<LogSource> {
  const logs: GrowingLog[] = []
  const close = async () => {
    for (const log of logs) await log.close()
  }
  try {
    for (const path of paths) logs.push(await openGrowingLog(path, nowMs))
  } catch (error) {
    await close()
    throw error
  }
  return {
    names: paths,
    bytes: undefined,
    isFollowed: true,
    read: (counting, onProgress) =>
      followLogs({ ...counting, source: paths.join(', '), logs, signal, warn, onProgress }),
    close,
  }
}

/** The size of all logs; `undefined`: unknown. */
function sizeOf(logs: readonly OpenLog[]): number | undefined {
  let size = 0
  for (const { bytes } of logs) {
    if (bytes === undefined) return undefined
    size += bytes
  }
  return size
}
