import { type Kysely, sql } from 'kysely'
import { DateTime } from 'luxon'
import type { Database } from '../../db/schema.ts'
import { decayedViews, heatOf } from './decayed-views.ts'

const HOUR_MS = 3_600_000
const QUARTER_MS = 900_000

/** Views of one post in one quarter of an hour. */
interface CountedViews {
  post: string
  bucketStartMs: number
  views: number
}

/** The counters of the tables, by `post`, `day post` and `hour post`. */
interface Counters {
  totals: Record<string, number>
  days: Record<string, number>
  hours: Record<string, number>
}

/** Records all counted views, to compute what the counters must contain. */
export function createCountedViews(timeZone: string) {
  const all: CountedViews[] = []
  const dayOf = (timeMs: number) => DateTime.fromMillis(timeMs, { zone: timeZone }).toISODate() ?? ''

  return {
    add: (views: CountedViews): void => void all.push(views),
    /** The counters that the tables must contain within the retention time. */
    counters(nowMs: number): Counters {
      const counters: Counters = { totals: {}, days: {}, hours: {} }
      const firstDay = daysBefore(dayOf(nowMs), 400)
      for (const { post, bucketStartMs, views } of all) {
        const day = dayOf(bucketStartMs)
        const hourMs = Math.floor(bucketStartMs / HOUR_MS) * HOUR_MS
        addTo(counters.totals, post, views)
        if (day >= firstDay) addTo(counters.days, `${day} ${post}`, views)
        if (hourMs >= nowMs - 48 * HOUR_MS) addTo(counters.hours, `${new Date(hourMs).toISOString()} ${post}`, views)
      }
      return counters
    },
    /** The exact heat of every post. */
    heats(): Record<string, number> {
      const posts = [...new Set(all.map(({ post }) => post))]
      const heats = posts.map((post): [string, number] => {
        const history = all.filter((views) => views.post === post)
        return [post, heatOf(decayedViews(history.map((one) => ({ ...one, quarter: one.bucketStartMs / QUARTER_MS }))))]
      })
      return Object.fromEntries(heats)
    },
  }
}

/** Reads the counters from the tables. With `kept`, without the rows that pruning may delete. */
export async function readCounters(
  db: Kysely<Database>,
  { nowMs, timeZone, kept }: { nowMs: number; timeZone: string; kept: boolean },
): Promise<Counters & { heats: Record<string, number> }> {
  const today = DateTime.fromMillis(nowMs, { zone: timeZone }).toISODate() ?? ''
  const firstDay = kept ? daysBefore(today, 400) : '-infinity'
  const firstHour = kept ? new Date(nowMs - 48 * HOUR_MS) : '-infinity'
  const { rows } = await sql<{ kind: 'totals' | 'days' | 'hours' | 'heats'; key: string; value: number }>`
    select 'totals' as kind, post_id::text as key, views::float8 as value from post_views_total
    union all select 'heats', post_id::text, heat from post_views_total
    union all select 'days', concat_ws(' ', day, post_id), views from post_views_daily where day >= ${firstDay}
    union all
    select 'hours', concat_ws(' ', to_char(hour at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS".000Z"'), post_id), views
    from post_views_hourly where hour >= ${firstHour}`.execute(db)
  const found: Awaited<ReturnType<typeof readCounters>> = { totals: {}, days: {}, hours: {}, heats: {} }
  for (const { kind, key, value } of rows) addTo(found[kind], key, value)
  return found
}

function daysBefore(day: string, days: number): string {
  return DateTime.fromISO(day, { zone: 'UTC' }).minus({ days }).toISODate() ?? ''
}

function addTo(sums: Record<string, number>, key: string, views: number): void {
  sums[key] = (sums[key] ?? 0) + views
}
