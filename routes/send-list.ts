import type { FastifyReply, FastifyRequest } from 'fastify'
import fresh from 'fresh'
import type { ListAnswer } from '../plugins/popular-posts.ts'

interface HttpCaching {
  maxAgeSeconds: number
  staleWhileRevalidateSeconds: number
  staleIfErrorSeconds: number
}

/**
 * Sends a list with what HTTP caches want to know: a strong entity tag (304 where the client has these very bytes),
 * Cache-Control, Age and Cache-Status (RFC 9211).
 *
 * `Age` is the age of the list, and HTTP caches count it against `max-age` (RFC 9111, 4.2.3). The list's age is therefore
 * added to `max-age`: a list of any age may be reused for `maxAgeSeconds` from now.
 */
export function sendList(
  request: FastifyRequest,
  reply: FastifyReply,
  answer: ListAnswer,
  caching: HttpCaching,
): FastifyReply {
  const { ageSeconds, etag, body } = answer
  const { maxAgeSeconds, staleWhileRevalidateSeconds, staleIfErrorSeconds } = caching
  reply.headers({
    'content-type': 'application/json; charset=utf-8',
    etag,
    age: ageSeconds,
    'cache-control':
      `public, max-age=${ageSeconds + maxAgeSeconds}, stale-while-revalidate=${staleWhileRevalidateSeconds}, ` +
      `stale-if-error=${staleIfErrorSeconds}`,
    'cache-status': `popular-posts; ${cacheStatus(answer)}`,
  })
  return fresh(request.headers, { etag }) ? reply.code(304).send() : reply.send(body)
}

function cacheStatus({ outcome, ttlSeconds, isAlone }: ListAnswer): string {
  switch (outcome) {
    case 'hit':
    case 'stale':
      return `hit; ttl=${ttlSeconds}${isAlone ? '; detail=redis-down' : ''}`
    case 'loaded':
    case 'collapsed':
      if (isAlone) return 'fwd=bypass; detail=redis-down'
      return outcome === 'loaded' ? 'fwd=miss; stored' : 'fwd=miss; stored; collapsed'
    case 'bypass':
      return 'fwd=bypass; detail=unknown-filter'
  }
}
