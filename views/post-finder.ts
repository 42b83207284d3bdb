import createError from '@fastify/error'
import type { Kysely } from 'kysely'
import { LRUCache } from 'lru-cache'
import { findPostsBySlug } from '../db/posts-by-slug.ts'
import type { Tables } from '../db/ranking.ts'
import type { RowGuard } from '../db/row-guard.ts'
import { isLive } from '../db/window.ts'
import { systemClock } from '../lib/clock.ts'
import { withinDeadline } from '../lib/deadline.ts'
import { detachedCopy } from './client-text.ts'
import { createPostLookup } from './post-lookup.ts'

const LookupFailed = createError(
  'PP_LOOKUP_FAILED',
  'Expected the database to tell whether the post exists, but it did not reply. Try again later.',
  503,
)

/** How long a view waits for the database: of a post that was found before, and of any other slug. */
const LOOKUP_MS = { known: 250, other: 1_000 }

/** The cache of posts by slug: how long an entry is valid, and the most entries and characters. */
const POSTS = { ttl: 10_000, max: 10_000, maxSize: 2_000_000 }

/** See `Views.findPost`. */
export type FindPost = (slug: string) => Promise<string | undefined>

/**
 * Creates `Views.findPost`. It caches the ids of posts, and never that a slug has no post.
 * @param read runs the queries of the blog.
 */
export function createPostFinder(db: Kysely<Tables>, read: RowGuard): FindPost {
  const posts = new LRUCache<string, string>({
    ...POSTS,
    sizeCalculation: (_id, slug) => slug.length,
    noDeleteOnStaleGet: true,
  })
  const lookUp = createPostLookup({
    async find(slugs) {
      const found = await read(db, (blog) => findPostsBySlug(blog, slugs, isLive({})))
      return new Map([...found].map(([slug, { id }]) => [slug, id]))
    },
    clock: systemClock,
  })

  async function lookUpAndCache(slug: string): Promise<string | undefined> {
    const id = await lookUp(slug)
    if (id === undefined) posts.delete(slug)
    else posts.set(detachedCopy(slug), id)
    return id
  }

  return async (slug) => {
    const fresh = posts.get(slug)
    if (fresh !== undefined) return fresh
    const known = posts.peek(slug, { allowStale: true })
    const waitMs = known === undefined ? LOOKUP_MS.other : LOOKUP_MS.known
    try {
      return await withinDeadline(systemClock, waitMs, lookUpAndCache(slug))
    } catch (cause) {
      if (known === undefined) throw Object.assign(new LookupFailed(), { retryAfterMs: 1000, cause })
      return known
    }
  }
}
