import type { Writable } from 'node:stream'
import type { Kysely } from 'kysely'
import { materializeWindows } from '../db/store-rollups.ts'
import { loggedError } from '../lib/logged-error.ts'

/** When the command says that it is storing, and how often it repeats that (ms). */
const PROGRESS = { afterMs: 3_000, everyMs: 10_000 }
const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/**
 * Stores the sums of closed days, which an import or a migration has made outdated: else each list of a window reads all of its
 * days, until a flush of a service has stored them. SIGINT and SIGTERM end the call and not the process, which still has to
 * announce the import.
 *
 * Never rejects: an error is written to `stderr`, and the next flush of a service stores what is missing.
 * @param windows `allowed`: the option `days`.
 */
export async function storeSums<DB>(
  db: Kysely<DB>,
  windows: { timeZone: string; allowed: readonly number[] | undefined },
  stderr: Writable,
  nowMs = () => performance.now(),
): Promise<void> {
  let isInterrupted = false
  const interrupt = () => {
    isInterrupted = true
  }
  const startedAtMs = nowMs()
  let saysAtMs = startedAtMs + PROGRESS.afterMs
  function isOver(): boolean {
    const atMs = nowMs()
    if (atMs >= saysAtMs) {
      saysAtMs = atMs + PROGRESS.everyMs
      const seconds = Math.round((atMs - startedAtMs) / 1000)
      stderr.write(
        `Storing the sums of days, so that lists are fast: ${seconds} s. Ctrl-C leaves them to the service.\n`,
      )
    }
    return isInterrupted
  }
  for (const name of SIGNALS) process.on(name, interrupt)
  try {
    await materializeWindows(db, windows, isOver)
  } catch (error) {
    const { type, code = type } = loggedError(error)
    stderr.write(
      `The sums of days could not be stored (${code}): lists take longer until a flush of the service has stored them.\n`,
    )
  } finally {
    for (const name of SIGNALS) process.off(name, interrupt)
  }
}
