import { sql } from 'kysely'
import { ownRelation } from './own-schema.ts'
import type { BlogReader } from './schema.ts'

/** How many posts are read from the top of an index for each post of a list: see `rankCandidates`. */
const REACH = 10
/** The same for lists that exclude categories: most posts are in others. */
const EXCLUDING_REACH = 40
/** The same for lists with another filter: one that half a percent of the posts match still fills the list. */
const FILTERED_REACH = 200

/** The size of the totals from which a list is read from the top: about 50,000 posts. */
const LARGE_BYTES = 4_000_000
/**
 * Totals of about 7,000 to 20,000 posts: from so few posts of the top that PostgreSQL estimates a cost below 100,000, from
 * which it compiles the statement (JIT). Without a filter only.
 */
const MEDIUM = { fromBytes: 500_000, toBytes: 1_500_000, reach: 4, maxLimit: 50 }

/** The part of a `RankingQuery` that matters here. */
type Query = { limit: number } & Partial<
  Record<'category' | 'tag' | 'author' | 'excludeCategory' | 'language' | 'publishedWithin', unknown>
>

/** How many posts are read from the top of an index for a list: see `rankCandidates`. 0: none, all posts are read. */
export async function reachOf(db: BlogReader, query: Query): Promise<number> {
  const bytes = await sizeOfTotals(db)
  if (bytes >= LARGE_BYTES) return query.limit * largeReachOf(query)
  const isMedium = bytes >= MEDIUM.fromBytes && bytes < MEDIUM.toBytes && query.limit <= MEDIUM.maxLimit
  return isMedium && largeReachOf(query) === REACH ? query.limit * MEDIUM.reach : 0
}

function largeReachOf({ category, tag, author, excludeCategory, language, publishedWithin }: Query): number {
  if ([category, tag, author, language, publishedWithin].some((filter) => filter !== undefined)) return FILTERED_REACH
  return excludeCategory === undefined ? REACH : EXCLUDING_REACH
}

/** In bytes: the size of a table is known without reading it. */
async function sizeOfTotals(db: BlogReader): Promise<number> {
  const size = sql<string>`pg_relation_size(${ownRelation('post_views_total')})::text`.as('size')
  const rows = await db.selectNoFrom(size).execute()
  return Math.max(0, ...rows.map((row) => Number(row.size)))
}
