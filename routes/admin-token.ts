import { createHash, timingSafeEqual } from 'node:crypto'
import createError from '@fastify/error'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import { LRUCache } from 'lru-cache'
import { networkOf } from '../views/visitor.ts'

/** How many wrong tokens a network may send in a window, and how many networks are remembered. */
export const GUESSES = { max: 10, networks: 10_000 }

const Unauthorized = createError('PP_UNAUTHORIZED', 'Expected the admin token as a bearer token.', 401)
const TooManyGuesses = createError<[number]>(
  'PP_TOO_MANY_GUESSES',
  'Expected at most %d wrong admin tokens a minute from one address.',
  429,
)

/**
 * Checks the bearer token of requests, in constant time, and limits the guesses of a network: after that many wrong tokens it is
 * refused until the window ends, also with the right one, since a limit that a right guess passes is none. Right tokens do
 * not count, and neither does a request without a token. The log has one line for each window with wrong tokens, at its end.
 */
export function createTokenCheck(token: string, log: Pick<FastifyBaseLogger, 'warn'>, windowMs = 60_000) {
  const expected = digestOf(token)
  const guesses = new LRUCache<string, number>({ max: GUESSES.networks })
  const counts = { wrong: 0, refused: 0 }
  let endsAtMs = 0
  let timer: NodeJS.Timeout | undefined

  function endWindow(): void {
    if (timer === undefined) return
    clearTimeout(timer)
    timer = undefined
    log.warn({ ...counts }, 'popular posts: wrong admin tokens were sent')
    Object.assign(counts, { wrong: 0, refused: 0 })
    guesses.clear()
  }

  return {
    /**
     * @throws `PP_UNAUTHORIZED` (401) without the token; `PP_TOO_MANY_GUESSES` (429, with `retryAfterMs`) after too many
     * wrong ones.
     */
    check({ headers, ip }: Pick<FastifyRequest, 'headers' | 'ip'>): void {
      if (headers.authorization === undefined) throw new Unauthorized()
      const network = networkOf(ip)
      const wrong = guesses.get(network) ?? 0
      if (wrong >= GUESSES.max) {
        counts.refused += 1
        throw Object.assign(new TooManyGuesses(GUESSES.max), { retryAfterMs: endsAtMs - performance.now() })
      }
      const sent = /^Bearer +(.*)$/i.exec(headers.authorization)?.[1] ?? ''
      if (timingSafeEqual(digestOf(sent), expected)) return
      if (timer === undefined) {
        timer = setTimeout(endWindow, windowMs).unref()
        endsAtMs = performance.now() + windowMs
      }
      counts.wrong += 1
      guesses.set(network, wrong + 1)
      throw new Unauthorized()
    },
    /** Writes what the log does not have yet. */
    close: endWindow,
  }
}

/** Of one length, which is what a comparison in constant time needs. */
function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
