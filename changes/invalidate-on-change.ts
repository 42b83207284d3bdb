import type { Kysely } from 'kysely'
import type { Tables } from '../db/ranking.ts'
import type { Clock } from '../lib/clock.ts'
import { loggedError } from '../lib/logged-error.ts'
import type { Logger } from '../lib/logger.ts'
import type { Change } from './revision.ts'
import { createChangeThrottle } from './throttle.ts'
import { watchChanges } from './watch.ts'

interface InvalidateOnChangeOptions {
  db: Kysely<Tables>
  /** Where to listen for notifications; without it, changes are found by asking now and then. */
  databaseUrl?: string | undefined
  /** Makes the password for each new connection. */
  password?: (() => string) | undefined
  clock: Clock
  log: Logger
  /** Invalidates the lists. A rejection is tried again, for as long as it takes. */
  invalidate: (change: Change, options: { wait: false; cause: string | undefined }) => Promise<void>
  /** Called at each hard change, before the lists are invalidated. Must not throw. */
  onHardChange: () => void
}

/** Invalidates the lists when the database says that it has changed. */
export function invalidateOnChange(options: InvalidateOnChangeOptions) {
  const { db, databaseUrl, password, clock, log, invalidate, onHardChange } = options
  const throttle = createChangeThrottle({
    clock,
    async apply(change, cause) {
      if (change === 'hard') onHardChange()
      await invalidate(change, { wait: false, cause })
    },
    onFailure: (error) =>
      log.warn({ err: loggedError(error) }, 'popular posts: the cache cannot be told of a change, trying again'),
  })
  const watch = watchChanges({ db, databaseUrl, password, clock, onChange: throttle.add, log })
  return {
    /** Resolves when what changes from here on is not missed; see `watchChanges`. */
    ready: watch.ready,
    async close(): Promise<void> {
      await watch.close()
      await throttle.close()
    },
  }
}
