import type { Kysely } from 'kysely'
import type { Tables } from '../db/ranking.ts'
import type { RowGuard } from '../db/row-guard.ts'
import { findViewCounts } from '../db/view-counts.ts'
import { createCachedLookup } from './cached-lookup.ts'

/** How long a count is cached (ms): another process may flush at any time. */
const COUNT_MS = 1_000

/** The counts of posts: see `PostViews`. */
export interface ViewCounter {
  count(slug: string): Promise<number | undefined>
  countMany(slugs: readonly string[]): Promise<Map<string, number>>
  /** Call after each flush of this process. */
  expire(): void
}

/**
 * Creates the counts of posts.
 * @param read runs the queries of the blog.
 */
export function createViewCounter(db: Kysely<Tables>, read: RowGuard): ViewCounter {
  const { lookUp: count, expire } = createCachedLookup({
    ttlMsOf: () => COUNT_MS,
    find: (slugs) => read(db, (blog) => findViewCounts(blog, slugs)),
  })
  return {
    count,
    async countMany(slugs) {
      const counts = new Map<string, number>()
      const countInto = async (slug: string) => {
        const views = await count(slug)
        if (views !== undefined) counts.set(slug, views)
      }
      await Promise.all([...new Set(slugs)].map(countInto))
      return counts
    },
    expire,
  }
}
