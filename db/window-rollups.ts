import { type Kysely, sql } from 'kysely'
import { sqlNow, type WindowQuery } from './window-query.ts'

/**
 * How many days of a window are open: today, and yesterday, whose last views are counted after midnight. Older days
 * change only if an old log is imported or an administrator edits the tables.
 */
const OPEN_DAYS = 2

/** The greatest number of a bigint column. A greater number would fail the statement for all posts. */
const MAX_BIGINT = sql`9223372036854775807`

/*
 * The views of a window are the views of its open days plus the sum of its closed days. That sum (the rollup) is stored
 * under a key of the window, its last closed day, and the number of changes of its days when the sum was made. A reader
 * counts these changes in the same snapshot: after a further change no rollup has that key, and the reader sums the
 * days. So a rollup is exact or not found, without a lock and without invalidation.
 */

/** The first day, the last closed day and today of a window of whole days, as SQL. */
function bounds({ days, nowMs, timeZone }: WindowQuery) {
  const today = sql<string>`(${sqlNow(nowMs)} at time zone ${timeZone})::date`
  return {
    first: sql<string>`(${today} - ${days}::integer)`,
    lastClosedDay: sql<string>`(${today} - ${OPEN_DAYS}::integer)`,
    today,
  }
}

/** The number of changes of the closed days of a window. */
function dayVersions({ first, lastClosedDay }: ReturnType<typeof bounds>) {
  return sql`(select coalesce(sum(times), 0) from ${sql.table('post_views_touch')} where day between ${first} and ${lastClosedDay})`
}

/** A condition: the row of `post_views_window` belongs to the current rollup of the window. */
function isCurrent(days: number, at: ReturnType<typeof bounds>) {
  return sql<boolean>`days = ${days}::integer and last_day = ${at.lastClosedDay} and touches = ${dayVersions(at)}`
}

/** The views of each post in a window of whole days: `post_id`, `views`. Uses the rollup if it is current. */
export function viewsOfDays(moment: WindowQuery) {
  const at = bounds(moment)
  const kept = sql`select post_id, views from ${sql.table('post_views_window')} where ${isCurrent(moment.days, at)}`
  return sql<{ post_id: string; views: string }>`(
    select post_id, sum(views) as views from (
      ${kept}
      union all
      select post_id, views from ${sql.table('post_views_daily')} where day > ${at.lastClosedDay} and day <= ${at.today} and day >= ${at.first}
      union all
      select post_id, views from ${sql.table('post_views_daily')}
      where day >= ${at.first} and day <= ${at.lastClosedDay} and not exists (${kept})
    ) as parts group by post_id
  )`
}

/**
 * Stores the rollup of a window, unless it is current: for windows that are requested often. A window has one rollup at
 * a time, except for the minutes in which the clocks of processes disagree about the day.
 */
export async function materializeWindow<DB>(db: Kysely<DB>, moment: WindowQuery): Promise<void> {
  const at = bounds(moment)
  const { days } = moment
  await sql`
    with changes as materialized (select ${dayVersions(at)} as touches),
    outdated as (
      delete from ${sql.table('post_views_window')} using changes
      where days = ${days}::integer
      and (last_day < ${at.lastClosedDay} or (last_day = ${at.lastClosedDay} and post_views_window.touches < changes.touches))
    )
    insert into ${sql.table('post_views_window')} (days, last_day, touches, post_id, views)
    select ${days}::integer, ${at.lastClosedDay}, changes.touches, post_id, least(sum(views), ${MAX_BIGINT}) from ${sql.table('post_views_daily')}, changes
    where day >= ${at.first} and day <= ${at.lastClosedDay} and changes.touches <= ${MAX_BIGINT}
    and not exists (select from ${sql.table('post_views_window')} where ${isCurrent(days, at)})
    group by changes.touches, post_id order by post_id
    on conflict do nothing`.execute(db)
}

/** Merges the change rows of each day into one row, at most `rows` rows per call. The sum per day never changes. */
export async function compactDayVersions<DB>(db: Kysely<DB>, rows: number): Promise<void> {
  await sql`
    with folded as (
      delete from ${sql.table('post_views_touch')} where ctid = any(array(
        select ctid from ${sql.table('post_views_touch')}
        where day in (select day from ${sql.table('post_views_touch')} group by day having count(*) > 1 and sum(times) <= ${MAX_BIGINT})
        limit ${rows} for update skip locked
      )) returning day, times
    )
    insert into ${sql.table('post_views_touch')} (day, times) select day, sum(times) from folded group by day`.execute(
    db,
  )
}
