import { type RawBuilder, sql } from 'kysely'
import { hasFiniteHeat } from './bounded.ts'
import { viewsOfHours, viewsOfPost } from './window.ts'
import type { WindowQuery } from './window-query.ts'
import { addedViews, isInRollup } from './window-rollups.ts'

/** The window of a ranking, and its order. */
export interface RankedWindow extends WindowQuery {
  sort: 'views' | 'trending'
}

/** The name and the columns of the query of {@link rankCandidates}. */
export const CANDIDATES = 'candidates(post_id, least)'

/**
 * A query: some posts, and a score (`least`, the same in each row). Every other post has at most this score. So if enough
 * of these posts have a higher score, they are the first of the ranking. If not, the ranking has to read all posts.
 * @param reach how many posts are read from the top of each index.
 */
export function rankCandidates(query: RankedWindow, reach: number): RawBuilder<{ post_id: string; least: string }> {
  const best = sql`order by value desc limit ${reach}::bigint`
  /** The least value of a query with `best`: no other row has a greater one. No row: there are no other rows. */
  const leastOf = (name: string) => sql`(select min(value) from ${sql.ref(name)} having count(*) = ${reach}::bigint)`
  if (query.sort === 'views' && query.days > 1) {
    // The views of a post that is in neither query are at most its stored sum, and those of each day since.
    const views = (name: string) => sql`greatest(coalesce(${leastOf(name)}, 0), 0)::numeric`
    return sql`(
      with stored as materialized (
        select post_id, views as value from ${sql.table('post_views_window')} where ${isInRollup(query)} ${best}
      ),
      added as materialized (select post_id, views as value from ${addedViews(query)} as day ${best})
      select post_id, ${views('stored')} + ${views('added')} * added_days from (
        select post_id from stored union select post_id from added
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
    with stored as materialized (${values} ${best})
    select post_id, ${none} from stored where value > coalesce(${leastOf('stored')}, ${none})
  )`
}

/** The score of one post, for a few posts: heat that can be compared, or views in the window. May be null. */
export function scoreOfPost(query: RankedWindow, postId: string): RawBuilder<string> {
  if (query.sort === 'views') return viewsOfPost(query, postId)
  return sql`(select heat from ${sql.table('post_views_total')} as total where post_id = ${sql.ref(postId)} and ${hasFiniteHeat('total')})`
}
