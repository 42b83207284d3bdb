import { type Kysely, sql } from 'kysely'
import { CATEGORY_TREE, categoryTree } from './category-tree.ts'
import type { Tables } from './ranking.ts'
import { isLive, viewsInWindow } from './window.ts'
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
 * views, in one statement: ordered by views, then by posts, then by name. Categories that only drafts and private posts use are not returned.
 */
export async function findCategories(db: Kysely<Tables>, moment: WindowQuery): Promise<PopularCategory[]> {
  const rows = await db
    .withRecursive(CATEGORY_TREE, () => categoryTree())
    .with('windowed', (cte) => viewsInWindow(cte, moment))
    .with('live', (cte) => cte.selectFrom('posts').where(isLive(moment)).select('posts.id as post_id'))
    .with('own', (cte) =>
      cte
        .selectFrom('post_categories')
        .innerJoin('live', 'live.post_id', 'post_categories.post_id')
        .select(['post_categories.category_id as root_id', 'live.post_id']),
    )
    // Its own posts, and once those of all categories below it.
    .with('link', (cte) =>
      cte
        .selectFrom('own')
        .selectAll()
        .unionAll(
          cte
            .selectFrom('category_tree as tree')
            .innerJoin('own', 'own.root_id', 'tree.id')
            .where(sql<boolean>`tree.root_id <> tree.id and not exists (
              select from post_categories as direct where direct.category_id = tree.root_id and direct.post_id = own.post_id)`)
            .distinct()
            .select(['tree.root_id', 'own.post_id']),
        ),
    )
    .selectFrom('categories')
    .innerJoin('link', 'link.root_id', 'categories.id')
    .leftJoin('windowed', 'windowed.post_id', 'link.post_id')
    // All three: a view has no primary key that the other columns would depend on.
    .groupBy(['categories.id', 'categories.name', 'categories.slug'])
    .select([
      'categories.name',
      'categories.slug',
      sql<string>`count(link.post_id)`.as('post_count'),
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
