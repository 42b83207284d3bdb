import type { Kysely } from 'kysely'
import { findPostsBySlug } from '../db/posts-by-slug.ts'
import type { Tables } from '../db/ranking.ts'
import type { RowGuard } from '../db/row-guard.ts'
import { isLive } from '../db/window.ts'
import { createCachedLookup } from './cached-lookup.ts'

/** How long the id of a post is cached (ms). */
const ID_MS = 10_000

/** See `Views.findPost`. */
export type FindPost = (slug: string) => Promise<string | undefined>

/** Finds posts by slug. */
export interface PostFinder {
  findPost: FindPost
  /** A post may have been withdrawn: each slug is looked up again. While the database does not reply, found posts count. */
  verify(): void
}

/**
 * Creates a finder of posts.
 * @param read runs the queries of the blog.
 */
export function createPostFinder(db: Kysely<Tables>, read: RowGuard): PostFinder {
  const { lookUp: findPost, expire: verify } = createCachedLookup({
    ttlMs: ID_MS,
    async find(slugs) {
      const found = await read(db, (blog) => findPostsBySlug(blog, slugs, isLive({})))
      return new Map([...found].map(([slug, { id }]) => [slug, id]))
    },
  })
  return { findPost, verify }
}
