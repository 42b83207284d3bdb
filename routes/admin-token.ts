import { createHash, timingSafeEqual } from 'node:crypto'
import createError from '@fastify/error'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import { LRUCache } from 'lru-cache'
import { networkOf } from '../lib/address.ts'
import { errorResponse, retryAfterHeader } from './responses.ts'

/** The most wrong tokens of a network in a window, and the most networks that are remembered. */
export const GUESSES = { max: 10, networks: 10_000 }

const Unauthorized = createError('PP_UNAUTHORIZED', 'Expected the admin token as a bearer token.', 401)
const TooManyGuesses = createError<[number]>(
  'PP_TOO_MANY_GUESSES',
  'Expected at most %d wrong admin tokens a minute from one address.',
  429,
)

/** The replies of a route that requires the token. */
export const tokenResponses = {
  401: errorResponse(401, 'The admin token is missing or wrong.', {
    code: 'PP_UNAUTHORIZED',
    message: 'Expected the admin token as a bearer token.',
  }),
  429: errorResponse(
    429,
    'Too many wrong tokens came from one address. It is refused for a minute, even with the right token.',
    {
      code: 'PP_TOO_MANY_GUESSES',
      message: `Expected at most ${GUESSES.max} wrong admin tokens a minute from one address.`,
      headers: retryAfterHeader,
    },
  ),
}

/**
 * Creates a check of bearer tokens, which compares in constant time and limits the guesses of a network. After too many wrong
 * tokens the network is refused until the window ends, even with the right token: otherwise guessing could go on. Right tokens
 * and requests without a token do not count. At the end of each window with wrong tokens, one line is logged.
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
    /** Logs the counts of the present window. */
    close: endWindow,
  }
}

/** Hashes a text: a comparison in constant time needs values of equal length. */
function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
