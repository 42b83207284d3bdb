import { type RawBuilder, sql, type Transaction } from 'kysely'
import type { Database } from './schema.ts'
import { countedTimeZone } from './time-zone.ts'

/** An import of `popular-posts import-counts`. */
export interface Import {
  id: string
  source: string
  timeZone: string
  nowMs: number
}

const KEYS_PER_STATEMENT = 10_000
const POSTS_PER_STATEMENT = 1_000
/** The number of posts in the top of a page. */
export const TOP = 10

/** The table of the ledger. */
export const LEDGER = sql.table('post_views_import_count')

/** Imports and undos of one source take turns. */
export async function lockSource(trx: Transaction<Database>, source: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended('popular-posts import-counts ' || ${source}, 0))`.execute(trx)
}

/** Noon of the column `day`: the time of views of which only the day is known. */
export function noonOf(table: string, timeZone: string): RawBuilder<unknown> {
  return sql`((${sql.ref(`${table}.day`)} + time '12:00') at time zone ${countedTimeZone(timeZone)})`
}

/** Conditions for pages of the ledger: days of which hours may be stored; all days, without totals. */
export const RECENT = sql<boolean>`day > current_date - 4`
export const DATED = sql<boolean>`day > '-infinity'`

export type Ledger = Awaited<ReturnType<typeof openLedger>>

/** The rows of an import in the ledger, and the queries over them. */
export async function openLedger(trx: Transaction<Database>, { id, source, timeZone }: Import) {
  const imports = await trx
    .selectFrom('post_views_import')
    .where('source', '=', source)
    .select(sql<string>`id::text`.as('id'))
    .execute()
  const others = imports.map((one) => one.id).filter((other) => other !== id)
  const isOwn = sql<boolean>`import_id = ${id}::bigint`

  /** What the other exports of the source have at most for the post and day of a row of `own`. */
  const before = sql`coalesce((
    select max(views) from (
      select sum(views) as views from ${LEDGER} as other
      where other.import_id = any(${others}::bigint[]) and other.day = own.day and other.post_id = own.post_id
      group by other.import_id
    ) as of_import), 0)`

  /** By how much the days of a page grow. The last hours of a day come first: those before are known from other exports. */
  const parts = (page: RawBuilder<boolean>) => sql`
    select day, post_id, hour, least(views, value - before - later)::bigint as views from (
      select *, ${before} as before from (
        select *, sum(views) over (partition by day, post_id) as value,
          sum(views) over (partition by day, post_id order by hour desc) - views as later
        from ${LEDGER} where ${isOwn} and ${DATED} and ${page}
      ) as own
    ) as own where value - before > later`

  const timedParts = (page: RawBuilder<boolean>) => sql`(
    select post_id, views, case when hour > '-infinity' then hour else ${noonOf('part', timeZone)} end as at
    from (${parts(page)}) as part)`

  /** By how much the posts of a page grow: in all time, and on their days. `others`: whether the post has other views. */
  const deltas = (page: RawBuilder<boolean>) => sql`
    select post_id, greatest(days_after, total_after) - greatest(days_before, total_before) as all_time,
      days_after - days_before as dated, greatest(days_before, total_before) as before, total_after > total_before as is_total
    from (
      select post_id, coalesce(sum(before) filter (where ${DATED}), 0) as days_before,
        coalesce(sum(after) filter (where ${DATED}), 0) as days_after,
        coalesce(max(before) filter (where not ${DATED}), 0) as total_before,
        coalesce(max(after) filter (where not ${DATED}), 0) as total_after
      from (
        select day, post_id, coalesce(max(views) filter (where not ${isOwn}), 0) as before, max(views) as after
        from (
          select import_id, day, post_id, sum(views) as views from ${LEDGER}
          where import_id = any(${[...others, id]}::bigint[])
          and post_id in (select post_id from ${LEDGER} where ${isOwn} and ${page})
          group by 1, 2, 3
        ) as of_import group by 1, 2
      ) as of_day group by 1
    ) as of_post`

  return {
    parts,
    timedParts,
    deltas,
    /** The keys of the import in pages, as conditions. */
    async *pages(condition: RawBuilder<unknown>): AsyncGenerator<RawBuilder<boolean>, void> {
      let after = sql<boolean>`true`
      for (;;) {
        const { rows } = await sql<{ day: string; post_id: string }>`
          select day::text, post_id::text from (
            select distinct day, post_id from ${LEDGER} where ${isOwn} and ${condition} and ${after} order by 1, 2 limit ${KEYS_PER_STATEMENT}
          ) as page order by page.day desc, page.post_id desc limit 1`.execute(trx)
        const [last] = rows
        if (last === undefined) return
        const { day, post_id } = last
        yield sql<boolean>`(${condition} and ${after} and (day, post_id) <= (${day}, ${post_id}))`
        after = sql<boolean>`(day, post_id) > (${day}, ${post_id})`
      }
    },
    /** The posts of the import in pages, as conditions. */
    async *postPages(): AsyncGenerator<RawBuilder<boolean>, void> {
      let after = sql<boolean>`true`
      for (;;) {
        const { rows } = await sql<{ post_id: string }>`
          select post_id::text from (
            select distinct post_id from ${LEDGER} where ${isOwn} and ${after} order by 1 limit ${POSTS_PER_STATEMENT}
          ) as page order by page.post_id desc limit 1`.execute(trx)
        const [last] = rows
        if (last === undefined) return
        yield sql<boolean>`(${after} and post_id <= ${last.post_id})`
        after = sql<boolean>`post_id > ${last.post_id}`
      }
    },
    /** Deletes the rows of days that do not grow. @returns the overlap with other views on the days that do. */
    async prune(page: RawBuilder<boolean>): Promise<OverlapRow> {
      const { rows } = await sql<OverlapRow>`
        with own as materialized (
          select *, ${before} as before from (
            select day, post_id, sum(views) as value from ${LEDGER} where ${isOwn} and ${page} group by 1, 2
          ) as own
        ),
        pruned as (
          delete from ${LEDGER} as kept using own
          where kept.import_id = ${id}::bigint and kept.day = own.day and kept.post_id = own.post_id and value <= before
        )
        select count(*)::int as days, coalesce(sum(value - before), 0)::text as views,
          coalesce(sum(counter.views - before), 0)::text as "otherViews", min(day)::text as first, max(day)::text as last
        from own join ${sql.table('post_views_daily')} as counter using (day, post_id)
        where value > before and counter.views > before`.execute(trx)
      return rows[0] as OverlapRow
    },
    async readDeltas(page: RawBuilder<boolean>): Promise<DeltaRow> {
      const { rows } = await sql<DeltaRow>`
        with delta as materialized (
          select delta.*, coalesce(counter.views, 0) - delta.before > 0 and is_total as is_added
          from (${deltas(page)}) as delta left join ${sql.table('post_views_total')} as counter using (post_id)
        )
        select coalesce(sum(all_time), 0)::text as views, coalesce(sum(all_time - dated), 0)::text as undated,
          (count(*) filter (where all_time > 0))::int as posts, (count(*) filter (where is_added))::int as "addedTotals",
          (select coalesce(json_agg(best), '[]')::text from (
            select posts.slug, posts.title, all_time::text as views from delta join ${sql.table('posts')} on posts.id = post_id
            where all_time > 0 order by all_time desc, posts.slug limit ${TOP}
          ) as best) as top
        from delta`.execute(trx)
      return rows[0] as DeltaRow
    },
  }
}

export interface OverlapRow {
  days: number
  views: string
  otherViews: string
  first: string | null
  last: string | null
}

export interface DeltaRow {
  views: string
  undated: string
  posts: number
  addedTotals: number
  /** JSON. */
  top: string
}
