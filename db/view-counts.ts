import { sql } from 'kysely'
import { countOf, viewsOf } from './bounded.ts'
import { findPostsBySlug } from './posts-by-slug.ts'
import type { BlogReader } from './schema.ts'
import { isLive } from './window.ts'

/**
 * Finds the views of all time of the live posts with these slugs, by their own or an earlier slug. The posts are joined by
 * their slugs, not by the texts of their ids, so the indexes are used whatever the type of an id.
 * @returns counts by the given slugs; 0 for a post without a view. Slugs without a live post are missing.
 */
export async function findViewCounts(db: BlogReader, slugs: readonly string[]): Promise<Map<string, number>> {
  const posts = [...(await findPostsBySlug(db, slugs, isLive({})))]
  if (posts.length === 0) return new Map()
  const own = posts.map(([, { slug }]) => slug)
  const rows = await db
    .selectFrom('posts')
    .leftJoin('post_views_total as total', 'total.post_id', 'posts.id')
    .where(sql<boolean>`posts.slug = any(${own}::text[])`)
    .select([sql<string>`posts.id::text`.as('id'), viewsOf('total.views').as('views')])
    .execute()
  const slugsOf = (id: string) => posts.flatMap(([slug, post]) => (post.id === id ? slug : []))
  return new Map(rows.flatMap(({ id, views }) => slugsOf(id).map((slug) => [slug, countOf(views)])))
}
