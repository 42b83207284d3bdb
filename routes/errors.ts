import createError from '@fastify/error'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'

const InternalError = createError('PP_INTERNAL_ERROR', 'Something went wrong on our side.', 500)

/**
 * The one error handler: every error leaves in Fastify's own shape, uncached, and without what is not the client's
 * business. A 503 says when to try again.
 */
export function handleError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const statusCode = error.statusCode ?? 500
  // Errors of ours and of Fastify's are written for clients; others may hold anything.
  const isPublic = statusCode < 500 || /^(?:PP|FST)_/.test(error.code)
  if (!isPublic) request.log.error({ name: error.name, code: error.code }, 'a request failed')
  if ('retryAfterMs' in error) reply.header('retry-after', Math.max(1, Math.ceil(Number(error.retryAfterMs) / 1000)))
  const told = isPublic ? error : new InternalError()
  return reply
    .code(isPublic ? statusCode : 500)
    .header('cache-control', 'no-store')
    .send(told)
}

const NotFound = createError<[string, string]>('PP_NOT_FOUND', 'Nothing is here for %s %s.', 404)

/** Answers for paths that no route has. */
export function handleNotFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = request.url.split('?', 1)[0] ?? ''
  return handleError(new NotFound(request.method, path.slice(0, 200)), request, reply)
}
