import { type Kysely, sql, type Transaction } from 'kysely'
import { ownRelation } from './own-schema.ts'
import type { WindowQuery } from './window-query.ts'
import {
  bounds,
  dayVersions,
  headsOf,
  isOneOfDays,
  MAX_BIGINT,
  OUTDATED,
  partsOf,
  rollup,
  STORING,
  sumsOf,
  WHOLE,
} from './window-rollups.ts'

/**
 * How many posts a statement sums. With a counter for each post and day of a year, a statement takes about half a second: a
 * request of a host whose pool has one connection waits for it, and so does the end of an app.
 */
const SLICE_POSTS = 2_000
/** How many sums of an outdated rollup a statement deletes for each post of a slice. */
const DELETED_PER_POST = 5

/** The usual windows: their rollups are stored, beside that of the default window of the site. */
const USUAL_DAYS = [7, 30, 90, 365]

interface WindowsToStore {
  defaultDays?: number
  maxDays?: number
  /** The windows that readers may request; `undefined`: any. */
  allowed?: readonly number[] | undefined
  timeZone: string
}

/** How a rollup is stored: for tests, too. */
export interface StoreOptions {
  /** How many posts are summed by a statement. */
  slicePosts?: number
  /** Called before each slice: whether the time of the call is over. Default: the rollup is stored to the end. */
  isOver?: () => boolean
}

/**
 * Stores the rollups of the default window and of the usual windows, up to `maxDays` and among `allowed`, until `isOver`: a later
 * call continues.
 * @returns whether all of them are stored, or other processes are storing them.
 */
export async function materializeWindows<DB>(
  db: Kysely<DB>,
  { defaultDays = 30, maxDays = 365, allowed, timeZone }: WindowsToStore,
  isOver = () => false,
): Promise<boolean> {
  for (const days of new Set([defaultDays, ...USUAL_DAYS]))
    if (days > 1 && days <= maxDays && allowed?.includes(days) !== false)
      if (!(await materializeWindow(db, { days, timeZone }, { isOver }))) return false
  return true
}

/**
 * Stores the rollup of a window, unless it is current or another process is storing it. It is made from the last whole one, if
 * that is exact, in one transaction for each slice of posts. After an interruption, the next call continues.
 *
 * Each slice verifies that the closed days are those of the slices before. If one has changed, the call ends, and the next one
 * starts a new rollup. Rollups of earlier days, and those that a change has interrupted, are deleted in slices, too. So a
 * window has one rollup at a time, except for the minutes in which the clocks of processes disagree about the day.
 * @returns `false` if the time was over before.
 */
export async function materializeWindow<DB>(
  db: Kysely<DB>,
  moment: WindowQuery,
  { slicePosts = SLICE_POSTS, isOver = () => false }: StoreOptions = {},
): Promise<boolean> {
  // The second statement of a transaction sees what the last holder of the lock has stored.
  const step = () =>
    db
      .transaction()
      .setIsolationLevel('read committed')
      .execute((trx) => storeNext(trx, moment, slicePosts))
  while (!isOver()) if (!(await step())) return true
  return false
}

