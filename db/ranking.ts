import { type Kysely, sql } from 'kysely'
import { jsonArrayFrom, jsonObjectFrom } from 'kysely/helpers/postgres'
import type { BlogTables, CounterTables } from './schema.ts'
import { isLive, viewsInWindow } from './window.ts'
import type { WindowQuery } from './window-query.ts'
import { inMilliseconds } from './window-query.ts'

/** The tables, or the host's views, that rankings read. */
export type Tables = BlogTables & CounterTables

/** Which posts a list ranks, and how. An unknown slug gives an empty list. */
interface RankingQuery extends WindowQuery {
  /** `views`: by views in the window. `trending`: by heat, in which views of about the last day weigh most. */
  sort: 'views' | 'trending'
  /** The greatest number of posts. */
  limit: number
  category?: string | undefined
  tag?: string | undefined
  author?: string | undefined
}

/** A post in a list, as it is sent. */
export interface PopularPost {
  /** A number; a string where the post ids of the blog's own tables are of another type (uuid, text). */
  id: number | string
  slug: string
  title: string
  url: string
  excerpt: string
  /** ISO 8601, UTC. */
  publishedAt: string
  author: { name: string; slug: string } | null
  categories: { name: string; slug: string }[]
  tags: string[]
  image: { url: string; width: number | null; height: number | null; alt: string } | null
  readingMinutes: number
  /** Approved comments. */
  commentCount: number
  /** Views in the window. */
  views: number
  totalViews: number
}

/**
 * The most popular live posts, in one statement that ranks first and then reads the details of the ranked posts only.
 *
 * The order is total: views in the window (`trending`: heat), total views, publication, id, all descending.
 * Posts without a view come last; the list is shorter than `limit` only if there are no more live posts.
 * Views and comments are counted in separate subqueries: two one-to-many joins in one sum would multiply them.
 */
export async function findPopularPosts(db: Kysely<Tables>, query: RankingQuery): Promise<PopularPost[]> {
  const rows = await db
    // A plugin of the host's Kysely may rename columns.
    .withoutPlugins()
    .with('windowed', (cte) => viewsInWindow(cte, query))
    .with('ranked', (cte) => {
      const posts = cte
        .selectFrom('posts')
        .where(isLive(query))
        .where(matchesFilters(query))
        .leftJoin('windowed', 'windowed.post_id', 'posts.id')
        .leftJoin('post_views_total as total', 'total.post_id', 'posts.id')
      const score = query.sort === 'trending' ? sql<number>`total.heat` : sql<number>`coalesce(windowed.views, 0)`
      return posts
        .select([
          'posts.id as post_id',
          'posts.published_at',
          score.as('score'),
          sql<string>`coalesce(windowed.views, 0)`.as('views'),
          sql<string>`coalesce(total.views, 0)`.as('total_views'),
        ])
        .orderBy('score', (order) => order.desc().nullsLast())
        .orderBy('total_views', 'desc')
        .orderBy('posts.published_at', 'desc')
        .orderBy('post_id', 'desc')
        .limit(query.limit)
    })
    .selectFrom('ranked')
    .innerJoin('posts', 'posts.id', 'ranked.post_id')
    .select((post) => [
      sql<number | string>`to_jsonb(posts.id)`.as('id'),
      'posts.slug',
      'posts.title',
      'posts.url',
      'posts.excerpt',
      inMilliseconds('posts.published_at').as('published_at_ms'),
      'posts.image_url',
      'posts.image_width',
      'posts.image_height',
      'posts.image_alt',
      'posts.reading_minutes',
      'ranked.views',
      'ranked.total_views',
      jsonObjectFrom(
        post
          .selectFrom('authors')
          .whereRef('authors.id', '=', 'posts.author_id')
          .select(['authors.name', 'authors.slug']),
      ).as('author'),
      jsonArrayFrom(
        post
          .selectFrom('categories')
          .innerJoin('post_categories as link', 'link.category_id', 'categories.id')
          .whereRef('link.post_id', '=', 'posts.id')
          .select(['categories.name', 'categories.slug'])
          .orderBy('categories.name')
          .orderBy('categories.id'),
      ).as('categories'),
      jsonArrayFrom(
        post
          .selectFrom('tags')
          .innerJoin('post_tags as link', 'link.tag_id', 'tags.id')
          .whereRef('link.post_id', '=', 'posts.id')
          .select('tags.name')
          .orderBy('tags.name')
          .orderBy('tags.id'),
      ).as('tags'),
      post
        .selectFrom('comments')
        .whereRef('comments.post_id', '=', 'posts.id')
        .where('comments.is_approved', '=', true)
        .select((comment) => comment.fn.countAll().as('count'))
        .as('comment_count'),
    ])
    .orderBy('ranked.score', (order) => order.desc().nullsLast())
    .orderBy('ranked.total_views', 'desc')
    .orderBy('ranked.published_at', 'desc')
    .orderBy('ranked.post_id', 'desc')
    .execute()

  return rows.map((row) => ({
    id: row.id,
    slug: row.slug,
    title: row.title,
    url: row.url,
    excerpt: row.excerpt,
    publishedAt: new Date(row.published_at_ms).toISOString(),
    author: row.author,
    categories: row.categories,
    tags: row.tags.map((tag) => tag.name),
    image:
      row.image_url === null
        ? null
        : { url: row.image_url, width: row.image_width, height: row.image_height, alt: row.image_alt },
    readingMinutes: row.reading_minutes,
    commentCount: Number(row.comment_count),
    views: Number(row.views),
    totalViews: Number(row.total_views),
  }))
}

/** A condition: the post has the category, the tag and the author of the query. */
function matchesFilters({ category, tag, author }: RankingQuery) {
  const conditions = [sql<boolean>`true`]
  if (category !== undefined) {
    conditions.push(sql`exists (
      select from post_categories link join categories on categories.id = link.category_id
      where link.post_id = posts.id and categories.slug = ${category})`)
  }
  if (tag !== undefined) {
    conditions.push(sql`exists (
      select from post_tags link join tags on tags.id = link.tag_id
      where link.post_id = posts.id and tags.slug = ${tag})`)
  }
  if (author !== undefined) {
    conditions.push(sql`posts.author_id = (select id from authors where authors.slug = ${author})`)
  }
  return sql<boolean>`(${sql.join(conditions, sql` and `)})`
}
