import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'

/**
 * The one error handler: every error leaves in Fastify's own shape, uncached, and without what is not the client's
 * business. A 503 says when to try again.
 */
export function handleError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { statusCode = 500, code, message } = error
  // Errors of ours and of Fastify's are written for clients; others may hold anything.
  if (statusCode >= 500 && !/^(?:PP|FST)_/.test(code)) {
    request.log.error({ name: error.name, code }, 'a request failed')
    return send(reply, 500, 'PP_INTERNAL_ERROR', 'Something went wrong on our side.')
  }
  if ('retryAfterMs' in error) reply.header('retry-after', Math.max(1, Math.ceil(Number(error.retryAfterMs) / 1000)))
  return send(reply, statusCode, code, message)
}

/** Answers for paths that no route has. */
export function handleNotFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = request.url.replace(/\?.*/s, '')
  return send(
    reply,
    404,
    'PP_NOT_FOUND',
    `Expected a path of this service, got ${request.method} ${path.slice(0, 200)}.`,
  )
}

function send(reply: FastifyReply, statusCode: number, code: string, message: string): FastifyReply {
  return reply
    .code(statusCode)
    .header('cache-control', 'no-store')
    .send({ statusCode, code, error: STATUS_CODES[statusCode], message })
}
