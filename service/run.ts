import { StartupError } from '../lib/errors.ts'
import { ConfigError } from './config.ts'

/**
 * Runs the main function of a program. An error that the user can fix is written to stderr as its message, any other
 * error with its stack. After either, the exit code is 1.
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
