import { sql } from 'kysely'
import { boundedText, viewsOf } from './bounded.ts'
import { CATEGORY_TREE, categoryTree } from './category-tree.ts'
import type { BlogReader } from './schema.ts'
import { isLive, ROLLUP, rollupOf, viewsInWindow } from './window.ts'
import type { WindowQuery } from './window-query.ts'

/** A category with the views of its posts and of those in categories below it, as in the JSON of `GET /categories`. */
export interface PopularCategory {
  /** The name that readers see. */
  name: string
  /** The slug, for the filter `category`. */
  slug: string
  /** The number of live posts in the category, and in categories below it. */
  postCount: number
  /** Views of these posts in the window of the query. */
  views: number
}

/**
 * The categories with a live post, in themselves or in a category below them, with the number of those posts and their
 * views, in one statement: ordered by views, then by posts, then by name. Categories that only drafts and private posts
 * use are not returned.
 */
export async function findCategories(db: BlogReader, moment: WindowQuery): Promise<PopularCategory[]> {
  const rows = await db
    .with(CATEGORY_TREE, () => categoryTree())
    .with(ROLLUP, () => rollupOf(moment))
    .with('windowed', () => viewsInWindow(moment))
    .with('link', (cte) =>
      cte
        .selectFrom('posts')
        .innerJoin('post_categories as direct', 'direct.post_id', 'posts.id')
        .innerJoin('category_tree as tree', 'tree.id', 'direct.category_id')
        .where(isLive(moment))
        .select(['tree.root_id', 'direct.post_id'])
        // A post may be in several categories of a tree, and a view may have a post, or a link, twice.
        .distinct(),
    )
    .with('summed', (cte) =>
      cte
        .selectFrom('link')
        .leftJoin('windowed', 'windowed.post_id', 'link.post_id')
        .groupBy('link.root_id')
        .select([
          'link.root_id',
          sql<string>`count(*)`.as('post_count'),
          sql<string>`sum(${viewsOf('windowed.views')})`.as('views'),
        ]),
    )
    .selectFrom('categories')
    .innerJoin('summed', 'summed.root_id', 'categories.id')
    .where('categories.slug', 'is not', null)
    .select([
      boundedText('categories.name', 'categories.slug').as('name'),
      boundedText('categories.slug').as('slug'),
      'summed.post_count',
      'summed.views',
    ])
    .distinct()
    .orderBy('views', 'desc')
    .orderBy('post_count', 'desc')
    .orderBy('name')
    .orderBy('slug')
    .execute()
  return rows.map((row) => ({
    name: row.name,
    slug: row.slug,
    postCount: Number(row.post_count),
    views: Number(row.views),
  }))
}
