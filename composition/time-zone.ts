import type { Kysely } from 'kysely'
import type { Tables } from '../db/ranking.ts'
import { claimTimeZone } from '../db/time-zone.ts'
import { codeOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'

interface TimeZoneOptions {
  db: Kysely<Tables>
  /** The option `timeZone`. */
  timeZone: string
  log: Pick<Logger, 'warn'>
}

/** The database is not migrated yet. */
const UNDEFINED_TABLE = '42P01'

/**
 * Creates a function that returns the time zone of the site: the one in the database, which may be another one than the
 * option says. Then the log says so, once. The database is read at the first call only.
 * @throws the error of PostgreSQL; StartupError if it does not know the zone. The next call tries again.
 */
export function createSiteTimeZone({ db, timeZone: wanted, log }: TimeZoneOptions): () => Promise<string> {
  let known: Promise<string> | undefined

  async function read(): Promise<string> {
    const { timeZone, isWanted } = await claimTimeZone(db, wanted)
    if (!isWanted) {
      const message =
        'the days of this site are counted in another time zone than the option timeZone (SITE_TIME_ZONE) of this process: ' +
        'the one in the database is used. Correct the option, or change the zone of the site with "npx popular-posts time-zone"'
      log.warn({ siteTimeZone: timeZone, timeZone: wanted }, `popular posts: ${message}`)
    }
    return timeZone
  }

  return () => {
    known ??= read().catch((error: unknown) => {
      // No table, no right, a standby: then this process does not count either.
      if (/^(?:42(?!P01)|25)/.test(codeOf(error))) return wanted
      known = undefined
      if (codeOf(error) === UNDEFINED_TABLE) return wanted
      throw error
    })
    return known
  }
}
