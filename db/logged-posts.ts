import { type Kysely, sql, type Transaction } from 'kysely'
import { MAX_SLUG_LENGTH } from '../lib/slug-forms.ts'
import type { Database } from './schema.ts'

/** The titles of the posts that have these slugs, by slug. */
export async function findTitles(db: Kysely<Database>, slugs: readonly string[]): Promise<Map<string, string>> {
  const posts = await db
    .selectFrom('posts')
    .select(['slug', 'title'])
    .where(sql<boolean>`slug = any(${slugs}::text[])`)
    .execute()
  return new Map(posts.map((post) => [post.slug, post.title]))
}

/** Whether a post can be created with this slug: at most `MAX_SLUG_LENGTH` characters, no control characters. */
export function canBeSlug(slug: string): boolean {
  return slug.length <= MAX_SLUG_LENGTH && !/\p{Cc}/u.test(slug)
}

/** The ids of the posts whose URL is only the requested path of one of these views. */
export async function findPathPosts(
  db: Kysely<Database>,
  views: readonly { slug: string; url: string }[],
): Promise<string[]> {
  const paths = new Map(views.map((view) => [`${view.slug} ${view.url}`, view]))
  const possible = [...paths.values()].filter(({ slug }) => canBeSlug(slug))
  const { rows } = await sql<{ id: string }>`
    select posts.id::text as id from ${sql.table('posts')}
    join unnest(
      ${possible.map(({ slug }) => slug)}::text[],
      ${possible.map(({ url }) => url)}::text[]
    ) as path (slug, url) using (slug, url)
    order by slug`.execute(db)
  return rows.map(({ id }) => id)
}

/**
 * Turns the paths of these posts into full URLs of the blog.
 * @returns the number of changed posts.
 */
export async function linkPosts(trx: Transaction<Database>, postIds: readonly string[], baseUrl = ''): Promise<number> {
  if (postIds.length === 0) return 0
  // Rows are locked in the order of their slugs: see `createPosts`.
  const { numAffectedRows } = await sql`
    with post as materialized (
      select id from ${sql.table('posts')} where id = any(${postIds}::bigint[]) and url like '/%' order by slug for update
    )
    update ${sql.table('posts')} set url = ${baseUrl} || url from post where posts.id = post.id`.execute(trx)
  return Number(numAffectedRows)
}

/**
 * Creates posts of logged views, published at the time of the view, or now if that is later. A slug that exists by now is skipped.
 * @param views one view per slug.
 * @param baseUrl precedes their paths.
 * @returns the number of created posts.
 */
export async function createPosts(
  trx: Transaction<Database>,
  views: readonly { slug: string; url: string; timeMs: number }[],
  baseUrl = '',
): Promise<number> {
  // In the order of their slugs: two imports that create the same posts wait for each other and cannot deadlock.
  const posts = [...views].sort((a, b) => (a.slug < b.slug ? -1 : 1))
  const { numAffectedRows } = await sql`
    insert into ${sql.table('posts')} (slug, title, url, published_at)
    select post.slug, post.title, post.url, least(to_timestamp(post.time_ms / 1000.0), now())
    from unnest(
      ${posts.map((post) => post.slug)}::text[],
      ${posts.map((post) => titleOfSlug(post.slug))}::text[],
      ${posts.map((post) => baseUrl + post.url)}::text[],
      ${posts.map((post) => post.timeMs)}::float8[]
    ) with ordinality as post (slug, title, url, time_ms, position)
    order by position
    on conflict (slug) do nothing`.execute(trx)
  return Number(numAffectedRows)
}

/** `xvfb-firefox` -> `Xvfb firefox`. A slug of separators only is its own title. */
export function titleOfSlug(slug: string): string {
  const words = slug.replace(/[-_+\s]+/g, ' ').trim()
  return words === '' ? slug : words.replace(/^./u, (first) => first.toUpperCase())
}
