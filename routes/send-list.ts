import type { FastifyReply, FastifyRequest } from 'fastify'
import { isNotModified } from '../lib/entity-tags.ts'
import type { ListAnswer } from '../lists/list-answer.ts'
import type { Representation } from '../lists/list-body.ts'
import { chooseCoding } from './content-coding.ts'

interface HttpCaching {
  maxAgeSeconds: number
  staleWhileRevalidateSeconds: number
  failSafeSeconds: number
}

type Headers = Record<string, string>

/**
 * Creates a function that sends a list with the headers for HTTP caches: a strong entity tag (304 if the client has these
 * bytes), Cache-Control, Age and Cache-Status (RFC 9211), and Server-Timing for the developer tools of browsers. The body is
 * compressed if the client accepts that.
 *
 * `Age` is the age of the list, and HTTP caches subtract it from `max-age` (RFC 9111, 4.2.3). The age is therefore added to
 * `max-age`: a list of any age may be reused for `maxAgeSeconds` from now. nginx ignores `Age`, and reads `X-Accel-Expires`
 * before `Cache-Control`.
 */
export function createListSender({ maxAgeSeconds, staleWhileRevalidateSeconds, failSafeSeconds }: HttpCaching) {
  const whenStale = `stale-while-revalidate=${staleWhileRevalidateSeconds}, stale-if-error=${failSafeSeconds}`
  /** Headers of the last hit of each list: within one second they are the same. */
  const hits = new WeakMap<Representation, { ageSeconds: number; ttlSeconds: number; headers: Headers }>()

  function headersOf(sent: Representation, encoding: string, answer: ListAnswer): Headers {
    const { ageSeconds } = answer
    return {
      'content-type': 'application/json; charset=utf-8',
      etag: sent.etag,
      age: String(ageSeconds),
      'cache-control': `public, max-age=${ageSeconds + maxAgeSeconds}, ${whenStale}`,
      'x-accel-expires': String(maxAgeSeconds),
      'cache-status': `popular-posts; ${cacheStatus(answer)}`,
      'server-timing': serverTiming(answer),
      vary: 'accept-encoding',
      ...(encoding === 'identity' ? {} : { 'content-encoding': encoding }),
    }
  }

  function knownHeaders(sent: Representation, encoding: string, answer: ListAnswer): Headers {
    if (answer.outcome !== 'hit' || answer.isDegraded) return headersOf(sent, encoding, answer)
    const { ageSeconds, ttlSeconds } = answer
    const known = hits.get(sent)
    if (known !== undefined && known.ageSeconds === ageSeconds && known.ttlSeconds === ttlSeconds) return known.headers
    const headers = headersOf(sent, encoding, answer)
    hits.set(sent, { ageSeconds, ttlSeconds, headers })
    return headers
  }

  return function sendList(request: FastifyRequest, reply: FastifyReply, answer: ListAnswer): FastifyReply {
    const { list } = answer
    const encoding = chooseCoding(request.headers['accept-encoding'])
    const sent = encoding === 'identity' ? list : list.encoded(encoding)
    const headers = knownHeaders(sent, sent === list ? 'identity' : encoding, answer)
    const vary = reply.getHeader('vary')
    reply.headers(headers)
    // A plugin of the host has set it, such as @fastify/cors.
    if (vary !== undefined) reply.header('vary', `${vary}, accept-encoding`)
    return isNotModified(request.headers['if-none-match'], sent.etag) ? reply.code(304).send() : reply.send(sent.body)
  }
}

function cacheStatus({ outcome, ttlSeconds, isDegraded }: ListAnswer): string {
  switch (outcome) {
    case 'hit':
    case 'stale':
      return `hit; ttl=${ttlSeconds}${isDegraded ? '; detail=redis-down' : ''}`
    case 'loaded':
    case 'collapsed':
      if (isDegraded) return 'fwd=bypass; detail=redis-down'
      return outcome === 'loaded' ? 'fwd=miss; stored' : 'fwd=miss; stored; collapsed'
    case 'bypass':
      return 'fwd=bypass; detail=unknown-filter'
  }
}

function serverTiming({ outcome, durationMs }: ListAnswer): string {
  switch (outcome) {
    case 'hit':
      return 'cache;desc=hit'
    case 'stale':
      return 'cache;desc=stale'
    case 'bypass':
      return 'cache;desc=bypass'
    case 'loaded':
      return `cache;desc=miss, load;dur=${Math.round(durationMs)}`
    case 'collapsed':
      return `cache;desc=miss, wait;dur=${Math.round(durationMs)}`
  }
}
