import type { Kysely } from 'kysely'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../lib/clock.ts'
import { loggedError, ofOwnQuery } from '../lib/logged-error.ts'
import type { ErrorLogger } from '../lib/logger.ts'
import { checkShape } from './blog-shape.ts'
import { TablesMissing } from './own-schema.ts'
import { findProblems } from './problems.ts'
import type { Tables } from './ranking.ts'
import type { RowGuard } from './row-guard.ts'

/** The minimum time between two checks. A check reads the table of posts once, as the load of a list does. */
const PAUSE_MS = 10_000

interface ProblemLogOptions {
  db: Kysely<Tables>
  log: Pick<ErrorLogger, 'warn' | 'error'>
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

  function logOnce(level: 'warn' | 'error', key: string, details: object, message: string): void {
    if (!logged.has(key)) log[level](details, `popular posts: ${message}`)
    logged.set(key, true)
  }
  const errorOnce = (details: object, message: string) => logOnce('error', message, details, message)

  /** Logs what is missing. Resolves to whether nothing is. */
  async function checkTables(): Promise<boolean> {
    const { missingTables, missingViews, problems } = await checkShape(db)
    if (missingTables.length > 0)
      errorOnce(
        { missing: missingTables },
        `lists cannot be loaded, and views cannot be counted, because tables are missing: ${missingTables.join(', ')}. Run "npx popular-posts migrate", or restore what was dropped from a backup`,
      )
    if (missingViews.length > 0)
      errorOnce(
        { missing: missingViews },
        `lists cannot be loaded, because tables or views, or columns of them, are missing: ${missingViews.join(', ')}. For a blog with its own tables create them as docs/adopting.md says ("npx popular-posts adopt"), else run "npx popular-posts migrate"`,
      )
    for (const { subject, message } of problems) logOnce('warn', `${subject} ${message}`, { subject }, message)
    return missingTables.length + missingViews.length === 0
  }

  async function check(): Promise<void> {
    try {
      if (!(await checkTables())) return
      for (const { subject, message } of await findProblems(db, read))
        logOnce('warn', `${subject} ${message}`, { subject }, message)
    } catch (error) {
      if (error instanceof TablesMissing) return errorOnce({}, `lists cannot be loaded: ${error.message}`)
      const message = 'the database cannot be checked for posts and tables that need attention'
      logOnce('warn', '', { err: loggedError(ofOwnQuery(error)) }, message)
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
