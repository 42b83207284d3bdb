import { type Kysely, type QueryExecutorProvider, type RawBuilder, sql } from 'kysely'
import { codeOf } from '../lib/errors.ts'

/** Views of one post in one quarter of an hour: as fine as time zones are, so that every zone's midnight falls on an edge. */
export interface ViewBucket {
  postId: string | number | bigint
  /** Start of the quarter, in milliseconds since the epoch: see {@link bucketStart}. */
  bucketStartMs: number
  /** How many views, at least 1. */
  views: number
}

interface ViewBatch {
  id: string
  timeZone: string
  nowMs: number
  buckets: readonly ViewBucket[] | (() => Promise<readonly ViewBucket[]>)
  maxReadAgeSeconds?: number
  onDataException?: (error: Error) => void
}

const QUARTER_MS = 15 * 60 * 1000
/** How long hours are kept: what `days=1` reads, and a day more. */
const HOURS_KEPT_MS = 48 * 60 * 60 * 1000

/**
 * Views of tomorrow weigh more than those of today; later ones count as of tomorrow. One log line of a server that took
 * it for 2036 would else put its post first for ten years, and heat is never computed anew.
 */
const HEAT_AHEAD_MS = 24 * 60 * 60 * 1000

/** Counters stay at the greatest number that they can hold: one more view must not fail those of all other posts. */
const MAX_VIEWS = sql`9223372036854775807`

/** The start of the quarter of an hour that a moment is in, in milliseconds since the epoch. */
export function bucketStart(timeMs: number): number {
  return Math.floor(timeMs / QUARTER_MS) * QUARTER_MS
}

/**
 * Counts one batch of views, exactly once however often it is called with the same `id`.
 *
 * One statement: the id goes into the ledger, and only if it is new the counters grow. Buckets of posts that do not
 * exist are left out. Rows are written in the order of their keys, so that batches running side by side cannot deadlock.
 * A process that freezes or dies at any moment leaves no transaction open, so it keeps nobody waiting.
 * @param batch.id any string that names the batch and no other.
 * @param batch.timeZone the site's IANA time zone: decides the day that a view belongs to.
 * @param batch.nowMs the present, in milliseconds since the epoch: hours that `days=1` can no longer see are not kept.
 * @param batch.buckets the views, or what reads them: it is not called when the id is known.
 * @param batch.patienceSeconds how old what was read may be when it is counted. Default an hour: far less than the
 *   ledger remembers ids for.
 * @param batch.onMisfit told of the error where the batch holds what does not fit the columns, such as ids that are not of the type of
 *   the posts' ids. They name no posts, and are left out like those of posts that do not exist.
 * @returns `counted` now; `before`, and nothing is changed; or `late`: what was read is too old, read it again.
 * @throws what PostgreSQL answered; it may have counted the batch, and lost the answer: call again.
 */
export async function countBatch<DB>(
  db: Kysely<DB>,
  { id, timeZone, nowMs, buckets, maxReadAgeSeconds = 3600, onDataException = () => {} }: ViewBatch,
): Promise<'counted' | 'before' | 'late'> {
  const { rows: opened } = await sql<{ at: string }>`
    select now()::text as at where not exists (select from post_views_batch where id = ${id})`.execute(db)
  if (opened[0] === undefined) return 'before'
  const read = typeof buckets === 'function' ? await buckets() : buckets
  const isInTime = sql`now() <= ${opened[0].at}::timestamptz + ${maxReadAgeSeconds} * interval '1 second'`
  const { hourly, daily, total } = upserts({ timeZone, nowMs })
  // Each begins when the one before it has ended, as in `addViews`: in any other order two could block each other for ever.
  const after = (name: string) => sql`(select * from input where (select count(*) from ${sql.ref(name)}) >= 0)`
  const count = async (input: RawBuilder<unknown>) => {
    const { rows } = await sql<{ isNew: boolean; isInTime: boolean }>`
      with batch as (
        insert into post_views_batch (id) select ${id} where ${isInTime} on conflict (id) do nothing returning id
      ),
      input as materialized (select * from (${input}) as input where exists (select from batch)),
      hourly as (${hourly(sql`input`)} returning 1),
      daily as (${daily(after('hourly'))} returning 1),
      total as (${total(after('daily'))} returning 1)
      select exists (select from batch) as "isNew", ${isInTime} as "isInTime"`.execute(db)
    return rows[0]
  }
  const done = await count(inputOf(read)).catch((error: Error) => {
    if (!isDataException(error)) throw error
    onDataException(error)
    return count(inputByIdText(read))
  })
  if (done?.isNew === true) return 'counted'
  return done?.isInTime === true ? 'before' : 'late'
}

