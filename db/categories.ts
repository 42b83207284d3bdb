import { type Kysely, sql } from 'kysely'
import type { Tables } from './ranking.ts'
import { isLive, viewsInWindow } from './window.ts'
import type { WindowQuery } from './window-query.ts'

/** A category with the views of its posts, as in the JSON of `GET /categories`. */
export interface PopularCategory {
  /** The name that readers see. */
  name: string
  /** The slug, for the filter `category`. */
  slug: string
  /** The number of live posts in the category. */
  postCount: number
  /** Views of these posts in the window of the query. */
  views: number
}

/**
 * The categories with a live post, with the number of those posts and their views, in one statement: ordered by views,
 * then by posts, then by name. Categories that only drafts and private posts use are not returned.
 */
export async function findCategories(db: Kysely<Tables>, moment: WindowQuery): Promise<PopularCategory[]> {
  const rows = await db
    .with('windowed', (cte) => viewsInWindow(cte, moment))
    .with('live', (cte) => cte.selectFrom('posts').where(isLive(moment)).select('posts.id as post_id'))
    .selectFrom('categories')
    .innerJoin('post_categories as link', 'link.category_id', 'categories.id')
    .innerJoin('live', 'live.post_id', 'link.post_id')
    .leftJoin('windowed', 'windowed.post_id', 'live.post_id')
    // All three: a view has no primary key that the other columns would depend on.
    .groupBy(['categories.id', 'categories.name', 'categories.slug'])
    .select([
      'categories.name',
      'categories.slug',
      sql<string>`count(live.post_id)`.as('post_count'),
      sql<string>`coalesce(sum(windowed.views), 0)`.as('views'),
    ])
    .orderBy('views', 'desc')
    .orderBy('post_count', 'desc')
    .orderBy('categories.name')
    .orderBy('categories.id')
    .execute()
  return rows.map((row) => ({
    name: row.name,
    slug: row.slug,
    postCount: Number(row.post_count),
    views: Number(row.views),
  }))
}
