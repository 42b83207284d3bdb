import { sql } from 'kysely'
import { boundedText } from './bounded.ts'
import { CATEGORY_TREE, categoryTree } from './category-tree.ts'
import type { BlogReader } from './schema.ts'
import { isLive, partsOfWindow, ROLLUP, rollupOf } from './window.ts'
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
  const { stored, since } = partsOfWindow(moment)
  // All large tables are read in the order of posts: a hash of a million posts does not fit into the usual `work_mem`.
  const inOrder = sql<{ post_id: string; views: string }>`(select * from ${since} as since order by post_id offset 0)`
  const rows = await db
    .with(CATEGORY_TREE, () => categoryTree())
    .with(ROLLUP, () => rollupOf(moment))
    // Posts are counted for each combination of categories, because a post may be in several categories of a tree. A view
    // may have a link twice, or a post.
    .with('link', (cte) =>
      cte
        .selectFrom('post_categories')
        .groupBy('post_id')
        .select(['post_id', sql<string>`string_agg(category_id::text, chr(31))`.as('category_ids')]),
    )
    .with('combination', (cte) =>
      cte
        .selectFrom('link')
        .leftJoin(stored.as('stored'), 'stored.post_id', 'link.post_id')
        .leftJoin(inOrder.as('since'), 'since.post_id', 'link.post_id')
        .where('link.post_id', 'in', cte.selectFrom('posts').where(isLive(moment)).select('posts.id'))
        .groupBy('link.category_ids')
        .select([
          'link.category_ids',
          sql<string>`count(*)`.as('post_count'),
          sql<string>`sum(greatest(coalesce(stored.views, 0) + coalesce(since.views, 0), 0))`.as('views'),
        ]),
    )
    .with('summed', (cte) =>
      cte
        .selectFrom(
          sql<{ root_id: string; post_count: string; views: string }>`(
            select distinct category_ids, root_id, post_count, views
            from combination cross join unnest(string_to_array(category_ids, chr(31))) as direct (id) join category_tree on category_tree.id::text = direct.id
          )`.as('of_root'),
        )
        .groupBy('root_id')
        .select(['root_id', sql<string>`sum(post_count)`.as('post_count'), sql<string>`sum(views)`.as('views')]),
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