/** Stores or deletes one slice. Returns whether there may be more to do. */
async function storeNext<DB>(trx: Transaction<DB>, moment: WindowQuery, slicePosts: number): Promise<boolean> {
  const at = bounds(moment)
  const table = sql.table('post_views_window')
  const heads = headsOf(moment.days)
  const sums = sumsOf(moment.days)
  const { rows: turns } = await sql`
    select 1 as turn where pg_try_advisory_xact_lock(
      hashtextextended('popular-posts window ' || ${ownRelation('post_views_window')} || ' ' || ${moment.days}::integer, 0))`.execute(
    trx,
  )
  if (turns.length === 0) return false

  /** The key of the rollup to store. `day` is the last closed day as a number: the text of a date depends on settings. */
  const present = sql`(
    select last_day, touches, (last_day - date '2000-01-01')::text as day
    from (select ${at.lastClosedDay} as last_day, ${dayVersions(at)} as touches) as of_days
    where touches <= ${MAX_BIGINT}
  )`
  const { rows } = await sql<{ day: string; touches: string; state: string; after: string | null; outdated: string }>`
    select day, present.touches::text as touches, head.views::text as state, head.post_id::text as after,
      (select count(*) from ${table} as old where old.days = ${heads} and old.views = ${OUTDATED}::integer)::text as outdated
    from ${present} as present
    left join ${table} as head
      on head.days = ${heads} and head.last_day = present.last_day and head.touches = present.touches`.execute(trx)
  for (const { outdated } of rows)
    if (outdated !== '0') return deleteSome(trx, moment.days, slicePosts * DELETED_PER_POST)
  for (const { day, touches, state, after } of rows) {
    if (state === String(WHOLE)) return false
    const isAfter = after === null ? sql`true` : sql`post_id > ${after}`
    const next = await sql<{ post_id: string }>`
      select post_id::text as post_id from ${sql.table('post_views_total')} where ${isAfter}
      order by post_views_total.post_id offset ${slicePosts - 1}::integer limit 1`.execute(trx)
    // The last slice has no end: the counters of a day may have a post that the totals lack.
    const [until = null] = next.rows.map((row) => row.post_id)
    const isPost = until === null ? isAfter : sql`${isAfter} and post_id <= ${until}`
    const newState = sql`${until === null ? WHOLE : STORING}::integer`
    // The last rollup is of no use for the next one if it has a full counter, which may stand for a greater sum.
    const isExact = sql`not exists (
      select from ${table} as full_counter where full_counter.days = ${sums}
      and full_counter.last_day = last.last_day and full_counter.touches = last.touches and views = ${MAX_BIGINT}
    )`
    const stored = await sql`
      with present as materialized (
        select last_day, touches from ${present} as now where day = ${day} and touches = ${touches}
      ),
      rollup (first_day, last_day, touches, added_days) as materialized (
        select * from ${rollup(moment)} as last (first_day, last_day, touches, added_days) where ${isExact}
      ),
      stored as (
        insert into ${table} (days, last_day, touches, post_id, views)
        select ${sums}, present.last_day, present.touches, post_id, least(sum(views) - sum(gone), ${MAX_BIGINT})
        from present, ${partsOf(moment, { ...at, today: at.lastClosedDay }, isOneOfDays, isPost)} as parts
        group by present.last_day, present.touches, post_id having sum(views) <> sum(gone) order by post_id
        on conflict do nothing returning post_id
      ),
      outdated as (
        update ${table} as head set views = ${OUTDATED}::integer from present
        where head.days = ${heads} and head.views in (${STORING}::integer, ${newState})
        and (head.last_day < present.last_day or (head.last_day = present.last_day and head.touches < present.touches))
      )
      ${
        after === null
          ? sql`
            insert into ${table} (days, last_day, touches, post_id, views)
            select ${heads}, last_day, touches, last_post.post_id, ${newState} from present,
              (select coalesce(${until}, (select post_id from stored limit 1)) as post_id) as last_post
            where last_post.post_id is not null`
          : sql`
            update ${table} as head set views = ${newState}, post_id = coalesce(${until}, head.post_id) from present
            where head.days = ${heads} and head.last_day = present.last_day and head.touches = present.touches`
      } returning 1 as stored`.execute(trx)
    return stored.rows.length > 0
  }
  return false
}

/** Deletes some sums of an outdated rollup; then its head. */
async function deleteSome<DB>(trx: Transaction<DB>, days: number, rows: number): Promise<true> {
  const table = sql.table('post_views_window')
  await sql`
    with old as materialized (
      select last_day, touches from ${table} where days = ${headsOf(days)} and views = ${OUTDATED}::integer limit 1
    ),
    gone as (
      delete from ${table} where ctid = any(array(
        select sums.ctid from ${table} as sums, old
        where sums.days = ${sumsOf(days)} and sums.last_day = old.last_day and sums.touches = old.touches limit ${rows}::integer
      )) returning 1
    )
    delete from ${table} as head using old
    where head.days = ${headsOf(days)} and head.last_day = old.last_day and head.touches = old.touches
    and (select count(*) from gone) < ${rows}::integer`.execute(trx)
  return true
}
