import { execFile } from 'node:child_process'
import { constants, promises as fs } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

/** The first folder of a `PATH` that contains all of these programs. */
export async function folderWith(names: readonly string[], path = ''): Promise<string | undefined> {
  for (const folder of path.split(delimiter).filter((name) => name !== '')) {
    const found = await Promise.all(names.map((name) => isExecutable(join(folder, name))))
    if (found.every(Boolean)) return folder
  }
  return undefined
}

/** The stdout of a program; `undefined` when the program fails or does not exist. */
export async function outputOf(program: string, args: readonly string[], options = {}): Promise<string | undefined> {
  return promisify(execFile)(program, args, { encoding: 'utf8', ...options }).then(
    ({ stdout }) => stdout,
    () => undefined,
  )
}

async function isExecutable(path: string): Promise<boolean> {
  return fs.access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
