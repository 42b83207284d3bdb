import { type FileHandle, open } from 'node:fs/promises'
import { messageOf } from '../../lib/errors.ts'
import { createSplitter, type LineSplitter, type LogLine } from './read-lines.ts'
import { findRotated, idOf, ifMissing } from './rotated-files.ts'
import { isPlain, MAGIC_BYTES } from './unpack.ts'

/** How long a renamed log may stay unchanged (ms) until it is closed: servers write into it until they open the new one. */
const RENAMED_MS = 600_000
const PIECE_BYTES = 1024 * 1024
/** How many bytes before the position are compared: a file that was truncated and has grown again has others. */
const COMPARED_BYTES = 64

/** A log that a server writes, and that is rotated. */
export interface GrowingLog {
  path: string
  /**
   * Reads the lines that are new, of the file and of the one that it was before a rotation. A line without its end is
   * read later.
   * @throws an error for the user, if a file cannot be read.
   */
  readNew(): AsyncGenerator<LogLine[], void>
  /**
   * The rotation that the last read found. After a copy, the lines that were written right before it are in the copy
   * only; after a rename, there may have been others before it.
   */
  rotation(): 'rename' | 'copy' | undefined
  /** The rotated files that changed since a time in milliseconds since the epoch, but for those that are read anyway. */
  rotatedSince(sinceMs: number): Promise<string[]>
  close(): Promise<void>
}

/**
 * Opens a log at its beginning. A rotation is a rename, after which a new file has the path, or a copy, after which the
 * file is truncated (`copytruncate`).
 * @param nowMs returns the present, in milliseconds since the epoch.
 * @throws an error for the user, if it is no plain file.
 */
export async function openGrowingLog(path: string, nowMs: () => number): Promise<GrowingLog> {
  let current = await openFile(path)
  let renamed: { file: OpenFile; changedMs: number } | undefined
  let rotation: ReturnType<GrowingLog['rotation']>

  async function closeRenamed(): Promise<void> {
    await renamed?.file.handle.close()
    renamed = undefined
  }

  return {
    path,
    rotation: () => rotation,
    async rotatedSince(sinceMs) {
      const read = [current.id, renamed?.file.id]
      const files = await findRotated(path)
      return files.filter(({ id, changedMs }) => changedMs >= sinceMs && !read.includes(id)).map(({ file }) => file)
    },
    async *readNew() {
      if (renamed !== undefined) {
        const { file, changedMs } = renamed
        const before = file.position
        yield* linesFrom(file)
        if (file.position !== before) renamed.changedMs = nowMs()
        else if (nowMs() - changedMs >= RENAMED_MS) {
          yield* lastLineOf(file)
          await closeRenamed()
        }
      }
      rotation = (yield* linesFrom(current)) ? 'copy' : undefined
      // Between the rename and the creation of the new file there is none.
      const next = await openFile(path).catch(ifMissing)
      if (next?.id === current.id) await next.handle.close()
      if (next === undefined || next.id === current.id) return
      if (renamed !== undefined) yield* lastLineOf(renamed.file)
      await closeRenamed()
      renamed = { file: current, changedMs: nowMs() }
      current = next
      rotation = 'rename'
      yield* linesFrom(current)
    },
    async close() {
      await closeRenamed()
      await current.handle.close()
    },
  }
}

interface OpenFile {
  handle: FileHandle
  id: string
  position: number
  /** The last bytes before the position. */
  before: Buffer
  splitter: LineSplitter
}

async function openFile(path: string): Promise<OpenFile> {
  let handle: FileHandle
  try {
    handle = await open(path)
  } catch (error) {
    throw new Error(`Cannot open ${path}: ${messageOf(error)}`, { cause: error })
  }
  const stats = await handle.stat({ bigint: true })
  const head = stats.isFile() ? await readAt(handle, 0, MAGIC_BYTES) : undefined
  if (head === undefined || !isPlain(head)) {
    await handle.close()
    const what = head === undefined ? 'no file' : 'compressed, or UTF-16'
    throw new Error(`--follow needs files that a server writes, as text in UTF-8: ${path} is ${what}.`)
  }
  return { handle, id: idOf(stats), ...atStart() }
}

const atStart = () => ({ position: 0, before: Buffer.alloc(0), splitter: createSplitter() })

/** Returns whether the file was truncated. */
async function* linesFrom(file: OpenFile): AsyncGenerator<LogLine[], boolean> {
  const { size } = await file.handle.stat()
  const isTruncated = size < file.position || (size > file.position && !(await hasSameBytes(file)))
  if (isTruncated) Object.assign(file, atStart())
  while (file.position < size) {
    const piece = await readAt(file.handle, file.position, Math.min(PIECE_BYTES, size - file.position))
    // Truncated since its size was read: the next read sees it.
    if (piece.length === 0) break
    file.position += piece.length
    file.before = Buffer.concat([file.before, piece.subarray(-COMPARED_BYTES)]).subarray(-COMPARED_BYTES)
    yield file.splitter.split(piece)
  }
  return isTruncated
}

/** The last line of a file that is finished, if it has no line end. */
function* lastLineOf({ splitter }: OpenFile): Generator<LogLine[], void> {
  const last = splitter.end()
  if (last !== undefined) yield [last]
}

async function hasSameBytes({ handle, position, before }: OpenFile): Promise<boolean> {
  return before.equals(await readAt(handle, position - before.length, before.length))
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, position)
  return buffer.subarray(0, bytesRead)
}
