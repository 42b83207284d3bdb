import { type Kysely, sql } from 'kysely'
import { jsonArrayFrom } from 'kysely/helpers/postgres'
import { boundedText, countOf } from './bounded.ts'
import { CATEGORY_TREE, categoryTree } from './category-tree.ts'
import { postCategories } from './post-categories.ts'
import { findPostsBySlug } from './posts-by-slug.ts'
import type { BlogReader, BlogTables } from './schema.ts'
import { isLive } from './window.ts'
import { inMilliseconds } from './window-query.ts'

/** A post as the pages of the service show it. */
export interface SitePost {
  /** As text, whatever its type. */
  id: string
  slug: string
  title: string
  url: string
  excerpt: string
  publishedAt: Date
  author: string | null
  categories: { name: string; slug: string }[]
  readingMinutes: number
}

/** An approved comment. */
export interface SiteComment {
  author: string
  body: string
  createdAt: Date
}

/**
 * The ids of live posts, the latest first.
 * @param query.category the slug of a category: posts in it, or in one below it. Default: all posts.
 */
export async function latestPostIds(
  db: BlogReader,
  { category, limit }: { category?: string | undefined; limit: number },
): Promise<string[]> {
  const inCategory = sql<boolean>`posts.id in (
    select link.post_id from post_categories as link join category_tree as tree on tree.id = link.category_id
  )`
  const rows = await db
    .with(CATEGORY_TREE, () => categoryTree(category === undefined ? [] : [category]))
    .selectFrom('posts')
    .where(isLive({}))
    .where(category === undefined ? sql<boolean>`true` : inCategory)
    .select(sql<string>`posts.id::text`.as('id'))
    .orderBy('posts.published_at', 'desc')
    .orderBy('posts.id', 'desc')
    .limit(limit)
    .execute()
  // A view may have a post twice.
  return [...new Set(rows.map(({ id }) => id))]
}

/** The live posts with these ids, in their order. */
export async function sitePostsById(db: BlogReader, ids: readonly string[]): Promise<SitePost[]> {
  if (ids.length === 0) return []
  const rows = await sitePosts(db)
    .where('posts.id', 'in', [...ids])
    .execute()
  const posts = new Map(rows.map((row) => [row.id, toPost(row)]))
  return ids.flatMap((id) => posts.get(id) ?? [])
}

/** The live post with a slug, in any of its forms, or with an earlier slug; `undefined`: there is none. */
export async function sitePost(db: BlogReader, slug: string): Promise<SitePost | undefined> {
  const found = [...(await findPostsBySlug(db, [slug], isLive({}))).values()].map((post) => post.slug)
  const posts = await sitePosts(db)
    .where(sql<boolean>`posts.slug = any(${found}::text[])`)
    .orderBy('posts.published_at', 'desc')
    .orderBy('posts.id', 'desc')
    .limit(1)
    .execute()
  return posts.map(toPost)[0]
}

/** The first 50 approved comments of a post, the oldest first. Only the tables of the service have comments. */
export async function siteComments(db: Kysely<BlogTables>, postId: string): Promise<SiteComment[]> {
  const comments = await db
    .selectFrom('comments')
    .where('post_id', '=', postId)
    .where('is_approved', '=', true)
    .orderBy('created_at')
    .orderBy('id')
    .select(['author_name', 'body', 'created_at'])
    .limit(50)
    .execute()
  return comments.map(({ author_name: author, body, created_at: createdAt }) => ({ author, body, createdAt }))
}

function sitePosts(db: BlogReader) {
  return db
    .selectFrom('posts')
    .where(isLive({}))
    .select((post) => [
      sql<string>`posts.id::text`.as('id'),
      boundedText('posts.slug').as('slug'),
      boundedText('posts.title').as('title'),
      boundedText('posts.url').as('url'),
      boundedText('posts.excerpt').as('excerpt'),
      inMilliseconds('posts.published_at').as('publishedAtMs'),
      'posts.reading_minutes as readingMinutes',
      // A view may have an author twice.
      post
        .selectFrom('authors')
        .whereRef('authors.id', '=', 'posts.author_id')
        .select(boundedText('authors.name', 'authors.slug').as('name'))
        .orderBy('authors.slug')
        .limit(1)
        .as('author'),
      jsonArrayFrom(postCategories).as('categories'),
    ])
}

type Row = Omit<SitePost, 'publishedAt'> & { publishedAtMs: number | string | bigint }

function toPost({ publishedAtMs, readingMinutes, ...row }: Row): SitePost {
  return {
    ...row,
    readingMinutes: countOf(readingMinutes),
    publishedAt: new Date(Number(publishedAtMs)),
  }
}
