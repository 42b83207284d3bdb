import { type Kysely, type RawBuilder, sql } from 'kysely'
import { ownRelation } from './own-schema.ts'
import { sqlNow, type WindowQuery } from './window-query.ts'

/**
 * How many days of a window are open: today, and yesterday, whose last views are counted after midnight. Older days
 * change only if an old log is imported or an administrator edits the tables.
 */
const OPEN_DAYS = 2

/** The oldest rollup that is used: older ones may have days that are deleted (see `prune`). */
const MAX_ROLLUP_AGE_DAYS = 28

/** The greatest number of a bigint column. A greater number would fail the statement for all posts. */
const MAX_BIGINT = sql`9223372036854775807`

/*
 * The views of a window are the sum of its closed days (the rollup) and the changes since. A rollup is stored under a key
 * of the window, its last closed day, and the number of changes of its days when the sum was made. A reader counts these
 * changes in the same snapshot: after a further change no rollup has that key, and the reader sums the days. So a rollup
 * is exact or not found, without a lock and without invalidation.
 *
 * A rollup of an earlier day is exact, too: a reader adds the days that were closed later, and subtracts those that
 * have left the window. So no reader makes a rollup, and the next one is made from the last one.
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

type Bounds = ReturnType<typeof bounds>

/** The number of changes of the closed days of a window. */
function dayVersions({ first, lastClosedDay }: Pick<Bounds, 'first' | 'lastClosedDay'>) {
  return sql`(select coalesce(sum(times), 0) from ${sql.table('post_views_touch')} where day between ${first} and ${lastClosedDay})`
}

/** The days that a rollup sums, the number of their changes, and how many days of the window it lacks. */
export interface Rollup {
  first_day: string
  last_day: string
  touches: string
  added_days: number
}

/** A query: the newest rollup of the window that is exact and shares a day with it, in one row; else no row. */
export function rollup(moment: WindowQuery): RawBuilder<Rollup> {
  const at = bounds(moment)
  const first = sql<string>`(stored.last_day + ${OPEN_DAYS}::integer - ${moment.days}::integer)`
  return sql`(
    select ${first}, stored.last_day, stored.touches, ${at.today} - stored.last_day from (
      select last_day, touches from ${sql.table('post_views_window')}
      where days = ${moment.days}::integer and last_day <= ${at.lastClosedDay}
      and last_day >= greatest(${at.first}, ${at.lastClosedDay} - ${MAX_ROLLUP_AGE_DAYS}::integer)
      order by last_day desc, touches desc limit 1
    ) as stored
    where stored.touches = ${dayVersions({ first, lastClosedDay: sql`stored.last_day` })}
  )`
}

/** A condition: the row of `post_views_window` is one of the `rollup`. */
export function isInRollup({ days }: WindowQuery): RawBuilder<boolean> {
  return sql`days = ${days}::integer and last_day = (select last_day from rollup) and touches = (select touches from rollup)`
}

/** A query: the views of each day that the `rollup` lacks; without a rollup, of each day of the window. */
export function addedViews(moment: WindowQuery, { first, today: last } = bounds(moment)): RawBuilder<unknown> {
  return sql`(
    select post_id, views from ${sql.table('post_views_daily')}
    where day >= ${first} and day > coalesce((select last_day from rollup), '-infinity') and day <= ${last}
  )`
}

/** A query: the parts of a window, to add (`views`) and to subtract (`gone`). `gone` are days that have left it. */
function partsOf(moment: WindowQuery, at: Bounds) {
  return sql`(
    select post_id, views, 0 as gone from ${sql.table('post_views_window')} where ${isInRollup(moment)}
    union all
    select post_id, views, 0 from ${addedViews(moment, at)} as added
    union all
    select post_id, 0, views from ${sql.table('post_views_daily')}
    where day >= (select first_day from rollup) and day < ${at.first}
  )`
}

