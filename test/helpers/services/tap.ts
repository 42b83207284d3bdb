import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const CONFIGURATION = new URL('../../../.taprc', import.meta.url)

/**
 * The program `tap`, compiled for the plugins of `.taprc`: 8 s of CPU, spent once for each installation and `.taprc`.
 */
export async function provideTap(): Promise<string> {
  const require = createRequire(import.meta.url)
  const tap = require.resolve('tap/package.json')
  const program = join(dirname(tap), 'dist', 'esm', 'run.mjs')
  // What is compiled lies in this package, and goes with it.
  const mark = join(dirname(createRequire(tap).resolve('@tapjs/test/package.json')), 'test-built', 'taprc')
  const wanted = await readFile(CONFIGURATION, 'utf8')
  if ((await readFile(mark, 'utf8').catch(() => '')) === wanted) return program
  // tap itself compiles when it has to, but too late for the files that it then runs: they fail.
  await promisify(execFile)(process.execPath, [program, 'build'], { cwd: dirname(fileURLToPath(CONFIGURATION)) })
  await writeFile(mark, wanted)
  return program
}
