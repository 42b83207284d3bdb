import { type RawBuilder, sql } from 'kysely'
import { jsonArrayFrom, jsonObjectFrom } from 'kysely/helpers/postgres'
import { boundedText, countOf, hasFiniteHeat, MAX_LINKS, MAX_TEXT, viewsOf } from './bounded.ts'
import { CATEGORY_TREE, categoryTree } from './category-tree.ts'
import { fromJsonText, jsonText } from './json-text.ts'
import { languageFilter } from './language.ts'
import { postCategories } from './post-categories.ts'
import { CANDIDATES, rankCandidates, scoreOfPost } from './rank-candidates.ts'
import {
  countLinked,
  eachLinked,
  LINKED,
  LINKED_COUNT,
  linkedPosts,
  matchesFilters,
  readingOf,
  SIZES,
} from './rank-filters.ts'
import { reachOf } from './rank-reach.ts'
import type { RankingQuery } from './ranking-query.ts'
import type { BlogReader, BlogTables, CounterTables } from './schema.ts'
import { isLive, ROLLUP, rollupOf, viewsInWindow, viewsOfPost } from './window.ts'
import { inMilliseconds } from './window-query.ts'

export type { Ranking, RankingQuery } from './ranking-query.ts'

/** The tables, or the host's views, that rankings read. */
export type Tables = BlogTables & CounterTables

/** A post of a list, as in the JSON of `GET /posts/popular`. */
export interface PopularPost {
  /** The id as text, whatever its type: a number of JSON would lose digits above 2^53. */
  id: string
  /** The slug: unique, as in the URL of the post. `exclude` compares it. */
  slug: string
  /** The title, as plain text. */
  title: string
  /** The address of the post: absolute, or a path from the root of the site. */
  url: string
  /** A summary, as plain text; may be empty. */
  excerpt: string
  /** The time of publication: ISO 8601, UTC. */
  publishedAt: string
  /** The author; `null`: the post has none. */
  author: {
    /** The name that readers see. */
    name: string
    /** The slug, for the filter `author`. */
    slug: string
  } | null
  /** The categories of the post. */
  categories: {
    /** The name that readers see. */
    name: string
    /** The slug, for the filters `category` and `excludeCategory`. */
    slug: string
  }[]
  /** The names of the tags. */
  tags: string[]
  /** The image of the post; `null`: the post has none. */
  image: {
    /** The address of the image. */
    url: string
    /** The width in pixels; `null`: unknown. */
    width: number | null
    /** The height in pixels; `null`: unknown. */
    height: number | null
    /** The alternative text. */
    alt: string
  } | null
  /** The reading time in minutes. */
  readingMinutes: number
  /** The number of approved comments. */
  commentCount: number
  /** Views in the window of the query. */
  views: number
  /** Views of all time. */
  totalViews: number
}

/**
 * The most popular live posts, in one statement that ranks first and then reads the details of the ranked posts only.
 *
 * The order is total: views in the window (`trending`: heat), total views, publication, id, all descending.
 * Posts without a view come last; the list is shorter than `limit` only if there are no more live posts.
 * Views and comments are counted in separate subqueries: two one-to-many joins in one sum would multiply them.
 * @param reach how many posts are read from the top of an index before all are: see `rankCandidates`. 0: none. Default:
 *   0 for small blogs, where the longer statement takes more time to plan than it saves.
 * @param sizes others than the usual ones are for tests.
 */