/**
 * Adds views to all counters: the part of {@link countBatch} after the ledger, for callers with a ledger of their own.
 * @param trx a transaction: the three counters must grow together.
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
  // As rows of a table that has such columns: whatever type the ids of posts have, it takes their text.
  return sql`
    select b.post_id, b.hour as at, b.views from unnest(${rowsOf(buckets)}::post_views_hourly[]) as b
    where exists (select from posts where posts.id = b.post_id)`
}

/** As PostgreSQL writes an array of rows. By hand, because pg takes 2 ms of the process for the array of a batch. */
function rowsOf(buckets: readonly ViewBucket[]): string {
  const times = new Map<number, string>()
  const rows = buckets.map(({ postId, bucketStartMs, views }) => {
    const time = times.get(bucketStartMs) ?? new Date(bucketStartMs).toISOString()
    times.set(bucketStartMs, time)
    const id = String(postId)
    return /^[\w-]+$/.test(id) ? `"(${time},${id},${views})"` : asField(`(${time},${asField(id)},${views})`)
  })
  return `{${rows.join()}}`
}

/** A data exception of PostgreSQL. */
function isDataException(error: Error): boolean {
  return codeOf(error).startsWith('22')
}

/** The same, of posts alone whose ids have these texts: slower by a look at all posts, and no id has to be converted. */
function inputByIdText(buckets: readonly ViewBucket[]) {
  const ids = buckets.map(({ postId }) => String(postId))
  const times = buckets.map(({ bucketStartMs }) => new Date(bucketStartMs).toISOString())
  const views = buckets.map((bucket) => bucket.views)
  return sql`
    select posts.id as post_id, b.at, b.views
    from unnest(${ids}::text[], ${times}::timestamptz[], ${views}::bigint[]) as b (id, at, views)
    join posts on posts.id::text = b.id`
}

/** The statements that add rows of `post_id`, `at` and `views` to each counter. */
function upserts({ timeZone, nowMs }: { timeZone: string; nowMs: number }) {
  type Input = RawBuilder<unknown>
  return {
    hourly: (input: Input) => sql`
      insert into post_views_hourly as counter (hour, post_id, views)
      select date_trunc('hour', at, 'UTC') as hour, post_id, least(sum(views), ${MAX_VIEWS}) from ${input} as input
      where at >= ${new Date(nowMs - HOURS_KEPT_MS)}
      group by 1, 2 order by 1, 2
      on conflict (hour, post_id) do update set views = ${sumOfBoth()}`,
    daily: (input: Input) => sql`
      insert into post_views_daily as counter (day, post_id, views)
      select (at at time zone ${timeZone})::date as day, post_id, least(sum(views), ${MAX_VIEWS}) from ${input} as input
      group by 1, 2 order by 1, 2
      on conflict (day, post_id) do update set views = ${sumOfBoth()}`,
    total: (input: Input) => sql`
      insert into post_views_total as counter (post_id, views, heat)
      select post_id, least(sum(views), ${MAX_VIEWS}), ${heatOfGroup()} from (
        select *, max(x) over (partition by post_id) as max_x
        from (select *, ${heatExponent(nowMs)} as x from ${input} as input) as timed
      ) as input
      group by post_id, max_x order by post_id
      on conflict (post_id) do update set views = ${sumOfBoth()}, heat = ${heatOfBoth()}`,
  }
}

function sumOfBoth() {
  return sql`counter.views + least(excluded.views, ${MAX_VIEWS} - counter.views)`
}

/** As PostgreSQL reads a field of a row, or of an array. */
function asField(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}

/*
 * Heat: the base-2 logarithm of the sum over all views of 2^(t / halfLife), t in days since the epoch, half-life one day.
 * It is the exponentially decayed sum of views, up to a factor that depends on now and is the same for all posts: so the
 * order by heat is the order by decayed views at any time, and nothing ever has to be recomputed.
 * Sums are taken relative to the greatest exponent. PostgreSQL refuses a power() that underflows: hence the floor of
 * -1000, which is below what a double can add.
 */
function heatExponent(nowMs: number) {
  return sql`(extract(epoch from least(at, ${new Date(nowMs + HEAT_AHEAD_MS)})) / 86400)::float8`
}
function heatOfGroup() {
  return sql`max_x + ln(sum(views * power(2::float8, greatest(x - max_x, -1000)))) / ln(2::float8)`
}
function heatOfBoth() {
  return sql`greatest(counter.heat, excluded.heat)
    + ln(1 + power(2::float8, greatest(-abs(counter.heat - excluded.heat), -1000))) / ln(2::float8)`
}
