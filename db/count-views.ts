import { type Kysely, type QueryExecutorProvider, type RawBuilder, sql } from 'kysely'
import { codeOf } from '../lib/errors.ts'
import { hasFiniteHeat } from './bounded.ts'
import { countedTimeZone } from './time-zone.ts'

/**
 * Views of one post in one bucket of 15 minutes. Time zones are multiples of 15 minutes, so every midnight starts a
 * bucket.
 */
export interface ViewBucket {
  postId: string | number | bigint
  /** The start of the bucket, in milliseconds since the epoch: see {@link bucketStart}. */
  bucketStartMs: number
  /** The number of views, at least 1. */
  views: number
}

interface ViewBatch {
  id: string
  timeZone: string
  nowMs: number
  buckets: readonly ViewBucket[] | (() => Promise<readonly ViewBucket[]>)
  maxReadAgeSeconds?: number
  waitsForRows?: boolean
  onDataException?: (error: Error) => void
}

const BUCKET_MS = 15 * 60 * 1000
/** How long hourly counters are stored: what `days=1` reads, and one day more. */
const HOURS_KEPT = 48

/** Limits the waits of the rest of the statement for a lock: true. The next statement of the connection has the old limit. */
const LOCK_TIMEOUT = sql`set_config('lock_timeout', '2s', true) <> ''`

/** The greatest number that a counter can hold. A full counter stays there: an overflow would fail the whole batch. */
export const MAX_COUNT = 9223372036854775807n
export const MAX_VIEWS = sql`9223372036854775807`

/** The start of the bucket that contains a time; both in milliseconds since the epoch. */
export function bucketStart(timeMs: number): number {
  return Math.floor(timeMs / BUCKET_MS) * BUCKET_MS
}

/**
 * Counts one batch of views exactly once, however often it is called with the same `id`.
 *
 * One statement inserts the id into the ledger and, only if the id is new, increases the counters. Buckets of posts
 * that do not exist are ignored. Views that are dated later than the database's clock are counted as of now: one process,
 * or one line of a log, with a wrong clock would put its post first for years, because heat is never recomputed. Rows are
 * written in the order of their keys, so concurrent batches cannot deadlock. A
 * process that is suspended or killed leaves no transaction open, so it blocks no other process. Where another
 * transaction holds a row for more than two seconds, the batch is not counted: it holds rows itself that others need.
 * `waitsForRows` leaves this limit out.
 * @param batch.id any string that is unique to the batch.
 * @param batch.timeZone the site's IANA time zone: decides the day of a view.
 * @param batch.nowMs the present, in milliseconds since the epoch, or the database's clock if that is behind: hours that
 *   `days=1` does not read any more are not stored.
 * @param batch.buckets the views, or a function that reads them; it is not called if the id is known.
 * @param batch.maxReadAgeSeconds the greatest age of the views that the function read. Default 3600, far less than the
 *   ledger stores ids.
 * @param batch.onDataException called with the error if values of the batch do not fit the columns, such as ids of
 *   another type than the posts' ids. Such ids name no posts, so their buckets are ignored.
 * @returns `counted`: counted by this call; `before`: counted by an earlier call, nothing changed; `late`: the views
 *   were read too long ago, read them again.
 * @throws the error of PostgreSQL; `55P03`: another transaction holds a row. The batch may have been counted and the reply lost: call again.
 */
export async function countBatch<DB>(
  db: Kysely<DB>,
  {
    id,
    timeZone,
    nowMs,
    buckets,
    maxReadAgeSeconds = 3600,
    waitsForRows = false,
    onDataException = () => {},
  }: ViewBatch,
): Promise<'counted' | 'before' | 'late'> {
  const { rows: opened } = await sql<{ at: string }>`
    select extract(epoch from now())::text as at where not exists (select from ${sql.table('post_views_batch')} where id = ${id})`.execute(
    db,
  )
  if (opened[0] === undefined) return 'before'
  const read = typeof buckets === 'function' ? await buckets() : buckets
  const isInTime = sql`now() <= to_timestamp(${opened[0].at}::float8) + ${maxReadAgeSeconds} * interval '1 second'`
  const { hourly, daily, total } = upserts({ timeZone, nowMs })
  // Each upsert starts after the one before it has ended, as in `addViews`; in any other order two batches could
  // deadlock.
  const after = (name: string) => sql`(select * from input where (select count(*) from ${sql.ref(name)}) >= 0)`
  const count = async (input: RawBuilder<unknown>) => {
    const { rows } = await sql<{ isNew: number; isInTime: number }>`
      with batch as (
        insert into ${sql.table('post_views_batch')} (id) select ${id} where ${isInTime} and ${waitsForRows ? sql`true` : LOCK_TIMEOUT} on conflict (id) do nothing returning id
      ),
      input as materialized (select * from (${input}) as input where exists (select from batch)),
      hourly as (${hourly(sql`input`)} returning 1),
      daily as (${daily(after('hourly'))} returning 1),
      total as (${total(after('daily'))} returning 1)
      select exists (select from batch)::int as "isNew", (${isInTime})::int as "isInTime"`.execute(db)
    return rows[0]
  }
  const done = await count(inputOf(read)).catch((error: Error) => {
    if (!isDataException(error)) throw error
    onDataException(error)
    return count(inputByIdText(read))
  })
  if (Number(done?.isNew) === 1) return 'counted'
  return Number(done?.isInTime) === 1 ? 'before' : 'late'
}

/**
 * Adds views to all counters: {@link countBatch} without its ledger, for callers that have their own.
 * @param trx a transaction: the three counters must change together.
 */
