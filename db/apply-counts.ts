import { type RawBuilder, sql, type Transaction } from 'kysely'
import { hasFiniteHeat } from './bounded.ts'
import {
  DATED,
  type DeltaRow,
  type Import,
  LEDGER,
  type Ledger,
  noonOf,
  type OverlapRow,
  openLedger,
  RECENT,
  TOP,
} from './count-ledger.ts'
import { heatOfDays, heatOfGroup, MAX_VIEWS, upserts } from './count-views.ts'
import type { Database } from './schema.ts'

/*
 * The rule: of a post and a day, a source has counted the greatest number that one of its exports has. So the same
 * export again changes nothing, a newer one adds the difference, and the order of imports does not matter. Of all time, a
 * source has counted the greatest total of its exports, or the sum of its days, whichever is more.
 *
 * An import changes the counters by what it changes of that; an undo takes the same back. Both go through the ledger in
 * pages, because a statement has a timeout, and lock the counters in the order of `upserts`.
 */

/** What an import has counted. */
export interface AppliedImport {
  /** Views by which the totals of posts have grown. */
  views: bigint
  /** The part of them without a day. */
  undated: bigint
  /** Posts with such views. */
  posts: number
  /** The ten posts with the most of them. */
  top: { slug: string; title: string; views: bigint }[]
  /** Days of posts on which this database has other views, too. */
  overlap: Overlap
  /** Posts whose totals have grown and which had other views. */
  addedTotals: number
}

/** Posts on days of which both the export and the database have views. */
export interface Overlap {
  /** The number of pairs of a post and a day. */
  days: number
  /** The views that the import adds on them, and those that were there. */
  views: bigint
  otherViews: bigint
  first: string | undefined
  last: string | undefined
}

/** How far the heat of a post must be above a part of it, so that the difference has digits enough. */
const HEAT_DIGITS = 1e-6

/** Changes the counters by an import whose rows are in the ledger, and deletes the rows that change nothing. */
export async function applyImport(trx: Transaction<Database>, job: Import): Promise<AppliedImport> {
  const { timeZone, nowMs, id } = job
  const ledger = await openLedger(trx, job)
  const overlap: Overlap = { days: 0, views: 0n, otherViews: 0n, first: undefined, last: undefined }
  for await (const page of ledger.pages(sql`true`)) addOverlap(overlap, await ledger.prune(page))
  const { hourly, daily, total } = upserts({ timeZone, nowMs })
  for await (const page of ledger.pages(RECENT))
    await hourly(
      sql`(select post_id, hour as at, views from (${ledger.parts(page)}) as part where hour > '-infinity')`,
    ).execute(trx)
  for await (const page of ledger.pages(DATED))
    await daily(
      sql`(select post_id, ${noonOf('part', timeZone)} as at, views from (${ledger.parts(page)}) as part)`,
    ).execute(trx)
  const applied: AppliedImport = { views: 0n, undated: 0n, posts: 0, top: [], overlap, addedTotals: 0 }
  for await (const page of ledger.postPages()) {
    addTotals(applied, await ledger.readDeltas(page))
    await total(ledger.timedParts(page)).execute(trx)
    await sql`
      insert into ${sql.table('post_views_total')} as counter (post_id, views, heat)
      select post_id, greatest(least(all_time - dated, ${MAX_VIEWS}), -${MAX_VIEWS}), '-infinity' from (${ledger.deltas(page)}) as delta where all_time <> dated order by post_id
      on conflict (post_id) do update
      set views = greatest(0, least(counter.views::numeric + excluded.views, ${MAX_VIEWS}))`.execute(trx)
    // Where all views of a post come from another database of this package, its heat does, too.
    await sql`
      update ${sql.table('post_views_total')} as counter
      set heat = least(own.heat, extract(epoch from now()) / 86400 + ln(greatest(counter.views, 1)::float8) / ln(2::float8))
      from ${LEDGER} as own join (${ledger.deltas(page)}) as delta using (post_id)
      where own.import_id = ${id}::bigint and own.day = '-infinity' and own.heat is not null
      and counter.post_id = own.post_id and counter.views = delta.all_time`.execute(trx)
  }
  return applied
}

/**
 * Takes back what an import has changed, and deletes it from the ledger. Posts that it created stay.
 * @returns the views that the totals have lost.
 */
