import { setTimeout as sleep } from 'node:timers/promises'
import { StartupError } from '../lib/errors.ts'

/**
 * Runs the main function of a program. An error that the user can fix is written to stderr as its message, any other
 * error with its stack. After either, the exit code is 1.
 */
export async function runMain(main: () => Promise<void>): Promise<void> {
  try {
    await main()
  } catch (error) {
    report(error)
    process.exitCode = 1
  }
}

/** The signals that end a service. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/** The longest time from a signal to the end of the process (ms). A server that does not reply may take all of it. */
const STOP_MS = 4_500

/** Adds an end: a function that closes a part of the service. @throws when a signal has come: the start ends there. */
type AddEnd = (end: () => Promise<unknown>) => void

/**
 * Starts a service, which then runs until a signal. At a signal, also during the start, its ends are called, the last one
 * first, and the process ends within `STOP_MS` with code 0. More signals change nothing: a terminal and npm send each
 * signal twice. After an uncaught error the process ends in the same way, with code 1.
 * @param start starts the service, and adds an end for each part at once.
 * @throws the error of `start`, after the ends.
 */
export async function runUntilSignal(start: (addEnd: AddEnd) => Promise<void>): Promise<void> {
  const ends: (() => Promise<unknown>)[] = []
  let isStopping = false

  async function endAll(): Promise<void> {
    for (const end of ends.splice(0).toReversed()) await end().catch(report)
  }

  async function stop(code: number): Promise<void> {
    if (isStopping) return
    isStopping = true
    await Promise.race([starting.catch(() => {}).then(endAll), sleep(STOP_MS)])
    process.exit(code)
  }

  for (const signal of SIGNALS) process.on(signal, () => void stop(0))
  process.on('uncaughtException', (error) => {
    report(error)
    void stop(1)
  })

  const starting = Promise.resolve().then(() =>
    start((end) => {
      ends.push(end)
      if (isStopping) throw new Error('Expected the service to start, but a signal has ended it.')
    }),
  )
  try {
    await starting
  } catch (error) {
    // The signal ends the process.
    if (isStopping) return
    await endAll()
    throw error
  }
}

function report(error: unknown): void {
  process.stderr.write(`${error instanceof StartupError ? error.message : stackOf(error)}\n`)
}

function stackOf(error: unknown): string {
  return (error instanceof Error && error.stack) || String(error)
}
