import createError from '@fastify/error'
import { LRUCache } from 'lru-cache'
import { systemClock } from '../lib/clock.ts'
import { withinDeadline } from '../lib/deadline.ts'
import { detachedCopy } from './client-text.ts'
import { createPostLookup } from './post-lookup.ts'

const LookupFailed = createError(
  'PP_LOOKUP_FAILED',
  'Expected the database to tell whether the post exists, but it did not reply. Try again later.',
  503,
)

/** How long a call waits for the database: for a post that was found before, and for any other slug. */
const LOOKUP_MS = { known: 250, other: 1_000 }

/** The limits of the cache: entries and characters of their slugs. */
const LIMITS = { max: 10_000, maxSize: 2_000_000 }

interface CachedLookupOptions<T> {
  /** Finds what belongs to the live posts with these slugs. Slugs without a live post are missing. */
  find: (slugs: readonly string[]) => Promise<ReadonlyMap<string, T>>
  /** Returns how long a result is cached (ms). */
  ttlMsOf: (result: T) => number
}

/** A look-up by slug with a cache. */
export interface CachedLookup<T> {
  /**
   * Returns what belongs to the live post with a slug; `undefined`: there is no such post, which is not cached.
   * @throws `PP_LOOKUP_FAILED` (503, with `retryAfterMs`) when nothing is known, and the database does not reply in a second.
   */
  lookUp(slug: string): Promise<T | undefined>
  /** Ends the validity of all cached results. They are used while the database does not reply in a quarter of a second. */
  expire(): void
}

/** Creates a look-up by slug with a cache. See `createPostLookup` for what it costs the database. */
export function createCachedLookup<T>({ find, ttlMsOf }: CachedLookupOptions<T>): CachedLookup<T> {
  /** An entry is fresh until its time ends, or the epoch in which its look-up began. */
  const known = new LRUCache<string, { result: T; epoch: number }>({
    ...LIMITS,
    sizeCalculation: (_entry, slug) => slug.length,
    noDeleteOnStaleGet: true,
  })
  const lookUpNow = createPostLookup({ find, clock: systemClock })
  let epoch = 0

  async function lookUpAndCache(slug: string): Promise<T | undefined> {
    const begunIn = epoch
    const result = await lookUpNow(slug)
    if (result === undefined) known.delete(slug)
    else known.set(detachedCopy(slug), { result, epoch: begunIn }, { ttl: ttlMsOf(result) })
    return result
  }

  return {
    async lookUp(slug) {
      const fresh = known.get(slug)
      if (fresh?.epoch === epoch) return fresh.result
      const old = known.peek(slug, { allowStale: true })
      const waitMs = old === undefined ? LOOKUP_MS.other : LOOKUP_MS.known
      try {
        return await withinDeadline(systemClock, waitMs, lookUpAndCache(slug))
      } catch (cause) {
        if (old === undefined) throw Object.assign(new LookupFailed(), { retryAfterMs: 1000, cause })
        return old.result
      }
    },
    expire() {
      epoch += 1
    },
  }
}
