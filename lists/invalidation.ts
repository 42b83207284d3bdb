import { LRUCache } from 'lru-cache'
import { UnconfirmedError } from '../cache/errors.ts'
import { CAUSE_KNOWN_MS } from '../cache/protocol.ts'
import type { InvalidateMode, InvalidateOptions } from '../cache/store.ts'
import { systemClock } from '../lib/clock.ts'
import { withinDeadline } from '../lib/deadline.ts'

/**
 * Which processes an invalidation holds for, when its promise resolves.
 *
 * - `all`: for all processes that share the Redis.
 * - `announced`: for this process. Without Redis each process has its own lists. The invalidation is recorded in the
 *   database; each other process follows when it is notified (at once), or at its next comparison (5 seconds, a minute
 *   at most).
 * - `process`: for this process only, because there is neither Redis nor a database that records changes.
 */
export type InvalidationReach = 'all' | 'announced' | 'process'

/** How long an invalidation waits for the database. */
const ANNOUNCE_MS = 2_000

/** Invalidates lists. */
type Invalidate<T> = (mode: InvalidateMode, options: InvalidateOptions) => Promise<T>

/**
 * Records an invalidation in the database; resolves to the name of the change, or to `undefined` if there is no database
 * that records changes.
 */
export type Announce = (mode: InvalidateMode) => Promise<string | undefined>

/**
 * Creates the function `app.popularPosts.invalidate`.
 * @param invalidate invalidates the lists in the store.
 * @param announce for a store that is not shared. The process hears of its own change, too, and by the name of the change
 * does not invalidate again. `undefined`: the store is shared.
 */
export function createInvalidation(
  invalidate: Invalidate<void>,
  announce: Announce | undefined,
): (mode?: InvalidateMode, options?: InvalidateOptions) => Promise<InvalidationReach> {
  if (announce === undefined) return (mode = 'hard', options = {}) => invalidate(mode, options).then(() => 'all')
  const known = new LRUCache<string, Promise<InvalidationReach>>({ max: 1_000, ttl: CAUSE_KNOWN_MS })

  async function invalidateAndAnnounce(mode: InvalidateMode, tell: Announce): Promise<InvalidationReach> {
    try {
      const name = await withinDeadline(systemClock, ANNOUNCE_MS, tell(mode))
      await invalidate(mode, { idempotencyKey: name })
      return name === undefined ? 'process' : 'announced'
    } catch (error) {
      await invalidate(mode, {})
      throw new UnconfirmedError(error, 'the database')
    }
  }

  return (mode = 'hard', { idempotencyKey } = {}) => {
    if (idempotencyKey === undefined) return invalidateAndAnnounce(mode, announce)
    const key = `${mode} ${idempotencyKey}`
    const earlier = known.get(key)
    if (earlier !== undefined) return earlier
    const invalidating = invalidateAndAnnounce(mode, announce)
    known.set(key, invalidating)
    invalidating.catch(() => known.delete(key))
    return invalidating
  }
}
