import { createBotMemory } from '../../views/bots.ts'
import { shortened } from '../../views/strangers-text.ts'
import { networkOf } from '../../views/visitor.ts'
import type { LoggedRequest } from './parse-line.ts'
import { type PostPattern, type RequestedPost, requestedPost } from './slug.ts'

/** What a request was: a view of a post, one by a bot, one that a view counted already, or something else. */
type Verdict = ({ kind: 'view' } & RequestedPost) | { kind: 'bot' | 'repeat' | 'other' }

/** How many views are remembered before anything is forgotten. */
const MAX_REMEMBERED = 10_000

/**
 * Judges requests in the order of the log. The verdicts depend on the lines alone, not on what is known about posts.
 *
 * A view is a GET answered 200 or 304, not by a bot, of a path that names a post. A visitor is an address (of IPv6 the
 * network) and a user agent, as for views that come over HTTP. What a visitor asks for within `dedupSeconds` of the view
 * that counted is a repeat; at exactly `dedupSeconds` it counts again. Lines may be out of order: as long as none is later
 * than `dedupSeconds`, verdicts are exact.
 */
export function createVisits({ dedupSeconds, post }: { dedupSeconds: number; post?: PostPattern | undefined }) {
  const windowMs = dedupSeconds * 1000
  const countedAtMs = new Map<string, number>()
  let maxRemembered = MAX_REMEMBERED
  const isBot = createBotMemory()

  /** Two windows are kept, so that a line that comes a window late still finds what it repeats. */
  function forget(nowMs: number): void {
    for (const [view, timeMs] of countedAtMs) if (Math.abs(nowMs - timeMs) >= 2 * windowMs) countedAtMs.delete(view)
    // Twice what is left: however busy the site, a view is looked at a constant number of times.
    maxRemembered = Math.max(MAX_REMEMBERED, 2 * countedAtMs.size)
  }

  return {
    judge({ address, timeMs, method, target, status, userAgent: sent }: LoggedRequest): Verdict {
      if (method !== 'GET' || (status !== 200 && status !== 304)) return { kind: 'other' }
      const requested = requestedPost(target, post)
      if (requested === undefined) return { kind: 'other' }
      const userAgent = sent === undefined ? undefined : shortened(sent)
      if (userAgent !== undefined && isBot(userAgent)) return { kind: 'bot' }
      const { slug } = requested
      // The length keeps two pairs of agent and slug apart that read the same when joined.
      const view = `${networkOf(address)} ${slug.length} ${slug}${userAgent ?? ''}`
      const lastMs = countedAtMs.get(view)
      if (lastMs !== undefined && Math.abs(timeMs - lastMs) < windowMs) return { kind: 'repeat' }
      countedAtMs.set(view, timeMs)
      if (countedAtMs.size > maxRemembered) forget(timeMs)
      return { kind: 'view', ...requested }
    },
    /** How many views are remembered. */
    get size(): number {
      return countedAtMs.size
    },
  }
}
