import { type Kysely, sql } from 'kysely'
import type { CounterTables } from './schema.ts'

interface DaysQuery {
  /** The number of days, today included. */
  days: number
  /** The site's IANA time zone. */
  timeZone: string
  /** The ids of the posts; default: all posts. */
  postIds?: readonly string[]
}

/**
 * Views per day, the oldest day first and today last, by post id; without `postIds` the sums of all posts, under `all`.
 * Posts without a view in these days are missing.
 */
export async function viewsPerDay(
  db: Kysely<CounterTables>,
  { days, timeZone, postIds }: DaysQuery,
): Promise<Map<string, number[]>> {
  if (postIds?.length === 0) return new Map()
  const today = sql`(statement_timestamp() at time zone ${timeZone})::date`
  const counters = db.selectFrom('post_views_daily')
  const ofPosts =
    postIds === undefined
      ? counters.where('day', '>', sql<string>`${today} - ${days}::integer`).where('day', '<=', sql<string>`${today}`)
      : counters
          // Each day by itself, so that the index finds the posts: a range of days reads the counters of all posts.
          .where(
            sql<boolean>`day = any(array(select ${today} - age from generate_series(0, ${days}::integer - 1) as age))`,
          )
          .where('post_id', 'in', [...postIds])
  // For the whole blog only the sum is read, because the posts may be many.
  const postId = postIds === undefined ? sql<string>`'all'::text` : sql<string>`post_id::text`
  const rows = await ofPosts
    .select([sql<number>`${today} - day`.as('age'), postId.as('postId'), sql<string>`sum(views)`.as('views')])
    .groupBy(['age', 'postId'])
    .execute()
  const perDay = new Map<string, number[]>()
  for (const row of rows) {
    const counts = perDay.get(row.postId) ?? new Array<number>(days).fill(0)
    counts[days - 1 - row.age] = Number(row.views)
    perDay.set(row.postId, counts)
  }
  return perDay
}
