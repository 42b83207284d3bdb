import { execFile } from 'node:child_process'
import { cp, mkdir, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { temporaryDirectory } from './temporary-directory.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/**
 * The arguments of `env` that give a program what a terminal would: without what tap has put into the environment to
 * follow its own processes.
 */
export function plainEnvironment(more: Record<string, string> = {}): string[] {
  const kept = Object.entries(process.env).filter(([name]) =>
    /^(?:PATH|HOME|TMPDIR|npm_config_(?:userconfig|globalconfig|cache))$/.test(name),
  )
  return ['-i', ...[...kept, ...Object.entries(more)].map(([name, value]) => `${name}=${value}`)]
}

/** Runs a program to its end in a plain environment; answers what it wrote. */
export async function runIn(cwd: string, file: string, ...args: string[]): Promise<string> {
  return (await promisify(execFile)('env', [...plainEnvironment(), file, ...args], { cwd })).stdout
}

/** A copy of the project as it is now, with its packages installed, to build and start things in. */
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
