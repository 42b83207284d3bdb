import { type Kysely, type RawBuilder, sql } from 'kysely'
import { hasFiniteHeat } from './bounded.ts'
import type { Database } from './schema.ts'
import { countedTimeZone } from './time-zone.ts'

/** A counter of a post. The sum of the rows of a post with a day are its views on that day. */
export interface ExportedCounter {
  slug: string
  /** `YYYY-MM-DD` in the site's time zone; `null`: the total of all time. */
  day: string | null
  /** The hour of views of the last two days, in ISO 8601; `null`: the rest of the day. */
  hour: string | null
  /** A whole number. */
  views: string
  /** Of a total: the heat of the post. */
  heat: string | null
}

const ROWS_PER_STATEMENT = 10_000
/** Older hours may be deleted at any time: see `retention.ts`. */
const HOURS_KEPT = 48

/** A row, and its key in the table of its counter. */
interface Row extends ExportedCounter {
  key: string
  id: string
}

/**
 * Reads the counters of all posts that have a slug, in batches: the hours of the last two days and the rest of each day,
 * then totals. All are of one moment.
 * @param options.timeZone the site's IANA time zone.
 * @param write called with each batch, one after the other.
 */
export async function exportCounters(
  db: Kysely<Database>,
  { timeZone }: { timeZone: string },
  write: (rows: readonly ExportedCounter[]) => Promise<void>,
): Promise<void> {
  const zone = countedTimeZone(timeZone)
  const dayOf = (hour: RawBuilder<unknown>) => sql`(${hour} at time zone ${zone})::date`
  // Not an hour with a midnight in it: its views are of two days.
  const isExported = sql`
    hour > date_trunc('hour', now(), 'UTC') - ${HOURS_KEPT} * interval '1 hour' and views > 0
    and ${dayOf(sql`hour`)} = ${dayOf(sql`(hour + interval '59 minutes')`)}`
  const hoursOfDay = sql`coalesce((
    select sum(views) from ${sql.table('post_views_hourly')} as part
    where part.post_id = counter.post_id and ${isExported} and ${dayOf(sql`hour`)} = counter.day
    and counter.day > current_date - 5
  ), 0)`
  const counters: Counter[] = [
    {
      table: 'post_views_hourly',
      key: 'hour',
      where: isExported,
      columns: sql`${dayOf(sql`hour`)}::text as day, to_char(hour at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') as hour,
        views::text as views, null as heat`,
    },
    {
      table: 'post_views_daily',
      key: 'day',
      where: sql`day > '-infinity' and day < 'infinity'`,
      columns: sql`day::text as day, null as hour, greatest(views - ${hoursOfDay}, 0)::text as views, null as heat`,
    },
    {
      table: 'post_views_total',
      key: 'post_id',
      where: sql`true`,
      columns: sql`null as day, null as hour, views::text as views,
        case when ${hasFiniteHeat('counter')} then heat::text end as heat`,
    },
  ]
  await db
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (trx) => {
      for (const counter of counters)
        for await (const rows of pages(trx, counter))
          await write(rows.filter(({ slug, views }) => slug !== null && BigInt(views) > 0n))
    })
}

interface Counter {
  table: keyof Database
  /** The first column of the primary key. */
  key: string
  where: RawBuilder<unknown>
  columns: RawBuilder<unknown>
}

async function* pages(db: Kysely<Database>, { table, key, where, columns }: Counter): AsyncGenerator<Row[], void> {
  const column = sql.ref(key)
  let after = sql`true`
  for (;;) {
    const { rows } = await sql<Row>`
      select ${column}::text as key, post_id::text as id, ${columns},
        (select slug from ${sql.table('posts')} where posts.id = counter.post_id limit 1) as slug
      from (
        select * from ${sql.table(table)} where ${where} and ${after} order by ${column}, post_id limit ${ROWS_PER_STATEMENT}
      ) as counter order by counter.${column}, counter.post_id`.execute(db)
    const last = rows.at(-1)
    if (last === undefined) return
    yield rows
    after = sql`(${column}, post_id) > (${last.key}, ${last.id})`
  }
}