/** A query: the views of each post in a window of whole days, of which `rollup` is the rollup. */
export function viewsOfDays(moment: WindowQuery): RawBuilder<{ post_id: string; views: string }> {
  return sql`(select post_id, sum(views) - sum(gone) as views from ${partsOf(moment, bounds(moment))} as parts group by post_id)`
}

/** The views of one post in a window of whole days, of which `rollup` is the rollup. */
export function viewsOfPostInDays(moment: WindowQuery, postId: RawBuilder<unknown>): RawBuilder<string> {
  const at = bounds(moment)
  // Each day by itself, so that the index finds the post: a range of days reads the counters of all posts.
  const sumOf = (first: RawBuilder<unknown>, last: RawBuilder<unknown>) => sql`coalesce((
    select sum(views) from ${sql.table('post_views_daily')} where post_id = ${postId} and day = any(array(
      select ${first} + age from generate_series(0, ${last} - ${first}) as age
    ))), 0)`
  return sql`(
    coalesce((select views from ${sql.table('post_views_window')} where ${isInRollup(moment)} and post_id = ${postId}), 0)
    + ${sumOf(sql`coalesce((select last_day + 1 from rollup), ${at.first})`, at.today)}
    - ${sumOf(sql`(select first_day from rollup)`, sql`(${at.first} - 1)`)}
  )`
}

/**
 * Stores the rollup of a window, unless it is current or another process is storing it. It is made from the last one, if
 * that is exact. A window has one rollup at a time, except for the minutes in which the clocks of processes disagree
 * about the day.
 */
export async function materializeWindow<DB>(db: Kysely<DB>, moment: WindowQuery): Promise<void> {
  const at = bounds(moment)
  const { days } = moment
  // The last rollup is of no use for the next one if it has a full counter, which may stand for a greater sum.
  const isExact = sql`not exists (
    select from ${sql.table('post_views_window')} as full_counter where full_counter.days = ${days}::integer
    and full_counter.last_day = last.last_day and full_counter.touches = last.touches and views = ${MAX_BIGINT}
  )`
  await sql`
    with changes as materialized (select ${dayVersions(at)} as touches),
    rollup (first_day, last_day, touches, added_days) as materialized (
      select * from ${rollup(moment)} as last (first_day, last_day, touches, added_days) where ${isExact}
    ),
    turn as materialized (
      select pg_try_advisory_xact_lock(hashtextextended('popular-posts window ' || ${ownRelation('post_views_window')} || ' ' || ${days}::integer, 0)) as is_ours
      where not exists (
        select from ${sql.table('post_views_window')} as stored, changes
        where stored.days = ${days}::integer and stored.last_day = ${at.lastClosedDay} and stored.touches = changes.touches
      )
    ),
    outdated as (
      delete from ${sql.table('post_views_window')} using changes
      where days = ${days}::integer and (select is_ours from turn)
      and (last_day < ${at.lastClosedDay} or (last_day = ${at.lastClosedDay} and post_views_window.touches < changes.touches))
    )
    insert into ${sql.table('post_views_window')} (days, last_day, touches, post_id, views)
    select ${days}::integer, ${at.lastClosedDay}, changes.touches, post_id, least(sum(views) - sum(gone), ${MAX_BIGINT})
    from changes, ${partsOf(moment, { ...at, today: at.lastClosedDay })} as parts
    where (select is_ours from turn) and changes.touches <= ${MAX_BIGINT}
    group by changes.touches, post_id having sum(views) <> sum(gone) order by post_id
    on conflict do nothing`.execute(db)
}

/** The usual windows: their rollups are stored, beside that of the default window of the site. */
const USUAL_DAYS = [7, 30, 90, 365]

/** Stores the rollups of the usual windows, up to `maxDays`: see {@link materializeWindow}. */
export async function materializeWindows<DB>(
  db: Kysely<DB>,
  { defaultDays = 30, maxDays = 365, timeZone }: { defaultDays?: number; maxDays?: number; timeZone: string },
): Promise<void> {
  for (const days of new Set([defaultDays, ...USUAL_DAYS]))
    if (days > 1 && days <= maxDays) await materializeWindow(db, { days, timeZone })
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
