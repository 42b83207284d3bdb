import { StartupError } from '../lib/errors.ts'
import { ConfigError } from './config.ts'

/**
 * Runs a program's main function. What its user can mend is told in a sentence on stderr; everything else in full.
 * Either way the process ends with exit code 1.
 */
export async function runMain(main: () => Promise<void>): Promise<void> {
  try {
    await main()
  } catch (error) {
    const isUserError = error instanceof ConfigError || error instanceof StartupError
    process.stderr.write(`${isUserError ? error.message : stackOf(error)}\n`)
    process.exitCode = 1
  }
}

function stackOf(error: unknown): string {
  return (error instanceof Error && error.stack) || String(error)
}
