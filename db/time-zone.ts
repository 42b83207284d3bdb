import { type Kysely, type RawBuilder, sql } from 'kysely'
import { codeOf, StartupError } from '../lib/errors.ts'
import type { Database } from './schema.ts'

/*
 * The daily counters have one calendar, so the time zone of the site is in the database from the first count on: in the
 * row `time_zone` of `popular_posts_site`. Statements that count read it there, whatever the process was started with.
 */

/** The time zone in which views are counted: the one of the database, else `timeZone`. */
export function countedTimeZone(timeZone: string): RawBuilder<string> {
  return sql`coalesce((select value from ${sql.table('popular_posts_site')} where name = 'time_zone'), ${timeZone}::text)`
}

/** Reads the time zone in which views are counted, and claims none. */
export async function readTimeZone(db: Kysely<Database>, timeZone: string): Promise<string> {
  const row = await db.selectNoFrom(countedTimeZone(timeZone).as('timeZone')).executeTakeFirstOrThrow()
  return row.timeZone
}

/** The time zone of the site in the database, and whether its days are those of the wanted one. */
export interface SiteTimeZone {
  timeZone: string
  isWanted: boolean
}

/** Other names are compared by their days in this time. */
const COMPARED = sql`generate_series(timestamptz '1990-01-01', now() + interval '2 years', interval '1 day')`

/**
 * Returns the time zone of the site in the database. If the database has none yet, it is the wanted one from now on, for
 * all processes.
 * @param wanted the name of an IANA time zone. Another name of the same zone counts as the same.
 * @throws StartupError if PostgreSQL does not know the wanted zone; the error of PostgreSQL.
 */
export async function claimTimeZone<DB>(db: Kysely<DB>, wanted: string): Promise<SiteTimeZone> {
  for (;;) {
    const { rows } = await sql<{ timeZone: string; isWanted: number }>`
      select value as "timeZone", (value = ${wanted}::text or not exists (
        select from ${COMPARED} as at where at at time zone value <> at at time zone ${wanted}::text
      ))::int as "isWanted"
      from ${sql.table('popular_posts_site')} where name = 'time_zone'`
      .execute(db)
      .catch((error: unknown) => explain(error, wanted))
    for (const { timeZone, isWanted } of rows) return { timeZone, isWanted: Number(isWanted) === 1 }
    await writeTimeZone(db, wanted, sql`do nothing`)
  }
}

/**
 * Sets the time zone of the site. Days that were counted stay as they are.
 * @throws as `claimTimeZone`.
 */
export async function setTimeZone<DB>(db: Kysely<DB>, timeZone: string): Promise<void> {
  await writeTimeZone(db, timeZone, sql`(name) do update set value = excluded.value`)
}

async function writeTimeZone<DB>(db: Kysely<DB>, timeZone: string, onConflict: RawBuilder<unknown>): Promise<void> {
  await sql`
    insert into ${sql.table('popular_posts_site')} (name, value)
    select 'time_zone', ${timeZone}::text where now() at time zone ${timeZone}::text is not null
    on conflict ${onConflict}`
    .execute(db)
    .catch((error: unknown) => explain(error, timeZone))
}

const UNKNOWN_ZONE = '22023'

function explain(error: unknown, timeZone: string): never {
  if (codeOf(error) !== UNKNOWN_ZONE) throw error
  throw new StartupError(
    `PostgreSQL does not know the time zone ${timeZone}: use another name of it, or update the time zones of the server.`,
    { cause: error },
  )
}

/** The start of a day, `YYYY-MM-DD`, in the time zone in which views are counted, in milliseconds since the epoch. */
export async function startOfDay<DB>(db: Kysely<DB>, day: string, timeZone: string): Promise<number> {
  const { rows } = await sql<{ at: Date }>`
    select ${day}::date::timestamp at time zone ${countedTimeZone(timeZone)} as at`.execute(db)
  return Math.max(...rows.map(({ at }) => at.getTime()))
}
