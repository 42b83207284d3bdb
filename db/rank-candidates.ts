import { type RawBuilder, sql } from 'kysely'
import { hasFiniteHeat } from './bounded.ts'
import type { Reading } from './rank-filters.ts'
import { viewsOfHours, viewsOfPost } from './window.ts'
import type { WindowQuery } from './window-query.ts'
import { addedViews, isInRollup } from './window-rollups.ts'

/** The window of a ranking, and its order. */
export interface RankedWindow extends WindowQuery {
  sort: 'views' | 'trending'
}

/** The name and the columns of the query of {@link rankCandidates}. */
export const CANDIDATES = 'candidates(post_id, published_at, least)'

interface CandidateReading extends Pick<Reading, 'reach' | 'mayMatch'> {
  /** A condition: the row of `posts` belongs to the list. */
  matches: RawBuilder<boolean>
  /** After this many posts of the list, no further row of an index is read. */
  enough: number
}

/**
 * A query: some posts of the list, and a score (`least`, the same in each row). Every other post of the list has at most
 * this score. So if enough of these posts have a higher score, they are the first of the ranking. If not, the ranking has
 * to read all posts.
 */
export function rankCandidates(
  query: RankedWindow,
  { reach, mayMatch, matches, enough }: CandidateReading,
): RawBuilder<{ post_id: string; published_at: string; least: string }> {
  /**
   * Two queries: the top of an index, and (`name`) the posts of the list in it. `offset 0` makes PostgreSQL look up one
   * post after the other, in this order, until they are enough.
   */
  const part = (name: string, values: RawBuilder<unknown>) => {
    const top = sql.ref(`${name}_top`)
    return sql`${top} as materialized (${values} order by value desc limit ${reach}),
      ${sql.ref(name)} as materialized (
        select * from (select * from ${top} where ${mayMatch} order by value desc offset 0) as best cross join lateral (
          select published_at from ${sql.table('posts')} where posts.id = post_id and ${matches} offset 0
        ) as post order by value desc limit ${enough}::bigint
      )`
  }
  /** The value of the last row that was read: no row behind it has a greater one. Null: there are no rows behind it. */
  const leastOf = (
    name: string,
  ) => sql`coalesce((select min(value) from ${sql.ref(name)} having count(*) = ${enough}::bigint),
    (select min(value) from ${sql.ref(`${name}_top`)} having count(*) = ${reach}))`
  if (query.sort === 'views' && query.days > 1) {
    // The views of a post of the list that is in neither query are at most its stored sum, and those of each day since.
    const views = (name: string) => sql`greatest(coalesce(${leastOf(name)}, 0), 0)::numeric`
    return sql`(
      with ${part('stored', sql`select post_id, views as value from ${sql.table('post_views_window')} where ${isInRollup(query)}`)},
      ${part('added', sql`select post_id, views as value from ${addedViews(query)} as day`)}
      select post_id, published_at, ${views('stored')} + ${views('added')} * added_days from (
        select post_id, published_at from stored union select post_id, published_at from added
      ) as named, rollup
    )`
  }
  const total = sql.table('post_views_total')
  const values =
    query.sort === 'trending'
      ? sql`select post_id, heat_rank as value from ${total}`
      : query.days === 0
        ? sql`select post_id, views_rank as value from ${total}`
        : sql`select post_id, views as value from ${viewsOfHours(query)} as hours`
  const none = query.sort === 'trending' ? sql`'-infinity'::float8` : sql`0::numeric`
  return sql`(
    with ${part('stored', values)}
    select post_id, published_at, ${none} from stored where value > coalesce(${leastOf('stored')}, ${none})
  )`
}

/** The score of one post, for a few posts: heat that can be compared, or views in the window. May be null. */
export function scoreOfPost(query: RankedWindow, postId: string): RawBuilder<string> {
  if (query.sort === 'views') return viewsOfPost(query, postId)
  return sql`(select heat from ${sql.table('post_views_total')} as total where post_id = ${sql.ref(postId)} and ${hasFiniteHeat('total')})`
}
