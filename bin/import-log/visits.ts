import { networkOf } from '../../lib/address.ts'
import { createRequestCheck } from '../../lib/request-rules.ts'
import { createBotDetector } from '../../views/bots.ts'
import { truncate } from '../../views/client-text.ts'
import type { LoggedRequest } from './formats/request.ts'
import { type PostPattern, type RequestedPost, requestedPost } from './slug.ts'

/**
 * The kind of a request: a visit of a reader to a post, a request of a bot, one that matches the option `ignore`, or
 * another request.
 */
type Verdict = ({ kind: 'visit'; visitor: string } & RequestedPost) | { kind: 'bot' | 'ignored' | 'other' }

interface VisitsOptions {
  post?: PostPattern | undefined
  /** The option `ignore`. A log has the headers {@link LOGGED_HEADERS} only. */
  ignore?: readonly string[] | undefined
}

/** The headers of a request that a log in combined format has. */
export const LOGGED_HEADERS = ['user-agent', 'referer']

/**
 * Judges requests. A verdict depends on the line only, so that a line has the same one in every log that has it.
 *
 * A visit is a GET with status 200 or 304, not of a bot, of the path of a post. A visitor is an address (the network of
 * an IPv6 address) and a user agent, as for views over HTTP. Which visits are views: see `db/log-chains.ts`.
 */
export function createVisits({ post, ignore = [] }: VisitsOptions) {
  const isIgnored = createRequestCheck(ignore)
  const isBot = createBotDetector()
  return {
    judge({ address, method, target, status, referer, userAgent: sent }: LoggedRequest): Verdict {
      if (method !== 'GET' || (status !== 200 && status !== 304)) return { kind: 'other' }
      const requested = requestedPost(target, post)
      if (requested === undefined) return { kind: 'other' }
      const headers = { 'user-agent': sent, referer }
      if (isIgnored({ ip: address, headers })) return { kind: 'ignored' }
      const userAgent = sent === undefined ? undefined : truncate(sent)
      if (userAgent !== undefined && isBot(userAgent)) return { kind: 'bot' }
      return { kind: 'visit', visitor: `${networkOf(address)} ${userAgent ?? ''}`, ...requested }
    },
  }
}
