import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const CONFIGURATION = new URL('../../../.taprc', import.meta.url)

/** Compiles tap for the plugins of `.taprc` (8 s of CPU, once for each installation and `.taprc`). Returns its path. */
export async function provideTap(): Promise<string> {
  const require = createRequire(import.meta.url)
  const tap = require.resolve('tap/package.json')
  const program = join(dirname(tap), 'dist', 'esm', 'run.mjs')
  // The compiled files are in this package, and are removed with it.
  const mark = join(dirname(createRequire(tap).resolve('@tapjs/test/package.json')), 'test-built', 'taprc')
  const expected = await readFile(CONFIGURATION, 'utf8')
  if ((await readFile(mark, 'utf8').catch(() => '')) === expected) return program
  // tap would compile by itself, but too late: the test files of that run fail.
  await promisify(execFile)(process.execPath, [program, 'build'], { cwd: dirname(fileURLToPath(CONFIGURATION)) })
  await writeFile(mark, expected)
  return program
}
