import type { Kysely } from 'kysely'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../lib/clock.ts'
import { loggedError } from '../lib/logged-error.ts'
import type { Logger } from '../lib/logger.ts'
import { findProblems } from './problems.ts'
import type { Tables } from './ranking.ts'
import type { RowGuard } from './row-guard.ts'

/** The minimum time between two checks. A check reads the table of posts once, as the load of a list does. */
const PAUSE_MS = 10_000

interface ProblemLogOptions {
  db: Kysely<Tables>
  log: Pick<Logger, 'warn'>
  clock: Clock
  /** Runs queries of the blog. Default: directly. */
  read?: RowGuard
}

/** See {@link createProblemLog}. */
export type ProblemLog = ReturnType<typeof createProblemLog>

/** Logs problems of the database that an administrator should fix, each problem once per process. */
export function createProblemLog({ db, log, clock, read }: ProblemLogOptions) {
  const logged = new LRUCache<string, true>({ max: 1_000 })
  let freeAtMs = Number.NEGATIVE_INFINITY
  let cancel: (() => void) | undefined
  let running = Promise.resolve()

  function warnOnce(key: string, details: object, message: string): void {
    if (!logged.has(key)) log.warn(details, `popular posts: ${message}`)
    logged.set(key, true)
  }

  async function check(): Promise<void> {
    try {
      for (const { subject, message } of await findProblems(db, read))
        warnOnce(`${subject} ${message}`, { subject }, message)
    } catch (error) {
      const message = 'the database cannot be checked for posts and tables that need attention'
      warnOnce('', { err: loggedError(error) }, message)
    }
  }

  return {
    /** Checks for problems, and logs new ones. Never rejects. */
    check,
    /** Schedules a check in the background, at most one per 10 s: for changes of the data. */
    checkSoon(): void {
      cancel ??= clock.schedule(Math.max(0, freeAtMs - clock.now()), () => {
        cancel = undefined
        freeAtMs = clock.now() + PAUSE_MS
        running = check()
      })
    },
    async close(): Promise<void> {
      cancel?.()
      await running
    },
  }
}
