import { type Kysely, type RawBuilder, sql } from 'kysely'
import { heatOfDays } from './count-views.ts'
import { hasOwnTable } from './own-schema.ts'
import { compactDayVersions } from './window-rollups.ts'

/** The numbers of rows that one call of `prune` deleted. */
export interface PruneResult {
  /** Counters of views per hour. */
  hours: number
  /** Counters of views per day. */
  days: number
  /** Ids of counted batches. */
  batches: number
  /** Recorded changes of the data. */
  changes: number
  /** Whether the call reached its limit and more rows can be deleted: call `prune` again soon. */
  hasMore: boolean
}

/** `days=1` reads 25 hours; plus one day. */
const HOURS_KEPT = 48
/** The longest window is 365 days, unless the host allows a longer one; plus a month. */
const DAYS_KEPT = 400
const SPARE_DAYS = DAYS_KEPT - 365
/** How long batch ids and announced changes are stored, in days. */
export const LEDGER_DAYS_KEPT = 7
/** The noon of today may be later than now, and the site's day another than that of UTC. */
const HEAT_MARGIN_DAYS = 2
/** Limits the time that a statement holds its locks to some 10 ms. */
const ROWS_PER_STATEMENT = 2_000
const STATEMENTS_PER_TABLE = 10

/**
 * Deletes rows that no list reads any more: hours after 2 days, days after 400, batch ids and announced changes after 7
 * days. All-time totals and heat stay, also those of deleted posts. Heat that is greater than that of as many views at the
 * present, which a clock that was ahead has left, becomes that of the stored days.
 *
 * One call deletes at most 20,000 rows of each table, 2,000 per statement. Statements are committed one by one (unless
 * `db` is a transaction) and skip locked rows, so any number of processes may prune at once and while views are
 * counted, and no process waits. Only a view older than the stored days, such as a view of an old log, may wait for one
 * statement.
 * @param options.nowMs the present, in milliseconds since the epoch. Of it and the database's clock the earlier one
 *   decides what is old, the later one which heat is too great: a wrong clock must not delete counters. The age of ids and changes is measured by the
 *   database's clock only, which dated them.
 * @param options.timeZone the site's IANA time zone, in which days were counted.
 * @param options.maxDays the longest window that lists allow. Default 365. From 366 on, days are stored for 35 days
 *   more.
 * @throws the error of PostgreSQL. Earlier statements are committed, and a later call continues.
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
    // `order by` makes the planner use the primary key, whatever the statistics say.
    sql`hour < date_trunc('hour', ${now}, 'UTC') - ${HOURS_KEPT} * interval '1 hour' order by hour`,
  )
  const days = await deleteSome(
    db,
    'post_views_daily',
    sql`day < (${now} at time zone ${timeZone})::date - ${daysKept}::integer order by day`,
  )
  // No window reaches that far back, and a stored sum depends only on the changes from its first day on.
  await deleteSome(db, 'post_views_touch', sql`day < (${now} at time zone ${timeZone})::date - ${daysKept}::integer`)
  await compactDayVersions(db, ROWS_PER_STATEMENT)
  const isForgotten = (at: RawBuilder<unknown>) => sql`${at} < now() - ${LEDGER_DAYS_KEPT} * interval '1 day'`
  const batches = await deleteSome(db, 'post_views_batch', isForgotten(sql`applied_at`))
  // A host that only counts views may lack the table.
  const changes = (await hasOwnTable(db, 'popular_posts_change'))
    ? await deleteSome(db, 'popular_posts_change', isForgotten(sql`changed_at`))
    : NONE
  const present = sql`(extract(epoch from greatest(${new Date(nowMs)}::timestamptz, now())) / 86400)::float8`
  // The first condition is for the index.
  await changeSome(
    db,
    'post_views_total',
    sql`heat_rank >= (4 * ${present})::real
      and heat > ${present} + ln(greatest(views, 1)::float8) / ln(2::float8) + ${HEAT_MARGIN_DAYS}::float8`,
    sql`update ${sql.table('post_views_total')} as counter set heat = ${heatOfDays(timeZone)}`,
  )
  return {
    hours: hours.rows,
    days: days.rows,
    batches: batches.rows,
    changes: changes.rows,
    hasMore: [hours, days, batches, changes].some(({ hasMore }) => hasMore),
  }
}

const NONE = { rows: 0, hasMore: false }

/** Deletes rows in small statements, up to the limit of one call. */
function deleteSome<DB>(db: Kysely<DB>, table: string, isOld: RawBuilder<unknown>) {
  return changeSome(db, table, isOld, sql`delete from ${sql.table(table)}`)
}

/** Changes rows in small statements, up to the limit of one call. */
async function changeSome<DB>(
  db: Kysely<DB>,
  table: string,
  isChosen: RawBuilder<unknown>,
  change: RawBuilder<unknown>,
): Promise<{ rows: number; hasMore: boolean }> {
  let rows = 0
  for (let statement = 0; statement < STATEMENTS_PER_TABLE; statement += 1) {
    // `any(array(…))` makes the planner fetch rows by ctid: a join alone might read the whole table. Of a partitioned table, each
    // partition may have a row of that ctid.
    const { numAffectedRows } = await sql`
      with chosen as materialized (
        select tableoid, ctid from ${sql.table(table)} where ${isChosen} limit ${ROWS_PER_STATEMENT} for update skip locked
      )
      ${change} where ctid = any(array(select ctid from chosen)) and (tableoid, ctid) in (select tableoid, ctid from chosen)`.execute(
      db,
    )
    rows += Number(numAffectedRows)
    if (numAffectedRows !== BigInt(ROWS_PER_STATEMENT)) return { rows, hasMore: false }
  }
  return { rows, hasMore: true }
}
