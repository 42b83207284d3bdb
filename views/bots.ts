import { isbot } from 'isbot'
import { detachedCopy } from './client-text.ts'

/** The most user agents in the cache; at this size the cache is cleared. */
const MAX_REMEMBERED = 10_000

/**
 * Creates a function that tells whether a user agent belongs to a bot; an empty one does. Results are cached, because isbot
 * takes 5 to 20 µs, and a few user agents send most requests.
 *
 * The function expects a truncated user agent (see `client-text.ts`), so that the cache takes at most 5 MB.
 */
export function createBotDetector(): (userAgent: string) => boolean {
  const known = new Map<string, boolean>()
  return (userAgent) => {
    const cached = known.get(userAgent)
    if (cached !== undefined) return cached
    if (known.size >= MAX_REMEMBERED) known.clear()
    const isFound = userAgent === '' || isbot(userAgent)
    known.set(detachedCopy(userAgent), isFound)
    return isFound
  }
}
