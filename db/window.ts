import { type Kysely, sql } from 'kysely'
import type { CounterTables } from './schema.ts'
import { sqlNow, type WindowQuery } from './window-query.ts'
import { viewsOfDays } from './window-rollups.ts'

/** `{post_id, views}`: the views of each post in the window; posts without views are missing. */
export function viewsInWindow(db: Pick<Kysely<CounterTables>, 'selectFrom'>, { days, nowMs, timeZone }: WindowQuery) {
  const now = sqlNow(nowMs)
  if (days === 0) return db.selectFrom('post_views_total').select(['post_id', 'views'])
  if (days === 1) {
    const hour = sql<Date>`date_trunc('hour', ${now}, 'UTC')`
    return db
      .selectFrom('post_views_hourly')
      .where('hour', '>=', sql<Date>`${hour} - interval '24 hours'`)
      .where('hour', '<=', hour)
      .groupBy('post_id')
      .select((counter) => ['post_id', counter.fn.sum<string>('views').as('views')])
  }
  return db.selectFrom(viewsOfDays({ days, nowMs, timeZone }).as('days')).select(['post_id', 'views'])
}

/**
 * A condition: the post is live, that is published, not scheduled and not private, and a list can show it.
 * `content-problems.ts` names the posts that fail only the last part.
 */
export function isLive({ nowMs }: Pick<WindowQuery, 'nowMs'>) {
  return sql<boolean>`(posts.published_at <= ${sqlNow(nowMs)} and not posts.is_private and posts.published_at > '-infinity'
    and posts.id is not null and posts.slug is not null and posts.url is not null)`
}