export async function findPopularPosts(
  db: BlogReader,
  query: RankingQuery,
  reach?: number,
  sizes = SIZES,
): Promise<PopularPost[]> {
  const read = reach ?? (await reachOf(db, query))
  const { category = [], excludeCategory = [], limit } = query
  const isViews = query.sort === 'views'
  const inLanguage = await languageFilter(db, query.language)
  const reading = readingOf(query, inLanguage, read, sizes)
  const matches = sql<boolean>`${isLive(query)} and ${matchesFilters(query, inLanguage)}`
  const isNotFilled = sql<boolean>`((select count(*) from filled) < ${limit}::bigint)`
  const rows = await db
    .with(CATEGORY_TREE, () => categoryTree([...category, ...excludeCategory]))
    .with(ROLLUP, () => rollupOf(query))
    .with(LINKED, () => linkedPosts(query, inLanguage, sizes))
    .with(LINKED_COUNT, () => countLinked(query, sizes))
    .with(CANDIDATES, () => rankCandidates(query, { ...reading, enough: limit * sizes.enough, matches }))
    .with('filled', (cte) =>
      cte
        .selectFrom('candidates')
        .innerJoinLateral(scored(scoreOfPost(query, 'candidates.post_id')), (join) => join.onTrue())
        .whereRef('scored.score', '>', 'candidates.least')
        .select(['post_id', 'published_at', 'scored.score'])
        .orderBy('scored.score', 'desc')
        .fetch(limit, 'with ties'),
    )
    // Not filled from the top of an index, but the posts of a filter are few.
    .with('few(post_id, published_at)', () => eachLinked(sql`${isNotFilled} and ${reading.areFew}`, matches))
    .with('ranked', (cte) => {
      const totalViews = viewsOf('total.views').as('total_views')
      // Looked up: a join would read the totals of all posts.
      const totalViewsOf = (postId: string) => viewsOf(viewsOfPost({ ...query, days: 0 }, postId)).as('total_views')
      const fromTop = cte
        .selectFrom('filled')
        .where(sql<boolean>`not ${isNotFilled}`)
        .select(['filled.post_id', 'filled.published_at', 'filled.score', totalViewsOf('filled.post_id')])
      const score = scoreOfPost(query, 'few.post_id')
      const fromFew = cte
        .selectFrom('few')
        .select([
          'few.post_id',
          'few.published_at',
          (isViews ? viewsOf(score) : score).as('score'),
          totalViewsOf('few.post_id'),
        ])
      const posts = cte
        .selectFrom('posts')
        .where(read === 0 ? sql<boolean>`true` : sql<boolean>`(${isNotFilled} and not ${reading.areFew})`)
        .where(matches)
        .leftJoin('post_views_total as total', 'total.post_id', 'posts.id')
        .select([sql<string>`posts.id`.as('post_id'), sql<string>`posts.published_at`.as('published_at')])
      const fromAll = isViews
        ? posts
            .leftJoin(viewsInWindow(query).as('windowed'), 'windowed.post_id', 'posts.id')
            .select([viewsOf('windowed.views').as('score'), totalViews])
        : posts.select([sql<string>`case when ${hasFiniteHeat('total')} then total.heat end`.as('score'), totalViews])
      return cte
        .selectFrom((read === 0 ? fromAll : fromTop.unionAll(fromFew).unionAll(fromAll)).as('found'))
        .selectAll()
        .orderBy('score', (order) => order.desc().nullsLast())
        .orderBy('total_views', 'desc')
        .orderBy('published_at', 'desc')
        .orderBy('post_id', 'desc')
        .limit(limit)
    })
    .selectFrom('ranked')
    .innerJoin('posts', 'posts.id', 'ranked.post_id')
    .select((post) => [
      sql<string>`posts.id::text`.as('id'),
      boundedText('posts.slug').as('slug'),
      boundedText('posts.title').as('title'),
      boundedText('posts.url').as('url'),
      boundedText('posts.excerpt').as('excerpt'),
      inMilliseconds('posts.published_at').as('published_at_ms'),
      sql<string | null>`left(posts.image_url, ${sql.lit(MAX_TEXT)})`.as('image_url'),
      'posts.image_width',
      'posts.image_height',
      boundedText('posts.image_alt').as('image_alt'),
      'posts.reading_minutes',
      isViews ? sql<string>`ranked.score`.as('views') : viewsOf(viewsOfPost(query, 'ranked.post_id')).as('views'),
      'ranked.total_views',
      jsonText(
        jsonObjectFrom(
          post
            .selectFrom('authors')
            .whereRef('authors.id', '=', 'posts.author_id')
            .select([boundedText('authors.name', 'authors.slug').as('name'), boundedText('authors.slug').as('slug')])
            // A view may have an author twice.
            .orderBy('authors.slug')
            .limit(1),
        ),
      ).as('author'),
      jsonText(jsonArrayFrom(postCategories)).as('categories'),
      jsonText(
        jsonArrayFrom(
          post
            .selectFrom('tags')
            .innerJoin('post_tags as link', 'link.tag_id', 'tags.id')
            .whereRef('link.post_id', '=', 'posts.id')
            .where('tags.name', 'is not', null)
            .select(boundedText('tags.name').as('name'))
            .distinct()
            .orderBy('name')
            .limit(MAX_LINKS),
        ),
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

  return [...new Map(rows.map((row) => [row.id, row])).values()].map((row) => ({
    id: row.id,
    slug: row.slug,
    title: row.title,
    url: row.url,
    excerpt: row.excerpt,
    publishedAt: new Date(Number(row.published_at_ms)).toISOString(),
    author: fromJsonText(row.author),
    categories: fromJsonText(row.categories),
    tags: fromJsonText(row.tags).map((tag) => tag.name),
    image:
      row.image_url === null
        ? null
        : {
            url: row.image_url,
            width: countOf(row.image_width) || null,
            height: countOf(row.image_height) || null,
            alt: row.image_alt,
          },
    readingMinutes: countOf(row.reading_minutes),
    commentCount: Number(row.comment_count),
    views: Number(row.views),
    totalViews: Number(row.total_views),
  }))
}

/** A row of a score. `offset 0`: PostgreSQL computes the score once. */
function scored(score: RawBuilder<string>) {
  return sql<{ score: string }>`(select ${score} as score offset 0)`.as('scored')
}
