import { execFile } from 'node:child_process'
import { cp, mkdir, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { temporaryDirectory } from './temporary-directory.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The arguments of `env` that give a program the environment of a terminal, without the variables that tap adds. */
export function plainEnvironment(more: Record<string, string> = {}): string[] {
  const kept = Object.entries(process.env).filter(([name]) =>
    /^(?:PATH|HOME|TMPDIR|npm_config_(?:userconfig|globalconfig|cache))$/.test(name),
  )
  return ['-i', ...[...kept, ...Object.entries(more)].map(([name, value]) => `${name}=${value}`)]
}

/** Runs a program in a plain environment until it ends. Resolves to its stdout. */
export async function runIn(cwd: string, file: string, ...args: string[]): Promise<string> {
  return (await promisify(execFile)('env', [...plainEnvironment(), file, ...args], { cwd })).stdout
}

/** Copies the project in its current state, with a link to its installed packages. Resolves to the folder. */
export async function checkOut(t: { teardown(end: () => Promise<void>): unknown }): Promise<string> {
  const directory = join(await temporaryDirectory(t), 'project')
  const files = await runIn(root, 'git', 'ls-files', '--cached', '--others', '--exclude-standard')
  for (const file of files.trim().split('\n')) {
    await mkdir(dirname(join(directory, file)), { recursive: true })
    await cp(join(root, file), join(directory, file))
  }
  await symlink(join(root, 'node_modules'), join(directory, 'node_modules'))
  return directory
}
