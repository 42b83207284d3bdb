import { StartupError } from '../lib/errors.ts'
import { ConfigError } from './config.ts'

/**
 * Runs a program's main function. What its user can mend is told in a sentence on stderr; everything else in full.
 * Either way the process ends with exit code 1.
 */
export async function run(main: () => Promise<void>): Promise<void> {
  try {
    await main()
  } catch (error) {
    const isTheirs = error instanceof ConfigError || error instanceof StartupError
    process.stderr.write(`${isTheirs ? error.message : inFull(error)}\n`)
    process.exitCode = 1
  }
}

function inFull(error: unknown): string {
  return (error instanceof Error && error.stack) || String(error)
}