export async function undoImport(trx: Transaction<Database>, job: Import): Promise<bigint> {
  const { timeZone, id } = job
  const ledger = await openLedger(trx, job)
  const take = (counter: 'post_views_hourly' | 'post_views_daily', key: string, part: RawBuilder<unknown>) => sql`
    with part as materialized (select ${sql.ref(key)}, post_id, sum(views) as views from (${part}) as part group by 1, 2),
    rest as materialized (
      select ${sql.ref(key)}, post_id, counter.views - part.views as views
      from ${sql.table(counter)} as counter join part using (${sql.ref(key)}, post_id)
      order by 1, 2 for update of counter
    ),
    gone as (delete from ${sql.table(counter)} as counter using rest
      where counter.${sql.ref(key)} = rest.${sql.ref(key)} and counter.post_id = rest.post_id and rest.views <= 0)
    update ${sql.table(counter)} as counter set views = rest.views from rest
    where counter.${sql.ref(key)} = rest.${sql.ref(key)} and counter.post_id = rest.post_id and rest.views > 0`
  for await (const page of ledger.pages(RECENT))
    await take(
      'post_views_hourly',
      'hour',
      sql`select * from (${ledger.parts(page)}) as part where hour > '-infinity'`,
    ).execute(trx)
  for await (const page of ledger.pages(DATED)) await take('post_views_daily', 'day', ledger.parts(page)).execute(trx)
  let views = 0n
  for await (const page of ledger.postPages()) {
    views += BigInt((await ledger.readDeltas(page)).views)
    await takeTotals(trx, ledger, page, timeZone)
  }
  await sql`delete from ${LEDGER} where import_id = ${id}::bigint`.execute(trx)
  await sql`delete from ${sql.table('post_views_import')} where id = ${id}::bigint`.execute(trx)
  return views
}

/**
 * Heat is a logarithm of a sum, so a part of it can be subtracted. Where almost nothing is left, the digits are lost: then
 * the heat of the days that are left is computed.
 */
async function takeTotals(
  trx: Transaction<Database>,
  ledger: Ledger,
  page: RawBuilder<boolean>,
  timeZone: string,
): Promise<void> {
  const heatOf = (input: RawBuilder<unknown>) => sql`
    select post_id, ${heatOfGroup()} as heat from (
      select *, max(x) over (partition by post_id) as max_x
      from (select post_id, views, (extract(epoch from at) / 86400)::float8 as x from ${input} as input) as timed
    ) as input group by post_id, max_x`
  await sql`
    with delta as materialized (${ledger.deltas(page)}),
    part as materialized (${heatOf(ledger.timedParts(page))}),
    rest as materialized (
      select counter.post_id, counter.views - delta.all_time as views, case
        when part.heat is null or not ${hasFiniteHeat('counter')} then counter.heat
        when part.heat < counter.heat - ${HEAT_DIGITS}::float8
        then counter.heat + ln(1 - power(2::float8, greatest(part.heat - counter.heat, -1000))) / ln(2::float8)
        else ${heatOfDays(timeZone)} end as heat
      from ${sql.table('post_views_total')} as counter join delta using (post_id) left join part using (post_id)
      order by 1 for update of counter
    ),
    gone as (delete from ${sql.table('post_views_total')} as counter using rest
      where counter.post_id = rest.post_id and rest.views <= 0)
    update ${sql.table('post_views_total')} as counter set views = rest.views, heat = rest.heat from rest
    where counter.post_id = rest.post_id and rest.views > 0`.execute(trx)
}

function addOverlap(overlap: Overlap, { days, views, otherViews, first, last }: OverlapRow): void {
  overlap.days += days
  overlap.views += BigInt(views)
  overlap.otherViews += BigInt(otherViews)
  // Pages are in the order of days.
  overlap.first ??= first ?? undefined
  overlap.last = last ?? overlap.last
}

function addTotals(applied: AppliedImport, { views, undated, posts, addedTotals, top }: DeltaRow): void {
  applied.views += BigInt(views)
  applied.undated += BigInt(undated)
  applied.posts += posts
  applied.addedTotals += addedTotals
  const more = (JSON.parse(top) as { slug: string; title: string | null; views: string }[]).map((post) => ({
    slug: post.slug,
    title: post.title ?? post.slug,
    views: BigInt(post.views),
  }))
  applied.top = [...applied.top, ...more]
    .sort((a, b) => Number(b.views - a.views) || a.slug.localeCompare(b.slug))
    .slice(0, TOP)
}
