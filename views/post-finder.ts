import type { Kysely } from 'kysely'
import { findPostsBySlug } from '../db/posts-by-slug.ts'
import type { Tables } from '../db/ranking.ts'
import type { RowGuard } from '../db/row-guard.ts'
import { isLive } from '../db/window.ts'
import type { SharedRedis } from './buffers.ts'
import { createCachedLookup } from './cached-lookup.ts'
import { createSharedSlugs } from './shared-slugs.ts'

/** How long the id of a post is cached (ms), in Redis and in a process together. */
const ID_MS = 10_000

/** See `Views.findPost`. */
export type FindPost = (slug: string) => Promise<string | undefined>

/** Finds posts by slug. */
export interface PostFinder {
  findPost: FindPost
  /** A post may have been withdrawn: each slug is looked up again. While the database does not reply, found posts count. */
  verify(): void
}

interface PostFinderOptions {
  db: Kysely<Tables>
  /** Runs the queries of the blog. */
  read: RowGuard
  /** Remembers found posts for all processes; `undefined`: each process remembers its own. */
  redis: SharedRedis | undefined
  /** The prefix of all keys: see `keyRoot`. */
  prefix: string
}

/** Creates a finder of posts. */
export function createPostFinder({ db, read, redis, prefix }: PostFinderOptions): PostFinder {
  const { find, forget } = createSharedSlugs({
    redis,
    prefix,
    ttlMs: ID_MS,
    find: (slugs) => read(db, (blog) => findPostsBySlug(blog, slugs, isLive({}))),
  })
  const { lookUp, expire } = createCachedLookup({ find, ttlMsOf: ({ leftMs }) => leftMs })
  return {
    findPost: async (slug) => (await lookUp(slug))?.id,
    verify() {
      forget()
      expire()
    },
  }
}
