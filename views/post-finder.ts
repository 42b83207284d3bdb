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

/** Finds posts by slug. */
export interface PostFinder {
  findPost: FindPost
  /** A post may have been withdrawn: each slug is looked up again. While the database does not reply, found posts count. */
  verify(): void
}

/** A post that was found. */
interface Found {
  id: string
  /** How many times `verify` had been called before the look-up. */
  round: number
}

/**
 * Creates a finder of posts. It caches the ids of posts, and never that a slug has no post.
 * @param read runs the queries of the blog.
 */
export function createPostFinder(db: Kysely<Tables>, read: RowGuard): PostFinder {
  let round = 0
  const posts = new LRUCache<string, Found>({
    ...POSTS,
    sizeCalculation: (_found, slug) => slug.length,
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
    const startedIn = round
    const id = await lookUp(slug)
    if (id === undefined) posts.delete(slug)
    else posts.set(detachedCopy(slug), { id, round: startedIn })
    return id
  }

  async function findPost(slug: string): Promise<string | undefined> {
    const fresh = posts.get(slug)
    if (fresh?.round === round) return fresh.id
    const known = posts.peek(slug, { allowStale: true })
    const waitMs = known === undefined ? LOOKUP_MS.other : LOOKUP_MS.known
    try {
      return await withinDeadline(systemClock, waitMs, lookUpAndCache(slug))
    } catch (cause) {
      if (known === undefined) throw Object.assign(new LookupFailed(), { retryAfterMs: 1000, cause })
      return known.id
    }
  }

  return {
    findPost,
    verify() {
      round += 1
    },
  }
}