export async function addViews(
  trx: QueryExecutorProvider,
  { timeZone, nowMs, buckets }: { timeZone: string; nowMs: number; buckets: readonly ViewBucket[] },
): Promise<void> {
  const { hourly, daily, total } = upserts({ timeZone, nowMs })
  const input = sql`(${inputOf(buckets)})`
  for (const upsert of [hourly, daily, total]) await upsert(input).execute(trx)
}

function inputOf(buckets: readonly ViewBucket[]) {
  // As rows of the counter table: its row type accepts the ids as text, whatever type they have.
  return sql`
    select b.post_id, least(b.hour, now()) as at, b.views from unnest(${rowsOf(buckets)}::${sql.table('post_views_hourly')}[]) as b
    where exists (select from ${sql.table('posts')} where posts.id = b.post_id)`
}

/** The text of an array of rows. Not made by pg, which takes 2 ms of CPU for the array of one batch. */
export function rowsOf(buckets: readonly ViewBucket[]): string {
  const times = new Map<number, string>()
  const rows = buckets.map(({ postId, bucketStartMs, views }) => {
    const time = times.get(bucketStartMs) ?? new Date(bucketStartMs).toISOString()
    times.set(bucketStartMs, time)
    const id = String(postId)
    return /^[\w-]+$/.test(id) ? `"(${time},${id},${views})"` : asField(`(${time},${asField(id)},${views})`)
  })
  return `{${rows.join()}}`
}

/** Whether an error is a data exception of PostgreSQL (class 22). */
function isDataException(error: Error): boolean {
  return codeOf(error).startsWith('22')
}

/** Like `inputOf`, but compares ids as text: it reads all posts, and converts no id. */
function inputByIdText(buckets: readonly ViewBucket[]) {
  const ids = buckets.map(({ postId }) => String(postId))
  const times = buckets.map(({ bucketStartMs }) => new Date(bucketStartMs).toISOString())
  const views = buckets.map((bucket) => bucket.views)
  return sql`
    select posts.id as post_id, least(b.at, now()) as at, b.views
    from unnest(${ids}::text[], ${times}::timestamptz[], ${views}::bigint[]) as b (id, at, views)
    join ${sql.table('posts')} on posts.id::text = b.id`
}

/** The statements that add rows of `post_id`, `at` and `views` to each counter: `hourly` first, then `daily`, then `total`. */
export function upserts({ timeZone, nowMs }: { timeZone: string; nowMs: number }) {
  type Input = RawBuilder<unknown>
  return {
    hourly: (input: Input) => sql`
      insert into ${sql.table('post_views_hourly')} as counter (hour, post_id, views)
      select date_trunc('hour', at, 'UTC') as hour, post_id, least(sum(views), ${MAX_VIEWS}) from ${input} as input
      where at >= least(${new Date(nowMs)}, now()) - ${HOURS_KEPT} * interval '1 hour'
      group by 1, 2 order by 1, 2
      on conflict (hour, post_id) do update set views = ${sumOfBoth()}`,
    daily: (input: Input) => sql`
      insert into ${sql.table('post_views_daily')} as counter (day, post_id, views)
      select (at at time zone ${countedTimeZone(timeZone)})::date as day, post_id, least(sum(views), ${MAX_VIEWS}) from ${input} as input
      group by 1, 2 order by 1, 2
      on conflict (day, post_id) do update set views = ${sumOfBoth()}`,
    total: (input: Input) => sql`
      insert into ${sql.table('post_views_total')} as counter (post_id, views, heat)
      select post_id, least(sum(views), ${MAX_VIEWS}), ${heatOfGroup()} from (
        select *, max(x) over (partition by post_id) as max_x
        from (select *, (extract(epoch from at) / 86400)::float8 as x from ${input} as input) as timed
      ) as input
      group by post_id, max_x order by post_id
      on conflict (post_id) do update set views = ${sumOfBoth()}, heat = ${heatOfBoth()}`,
  }
}

function sumOfBoth() {
  // A number below 0, which only an administrator can write, counts as 0: with it the difference would overflow.
  return sql`greatest(counter.views, 0) + least(excluded.views, ${MAX_VIEWS} - greatest(counter.views, 0))`
}

/** Quotes a field of a row or an array literal. */
function asField(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}

/*
 * Heat: the base-2 logarithm of the sum over all views of 2^(t / halfLife), t in days since the epoch, half-life one
 * day. It is the logarithm of the exponentially decayed sum of views, up to a term that depends only on the present. So
 * the order by heat is the order by decayed views at any time, and heat is never recomputed. Sums are relative to the
 * greatest exponent. PostgreSQL raises an error if power() underflows, hence the minimum of -1000, which is less than a
 * double can add.
 */
export function heatOfGroup() {
  return sql`max_x + ln(sum(views * power(2::float8, greatest(x - max_x, -1000)))) / ln(2::float8)`
}
/** The heat of the stored days of `counter.post_id` up to the present, each at its noon. No day: minus infinity. */
export function heatOfDays(timeZone: string) {
  const zone = countedTimeZone(timeZone)
  return sql`coalesce((
    select ${heatOfGroup()} from (
      select views, x, max(x) over () as max_x from (
        select views, (extract(epoch from least((day + time '12:00') at time zone ${zone}, now())) / 86400)::float8 as x
        from ${sql.table('post_views_daily')} as daily where daily.post_id = counter.post_id
        and views > 0 and day > '-infinity' and day <= (now() at time zone ${zone})::date
      ) as timed
    ) as days group by max_x), '-infinity')`
}
function heatOfBoth() {
  return sql`case when ${hasFiniteHeat('counter')} then greatest(counter.heat, excluded.heat)
    + ln(1 + power(2::float8, greatest(-abs(counter.heat - excluded.heat), -1000))) / ln(2::float8)
    else excluded.heat end`
}
