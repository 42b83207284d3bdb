import { createReadStream } from 'node:fs'
import { type FileHandle, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { messageOf } from '../../lib/errors.ts'

/** An open log. */
export interface OpenLog {
  /** The path, or `standard input`. */
  name: string
  input: Readable
  /** The size before unpacking; `undefined`: unknown. */
  bytes: number | undefined
}

/**
 * Opens logs: files, the files of folders by their names (not of folders in them), and `-` for standard input.
 * @throws an error for the user, if one cannot be opened; all are closed then.
 */
export async function openLogs(paths: readonly string[], stdin: Readable): Promise<OpenLog[]> {
  const logs: OpenLog[] = []
  try {
    for (const path of paths) {
      if (path === '-') logs.push({ name: 'standard input', input: stdin, bytes: undefined })
      else logs.push(...(await openPath(path)))
    }
    return logs
  } catch (error) {
    closeLogs(logs)
    throw error
  }
}

export function closeLogs(logs: readonly OpenLog[]): void {
  for (const { input } of logs) input.destroy()
}

async function openPath(path: string, isInFolder = false): Promise<OpenLog[]> {
  let handle: FileHandle
  try {
    handle = await open(path)
  } catch (error) {
    throw new Error(`Cannot open ${path}: ${messageOf(error)}`, { cause: error })
  }
  const stats = await handle.stat()
  if (!stats.isDirectory()) {
    const input = createReadStream(path, { fd: handle, highWaterMark: 256 * 1024 })
    return [{ name: path, input, bytes: stats.isFile() ? stats.size : undefined }]
  }
  await handle.close()
  if (isInFolder) return []
  const names = (await readdir(path)).filter((name) => !name.startsWith('.')).sort()
  const logs: OpenLog[] = []
  try {
    for (const name of names) logs.push(...(await openPath(join(path, name), true)))
  } catch (error) {
    closeLogs(logs)
    throw error
  }
  if (logs.length === 0) throw new Error(`${path} has no files, expected a log file, or a folder with logs.`)
  return logs
}
