import { sql, type Transaction } from 'kysely'
import { hasFiniteHeat } from './bounded.ts'
import { heatOfDays, heatOfGroup, rowsOf, type ViewBucket } from './count-views.ts'
import type { Database } from './schema.ts'
import { countedTimeZone } from './time-zone.ts'

/** The base-2 logarithm of the largest part of a sum that may be taken from it: the rest is exact to 10⁻⁹. */
const MOST_TAKEN = Math.log2(1 - 1e-3)

/**
 * Takes views from all counters that `addViews` added them to, also from those of deleted posts. A counter without
 * views is deleted.
 *
 * Heat is a logarithm: where almost all of a sum is taken, no digits of the rest are left. The heat of the rest is then
 * that of the stored days, each at its noon.
 * @param trx a transaction: the three counters must change together.
 * @param buckets at most one for each post and bucket.
 */
export async function removeViews(
  trx: Transaction<Database>,
  { timeZone, buckets }: { timeZone: string; buckets: readonly ViewBucket[] },
): Promise<void> {
  // As rows of the counter table: see `addViews`.
  const input = sql`(
    select b.post_id, least(b.hour, now()) as at, b.views
    from unnest(${rowsOf(buckets)}::${sql.table('post_views_hourly')}[]) as b
  )`
  const timed = [
    { table: sql.table('post_views_hourly'), time: sql.ref('hour'), of: sql`date_trunc('hour', at, 'UTC')` },
    {
      table: sql.table('post_views_daily'),
      time: sql.ref('day'),
      of: sql`(at at time zone ${countedTimeZone(timeZone)})::date`,
    },
  ]
  for (const { table, time, of } of timed) {
    const taken = sql`(select ${of} as time, post_id, sum(views) as views from ${input} as input group by 1, 2) as taken`
    const isSame = sql`counter.post_id = taken.post_id and counter.${time} = taken.time`
    await sql`delete from ${table} as counter using ${taken} where ${isSame} and counter.views <= taken.views`.execute(
      trx,
    )
    await sql`update ${table} as counter set views = counter.views - taken.views from ${taken} where ${isSame}`.execute(
      trx,
    )
  }
  const total = sql.table('post_views_total')
  const taken = sql`(
    select post_id, sum(views) as views, ${heatOfGroup()} as heat
    from (
      select *, max(x) over (partition by post_id) as max_x
      from (select *, (extract(epoch from at) / 86400)::float8 as x from ${input} as input) as timed
    ) as input
    group by post_id, max_x
  ) as taken`
  const isSame = sql`counter.post_id = taken.post_id`
  await sql`delete from ${total} as counter using ${taken} where ${isSame} and counter.views <= taken.views`.execute(
    trx,
  )
  await sql`
    update ${total} as counter set
      views = counter.views - taken.views,
      heat = case
        when ${hasFiniteHeat('counter')} and taken.heat - counter.heat < ${MOST_TAKEN}::float8
        then counter.heat + ln(1 - power(2::float8, greatest(taken.heat - counter.heat, -1000))) / ln(2::float8)
        else ${heatOfDays(timeZone)}
      end
    from ${taken} where ${isSame}`.execute(trx)
}
