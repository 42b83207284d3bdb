import type { Kysely } from 'kysely'
import type { Tables } from '../db/ranking.ts'
import type { Clock } from '../lib/clock.ts'
import { loggedError } from '../lib/logged-error.ts'
import type { Logger } from '../lib/logger.ts'
import type { ChangeMode } from './revision.ts'
import { type ApplyChange, createChangeThrottle } from './throttle.ts'
import { watchChanges } from './watch.ts'

interface InvalidateOnChangeOptions {
  db: Kysely<Tables>
  /** The database to listen to; `undefined`: changes are found by polling. */
  databaseUrl?: string | undefined
  /** Makes the password for each new connection. */
  password?: (() => string) | undefined
  /** Returns the schema of this package's tables, where it is known. */
  schema?: (() => string | undefined) | undefined
  clock: Clock
  log: Logger
  /** Invalidates the lists, at the pace of the fleet. */
  invalidate: ApplyChange
  /** Called at once with each change, before the lists are invalidated. Must not throw. */
  onHeard: (mode: ChangeMode) => void
  /** Called after the lists were invalidated for hard changes. Must not throw. */
  onHardChange: () => void
}

/** Invalidates the lists when the data in the database changes. */
export function invalidateOnChange(options: InvalidateOnChangeOptions) {
  const { db, databaseUrl, password, schema, clock, log, invalidate, onHeard, onHardChange } = options
  const throttle = createChangeThrottle({
    clock,
    async apply(mode, change) {
      const applied = await invalidate(mode, change)
      if (mode === 'hard' && applied.state !== 'paced') onHardChange()
      return applied
    },
    onFailure: (error) =>
      log.warn(
        { err: loggedError(error) },
        'popular posts: the cache could not be invalidated after a change, retrying until it succeeds',
      ),
  })
  const watch = watchChanges({
    db,
    databaseUrl,
    password,
    schema,
    clock,
    onChange(event) {
      onHeard(event.mode)
      throttle.add(event)
    },
    log,
  })
  return {
    /** Resolves when later changes are not missed any more; see `watchChanges`. */
    ready: watch.ready,
    async close(): Promise<void> {
      await watch.close()
      await throttle.close()
    },
  }
}
