import { type Kysely, type RawBuilder, sql } from 'kysely'
import { sqlNow, type WindowQuery } from './window-query.ts'

/**
 * How many days of a window are open: today, and yesterday, whose last views are counted after midnight. Older days
 * change only if an old log is imported or an administrator edits the tables.
 */
const OPEN_DAYS = 2

/** The oldest rollup that is used: older ones may have days that are deleted (see `prune`). */
const MAX_ROLLUP_AGE_DAYS = 28

/** The greatest number of a bigint column. A greater number would fail the statement for all posts. */
export const MAX_BIGINT = sql`9223372036854775807`

/*
 * The views of a window are the sum of its closed days (the rollup) and the changes since. A rollup is stored under a key
 * of the window, its last closed day, and the number of changes of its days when the sum was made. A reader counts these
 * changes in the same snapshot: after a further change no rollup has that key, and the reader sums the days. So a rollup
 * is exact or not found, without a lock and without invalidation.
 *
 * A rollup of an earlier day is exact, too: a reader adds the days that were closed later, and subtracts those that
 * have left the window. So no reader makes a rollup, and the next one is made from the last one.
 *
 * A rollup is stored in slices of posts (see `store-rollups.ts`). Its head says whether it is whole: a row of the same
 * table, so that a truncation deletes both. In a head, `views` is the state, and `post_id` the last post that is stored.
 */

/** The state of a rollup, in its head. Readers use whole ones. */
export const STORING = 0
export const WHOLE = 1
export const OUTDATED = 2

/*
 * The numbers in the column `days`, by which sums and heads are told apart. Both are negative: during an update, processes of an
 * earlier version, which store a rollup under the days of its window, neither read nor delete them.
 */
/** The number in `days` of the sums of a window. */
export const sumsOf = (days: number) => sql`${-2 * days}::integer`
/** The number in `days` of the heads of a window. */
export const headsOf = (days: number) => sql`${-2 * days - 1}::integer`

/** The first day, the last closed day and today of a window of whole days, as SQL. */
export function bounds({ days, nowMs, timeZone }: WindowQuery) {
  const today = sql<string>`(${sqlNow(nowMs)} at time zone ${timeZone})::date`
  return {
    first: sql<string>`(${today} - ${days}::integer)`,
    lastClosedDay: sql<string>`(${today} - ${OPEN_DAYS}::integer)`,
    today,
  }
}

export type Bounds = ReturnType<typeof bounds>

/** The number of changes of the closed days of a window. */
export function dayVersions({ first, lastClosedDay }: Pick<Bounds, 'first' | 'lastClosedDay'>) {
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
      where days = ${headsOf(moment.days)} and views = ${WHOLE}::integer and last_day <= ${at.lastClosedDay}
      and last_day >= greatest(${at.first}, ${at.lastClosedDay} - ${MAX_ROLLUP_AGE_DAYS}::integer)
      order by last_day desc, touches desc limit 1
    ) as stored
    where stored.touches = ${dayVersions({ first, lastClosedDay: sql`stored.last_day` })}
  )`
}

/** A condition: the row of `post_views_window` is one of the `rollup`. */
export function isInRollup({ days }: WindowQuery): RawBuilder<boolean> {
  return sql`days = ${sumsOf(days)} and last_day = (select last_day from rollup) and touches = (select touches from rollup)`
}

/** A condition: the day is one of these. */
type IsDayIn = (first: RawBuilder<unknown>, last: RawBuilder<unknown>) => RawBuilder<unknown>

const isBetween: IsDayIn = (first, last) => sql`day between ${first} and ${last}`

/** Each day by itself, so that the index finds some posts: a range of days reads the counters of all posts. */
export const isOneOfDays: IsDayIn = (first, last) =>
  sql`day = any(array(select ${first} + age from generate_series(0, ${last} - ${first}) as age))`

/** A condition: the day is one of those that the `rollup` lacks; without a rollup, a day of the window. */
const isAdded = (isDayIn: IsDayIn, { first, today }: Bounds) =>
  isDayIn(sql`coalesce((select last_day + 1 from rollup), ${first})`, today)

/** A condition: the day has left the window since the `rollup`. */
const isGone = (isDayIn: IsDayIn, { first }: Bounds) =>
  isDayIn(sql`(select first_day from rollup)`, sql`(${first} - 1)`)

/** A query: the views of each day that the `rollup` lacks; without a rollup, of each day of the window. */
export function addedViews(moment: WindowQuery): RawBuilder<unknown> {
  return sql`(select post_id, views from ${sql.table('post_views_daily')} where ${isAdded(isBetween, bounds(moment))})`
}

/** A query: the views that the `rollup` has of each post. */
export function viewsOfRollup(moment: WindowQuery): RawBuilder<{ post_id: string; views: string }> {
  return sql`(select post_id, views from ${sql.table('post_views_window')} where ${isInRollup(moment)})`
}

/** Rows of days that the `rollup` lacks, with views to add, and of days that have left the window, with views to subtract. */
function changesOf(at: Bounds, isDayIn: IsDayIn, isPost = sql`true`): RawBuilder<unknown> {
  const daily = sql.table('post_views_daily')
  return sql`
    select post_id, views, 0 as gone from ${daily} where ${isAdded(isDayIn, at)} and ${isPost}
    union all
    select post_id, 0, views from ${daily} where ${isGone(isDayIn, at)} and ${isPost}`
}

/** A query: the views of each post to add to those of the `rollup`. Without a rollup, those in the window. */
export function viewsSinceRollup(moment: WindowQuery): RawBuilder<{ post_id: string; views: string }> {
  return sql`(
    select post_id, sum(views) - sum(gone) as views from (${changesOf(bounds(moment), isBetween)}) as changes group by post_id
  )`
}

/**
 * A query: the parts of a window up to the day `at.today`, to add (`views`) and to subtract (`gone`).
 * @param isPost a condition for `post_id`. With one, `isDayIn` has to be `isOneOfDays`.
 */
export function partsOf(moment: WindowQuery, at: Bounds, isDayIn = isBetween, isPost = sql`true`): RawBuilder<unknown> {
  return sql`(
    select post_id, views, 0 as gone from ${viewsOfRollup(moment)} as stored where ${isPost}
    union all ${changesOf(at, isDayIn, isPost)}
  )`
}

/** A query: the views of each post in a window of whole days, of which `rollup` is the rollup. */
export function viewsOfDays(moment: WindowQuery): RawBuilder<{ post_id: string; views: string }> {
  return sql`(select post_id, sum(views) - sum(gone) as views from ${partsOf(moment, bounds(moment))} as parts group by post_id)`
}

/** The views of one post in a window of whole days, of which `rollup` is the rollup. */
export function viewsOfPostInDays(moment: WindowQuery, postId: RawBuilder<unknown>): RawBuilder<string> {
  const at = bounds(moment)
  const sumOf = (isDay: RawBuilder<unknown>) =>
    sql`coalesce((select sum(views) from ${sql.table('post_views_daily')} where post_id = ${postId} and ${isDay}), 0)`
  return sql`(
    coalesce((select views from ${sql.table('post_views_window')} where ${isInRollup(moment)} and post_id = ${postId}), 0)
    + ${sumOf(isAdded(isOneOfDays, at))} - ${sumOf(isGone(isOneOfDays, at))}
  )`
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
