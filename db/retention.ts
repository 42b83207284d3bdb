import { type Kysely, type RawBuilder, sql } from 'kysely'
import { compactDayVersions } from './window-rollups.ts'

/** What {@link prune} deleted, in rows. */
export interface PruneResult {
  hours: number
  days: number
  /** Ids of batches that were counted. */
  batches: number
  /** Announced changes of the data. */
  changes: number
  /** Whether the call ended at its bound: there is more to delete, and another call should come soon. */
  hasMore: boolean
}

/** `days=1` reads 25 hours; and a day more. */
const HOURS_KEPT = 48
/** The longest window is 365 days, unless the host allows a longer one; and a month more. */
const DAYS_KEPT = 400
const SPARE_DAYS = DAYS_KEPT - 365
export const LEDGER_DAYS_KEPT = 7
/** So that a statement holds its locks for some ten milliseconds. */
const ROWS_PER_STATEMENT = 2_000
const STATEMENTS_PER_TABLE = 10

/**
 * Deletes what no list reads any more: hours after 2 days, days after 400, batch ids and announced changes after 7 days.
 * All-time totals and heat stay, also those of posts that do not exist any more.
 *
 * At most 20,000 rows of each table, 2,000 in a statement. Statements are committed one by one (unless `db` is a
 * transaction) and pass over rows that others hold: any number of processes may prune at once and while views are counted.
 * None of them waits; only a view dated before what is kept, such as of an old log, may wait for one statement.
 * @param options.nowMs the present, in milliseconds since the epoch. Should it be ahead of the database's clock, that
 *   one decides: a process with a wrong clock must not delete what cannot be had again. Ids and changes go by the
 *   database's clock alone, as it dated them.
 * @param options.timeZone the site's IANA time zone, in which days were counted.
 * @param options.maxDays the longest window that lists may be asked for. Default 365. From 366 on, days are kept for
 *   35 days more than that.
 * @throws what PostgreSQL answered; the statements before have been committed, and a later call goes on from there.
 */
export async function prune<DB>(
  db: Kysely<DB>,
  { nowMs, timeZone, maxDays = 365 }: { nowMs: number; timeZone: string; maxDays?: number | undefined },
): Promise<PruneResult> {
  const now = sql`least(${new Date(nowMs)}::timestamptz, now())`
  const daysKept = Math.max(DAYS_KEPT, maxDays + SPARE_DAYS)
  const hours = await deleteSome(
    db,
    'post_views_hourly',
    // `order by` makes the primary key the only cheap way, whatever the statistics say.
    sql`hour < date_trunc('hour', ${now}, 'UTC') - ${HOURS_KEPT} * interval '1 hour' order by hour`,
  )
  const days = await deleteSome(
    db,
    'post_views_daily',
    sql`day < (${now} at time zone ${timeZone})::date - ${daysKept}::integer order by day`,
  )
  // No window reaches so far; the changes that a window is kept by are counted from its first day on.
  await deleteSome(db, 'post_views_touch', sql`day < (${now} at time zone ${timeZone})::date - ${daysKept}::integer`)
  await compactDayVersions(db, ROWS_PER_STATEMENT)
  const isForgotten = (at: RawBuilder<unknown>) => sql`${at} < now() - ${LEDGER_DAYS_KEPT} * interval '1 day'`
  const batches = await deleteSome(db, 'post_views_batch', isForgotten(sql`applied_at`))
  const changes = (await hasChanges(db))
    ? await deleteSome(db, 'popular_posts_change', isForgotten(sql`changed_at`))
    : NONE
  return {
    hours: hours.rows,
    days: days.rows,
    batches: batches.rows,
    changes: changes.rows,
    hasMore: [hours, days, batches, changes].some(({ hasMore }) => hasMore),
  }
}

const NONE = { rows: 0, hasMore: false }

/** Whether changes are announced in this database: a host that only counts views may do without. */
async function hasChanges<DB>(db: Kysely<DB>): Promise<boolean> {
  const { rows } = await sql`select where to_regclass('popular_posts_change') is not null`.execute(db)
  return rows.length > 0
}

/** Deletes rows in small statements, up to the bound of one call. */
async function deleteSome<DB>(
  db: Kysely<DB>,
  table: string,
  isOld: RawBuilder<unknown>,
): Promise<{ rows: number; hasMore: boolean }> {
  let rows = 0
  for (let statement = 0; statement < STATEMENTS_PER_TABLE; statement += 1) {
    // An array, not `in`: rows are fetched by their place, where a join might read the whole table.
    const { numAffectedRows } = await sql`
      delete from ${sql.table(table)} where ctid = any(array(
        select ctid from ${sql.table(table)} where ${isOld} limit ${ROWS_PER_STATEMENT} for update skip locked
      ))`.execute(db)
    rows += Number(numAffectedRows)
    if (numAffectedRows !== BigInt(ROWS_PER_STATEMENT)) return { rows, hasMore: false }
  }
  return { rows, hasMore: true }
}
