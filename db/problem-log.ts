import type { Kysely } from 'kysely'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../lib/clock.ts'
import { loggedError } from '../lib/logged-error.ts'
import type { Logger } from '../lib/logger.ts'
import { findProblems } from './problems.ts'
import type { Tables } from './ranking.ts'

/** A check reads the table of posts once, as each list does that is loaded after a change. */
const PAUSE_MS = 10_000

export type ProblemLog = ReturnType<typeof createProblemLog>

/** Logs what an administrator should mend in the database: each problem once in the life of the process. */
export function createProblemLog({ db, log, clock }: { db: Kysely<Tables>; log: Pick<Logger, 'warn'>; clock: Clock }) {
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
      for (const { subject, message } of await findProblems(db)) warnOnce(`${subject} ${message}`, { subject }, message)
    } catch (error) {
      const message = 'the database cannot be checked for posts and tables that need attention'
      warnOnce('', { err: loggedError(error) }, message)
    }
  }

  return {
    /** Looks for problems, and logs those that are new. Never rejects. */
    check,
    /** The same in the background, at most once in 10 s: for after a change of the data. */
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
