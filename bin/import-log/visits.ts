import { networkOf } from '../../lib/address.ts'
import { createRequestCheck } from '../../lib/request-rules.ts'
import { createBotDetector } from '../../views/bots.ts'
import { truncate } from '../../views/client-text.ts'
import type { LoggedRequest } from './formats/request.ts'
import { type PostPattern, type RequestedPost, requestedPost } from './slug.ts'

/**
 * The kind of a request: a view of a post, a request of a bot, one that matches the option `ignore`, a repeat of a counted view,
 * or another request.
 */
type Verdict = ({ kind: 'view' } & RequestedPost) | { kind: 'bot' | 'ignored' | 'repeat' | 'other' }

interface VisitsOptions {
  dedupSeconds: number
  post?: PostPattern | undefined
  /** Returns the name by which repeats of a slug are recognized: see `createPresentSlug`. Default: the slug. */
  presentSlug?: (slug: string) => string
  /** The option `ignore`. A log has the headers {@link LOGGED_HEADERS} only. */
  ignore?: readonly string[] | undefined
}

/** The headers of a request that a log in combined format has. */
export const LOGGED_HEADERS = ['user-agent', 'referer']

/** The number of remembered views after which old views are deleted. */
const MAX_REMEMBERED = 10_000

/**
 * Judges requests in the order of the log. A verdict depends on the lines, and of the database only on the earlier slugs of posts.
 *
 * A view is a GET with status 200 or 304, not of a bot, of the path of a post. A visitor is an address (the network of
 * an IPv6 address) and a user agent, as for views over HTTP. A request within `dedupSeconds` of the counted view is a
 * repeat; at exactly `dedupSeconds` it counts again. Lines may be out of order: verdicts are exact if no line is late
 * by more than `dedupSeconds`.
 */
export function createVisits({ dedupSeconds, post, presentSlug = (slug) => slug, ignore = [] }: VisitsOptions) {
  const isIgnored = createRequestCheck(ignore)
  const windowMs = dedupSeconds * 1000
  const countedAtMs = new Map<string, number>()
  let maxRemembered = MAX_REMEMBERED
  const isBot = createBotDetector()

  /** Views of two windows stay, so that a line that is one window late still finds the view that it repeats. */
  function forget(nowMs: number): void {
    for (const [view, timeMs] of countedAtMs) if (Math.abs(nowMs - timeMs) >= 2 * windowMs) countedAtMs.delete(view)
    // Twice the rest, so that each view is checked a constant number of times, however busy the site.
    maxRemembered = Math.max(MAX_REMEMBERED, 2 * countedAtMs.size)
  }

  return {
    judge({ address, timeMs, method, target, status, referer, userAgent: sent }: LoggedRequest): Verdict {
      if (method !== 'GET' || (status !== 200 && status !== 304)) return { kind: 'other' }
      const requested = requestedPost(target, post)
      if (requested === undefined) return { kind: 'other' }
      const headers = { 'user-agent': sent, referer }
      if (isIgnored({ ip: address, headers })) return { kind: 'ignored' }
      const userAgent = sent === undefined ? undefined : truncate(sent)
      if (userAgent !== undefined && isBot(userAgent)) return { kind: 'bot' }
      const slug = presentSlug(requested.slug)
      // The length separates slug and agent: two pairs never give the same key.
      const view = `${networkOf(address)} ${slug.length} ${slug}${userAgent ?? ''}`
      const lastMs = countedAtMs.get(view)
      if (lastMs !== undefined && Math.abs(timeMs - lastMs) < windowMs) return { kind: 'repeat' }
      countedAtMs.set(view, timeMs)
      if (countedAtMs.size > maxRemembered) forget(timeMs)
      return { kind: 'view', ...requested }
    },
    /** The number of remembered views. */
    get size(): number {
      return countedAtMs.size
    },
  }
}
