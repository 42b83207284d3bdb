import { type Counts, createLogCounter, type LogCounter, type LogCounterOptions } from './log-counter.ts'
import { readLines } from './read-lines.ts'

/** The pieces of a log. */
export type LogPieces = AsyncIterable<Uint8Array | string>

/** Options of {@link importLog}. */
export interface ImportLogOptions extends Omit<LogCounterOptions, 'nowMs'> {
  /** The present, in milliseconds since the epoch. */
  nowMs: number
  /** The log, plain or compressed (see `unpack`): a stream or another iterable of pieces; or several logs, in any order. */
  input: LogPieces | readonly LogPieces[]
  /** Ends reading: the lines read so far are counted. */
  signal?: AbortSignal | undefined
  /** Called after each piece. Bytes are counted before unpacking. */
  onProgress?: ((progress: { bytes: number; lines: number }) => void) | undefined
}

/** The result of an import. */
export interface Summary extends Counts {
  /** The error that ended reading before the end of a log; the lines before it were counted. */
  stoppedBy: Error | undefined
  /** The index of that log. */
  stoppedAt: number | undefined
}

/**
 * Counts the views in an access log, each exactly once, however often the log is imported. Memory does not grow with
 * the log. A killed process leaves whole chunks counted; the next import counts the rest.
 * @returns also if the log cannot be read to its end: see {@link Summary.stoppedBy}.
 * @throws the error of PostgreSQL; the chunks before it are counted, and the next import continues.
 */
export async function importLog(options: ImportLogOptions): Promise<Summary> {
  const { input } = options
  const counter = await createLogCounter({ ...options, nowMs: () => options.nowMs })
  const stopped = await readLogs(counter, 'length' in input ? input : [input], options)
  await counter.count()
  return { ...(await counter.counts()), ...stopped }
}

/** Reads logs to their ends, all of them, also after one that has an error. */
export async function readLogs(
  counter: LogCounter,
  logs: readonly LogPieces[],
  { signal, onProgress = () => {} }: Pick<ImportLogOptions, 'signal' | 'onProgress'>,
): Promise<Pick<Summary, 'stoppedBy' | 'stoppedAt'>> {
  let bytes = 0
  const batchesOf = (log: LogPieces) =>
    readLines(log, (count) => {
      bytes += count
    })
  let stoppedBy: Error | undefined
  let stoppedAt: number | undefined
  const isStopped = () => signal?.aborted === true
  for (const [index, log] of logs.entries()) {
    if (isStopped()) break
    const read = counter.beginLog()
    const error = await forEachUntilError(batchesOf(log), async (lines) => {
      await read(lines)
      onProgress({ bytes, lines: counter.lines() })
    })
    if (error === undefined || stoppedBy !== undefined || isStopped()) continue
    stoppedBy = error
    stoppedAt = index
  }
  return { stoppedBy, stoppedAt }
}

/** Returns an error of the source, and throws an error of `each`. */
export async function forEachUntilError<T>(
  source: AsyncGenerator<T, void>,
  each: (item: T) => Promise<void>,
): Promise<Error | undefined> {
  try {
    for (;;) {
      const next = await source.next().catch(toError)
      if (next instanceof Error) return next
      if (next.done === true) return undefined
      await each(next.value)
    }
  } finally {
    await source.return()
  }
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}
