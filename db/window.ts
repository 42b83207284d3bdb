import { type RawBuilder, sql } from 'kysely'
import { sqlNow, type WindowQuery } from './window-query.ts'
import {
  type Rollup,
  rollup,
  viewsOfDays,
  viewsOfPostInDays,
  viewsOfRollup,
  viewsSinceRollup,
} from './window-rollups.ts'

/** The name and the columns of the query that the others of a window refer to: `with` it. */
export const ROLLUP = 'rollup(first_day, last_day, touches, added_days)'

/** The query {@link ROLLUP}: see `rollup`. */
export function rollupOf(query: WindowQuery): RawBuilder<Rollup> {
  return query.days > 1 ? rollup(query) : sql`(select null::date, null::date, null::bigint, null::integer where false)`
}

/** A query: the views of each post in the window; posts without views may be missing. */
export function viewsInWindow(query: WindowQuery): RawBuilder<{ post_id: string; views: string }> {
  if (query.days > 1) return viewsOfDays(query)
  return query.days === 0 ? sql`(select post_id, views from ${sql.table('post_views_total')})` : viewsOfHours(query)
}

/**
 * Two queries, whose sum is the views of each post in the window: one that reads a row of an index for each post, in their
 * order, and one for the views since. Posts may be missing in both.
 */
export function partsOfWindow(query: WindowQuery) {
  if (query.days > 1) return { stored: viewsOfRollup(query), since: viewsSinceRollup(query) }
  const none = sql<{
    post_id: string
    views: string
  }>`(select post_id, views from ${sql.table('post_views_total')} where false)`
  return query.days === 0 ? { stored: viewsInWindow(query), since: none } : { stored: none, since: viewsOfHours(query) }
}

/** A query: the views of each post in the last 24 hours. */
export function viewsOfHours(query: Pick<WindowQuery, 'nowMs'>): RawBuilder<{ post_id: string; views: string }> {
  return sql`(select post_id, sum(views) as views from ${sql.table('post_views_hourly')} where ${isHourIn(query)} group by post_id)`
}

/** The views of one post in the window, for a few posts: it does not sum those of others. May be null. */
export function viewsOfPost(query: WindowQuery, postId: string): RawBuilder<string> {
  const id = sql.ref(postId)
  if (query.days > 1) return viewsOfPostInDays(query, id)
  if (query.days === 0) return sql`(select views from ${sql.table('post_views_total')} where post_id = ${id})`
  return sql`(select sum(views) from ${sql.table('post_views_hourly')} where post_id = ${id} and ${isHourIn(query)})`
}

/** A condition: the hour is one of the last 24, or the present one. Each by itself, so that the index finds a post. */
function isHourIn({ nowMs }: Pick<WindowQuery, 'nowMs'>): RawBuilder<boolean> {
  return sql`hour = any(array(
    select date_trunc('hour', ${sqlNow(nowMs)}, 'UTC') - age * interval '1 hour' from generate_series(0, 24) as age
  ))`
}

/**
 * A condition: the post is live, that is published, not scheduled and not private, and a list can show it.
 * `content-problems.ts` names the posts that fail only the last part.
 */
export function isLive({ nowMs }: Pick<WindowQuery, 'nowMs'>) {
  return sql<boolean>`(posts.published_at <= ${sqlNow(nowMs)} and not posts.is_private and posts.published_at > '-infinity'
    and posts.id is not null and posts.slug is not null and posts.url is not null)`
}
