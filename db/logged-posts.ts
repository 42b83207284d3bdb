import { type Kysely, sql, type Transaction } from 'kysely'
import type { Database } from './schema.ts'

const MAX_SLUG_LENGTH = 200

/** The ids of the posts that have these slugs, by slug. */
export async function findPosts(db: Kysely<Database>, slugs: readonly string[]): Promise<Map<string, string>> {
  // PostgreSQL's text cannot hold NUL, and refuses the whole statement.
  const possible = slugs.filter((slug) => !slug.includes('\0'))
  const posts = await db
    .selectFrom('posts')
    .select(['id', 'slug'])
    .where(sql<boolean>`slug = any(${possible}::text[])`)
    .execute()
  return new Map(posts.map((post) => [post.slug, String(post.id)]))
}

/** The titles of the posts that have these slugs, by slug. */
export async function findTitles(db: Kysely<Database>, slugs: readonly string[]): Promise<Map<string, string>> {
  const posts = await db
    .selectFrom('posts')
    .select(['slug', 'title'])
    .where(sql<boolean>`slug = any(${slugs}::text[])`)
    .execute()
  return new Map(posts.map((post) => [post.slug, post.title]))
}

/** Whether a post may be made of it: no control characters, and no more than 200 characters. */
export function canBeSlug(slug: string): boolean {
  return slug.length <= MAX_SLUG_LENGTH && !/\p{Cc}/u.test(slug)
}

/**
 * Makes posts of logged views, published when they were first seen. Slugs that another process has made since are left
 * to it.
 * @param views one for each slug.
 * @returns how many posts were made.
 */
export async function createPosts(
  trx: Transaction<Database>,
  views: readonly { slug: string; url: string; timeMs: number }[],
): Promise<number> {
  // In the order of their slugs: two imports that make the same posts wait for each other and cannot deadlock.
  const posts = [...views].sort((a, b) => (a.slug < b.slug ? -1 : 1))
  const { numAffectedRows } = await sql`
    insert into posts (slug, title, url, published_at)
    select post.slug, post.title, post.url, to_timestamp(post.time_ms / 1000.0)
    from unnest(
      ${posts.map((post) => post.slug)}::text[],
      ${posts.map((post) => titleOf(post.slug))}::text[],
      ${posts.map((post) => post.url)}::text[],
      ${posts.map((post) => post.timeMs)}::float8[]
    ) with ordinality as post (slug, title, url, time_ms, position)
    order by position
    on conflict (slug) do nothing`.execute(trx)
  return Number(numAffectedRows)
}

/** `xvfb-firefox` -> `Xvfb firefox`. A slug of nothing but dashes is its own title. */
export function titleOf(slug: string): string {
  const words = slug.replace(/[-_+\s]+/g, ' ').trim()
  return words === '' ? slug : words.replace(/^./u, (first) => first.toUpperCase())
}
