import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance {
    /** Shows an error to people. Where it is absent, as on AWS Lambda, they get JSON, too. */
    errorPage?: (problem: Problem) => ErrorPage
  }
}

/** An error as clients get it. */
export interface Problem {
  statusCode: number
  code: string
  message: string
}

export interface ErrorPage {
  headers: Record<string, string>
  html: string
}

/**
 * The one error handler: every error leaves in Fastify's own shape, or as a page where a browser opens it; uncached, and
 * without what is not the client's business. A 503 says when to try again.
 */
export function handleError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { statusCode = 500, code, message } = error
  // Errors of ours and of Fastify's are written for clients; others may hold anything.
  if (statusCode >= 500 && !/^(?:PP|FST)_/.test(code)) {
    request.log.error({ name: error.name, code }, 'a request failed')
    return send(request, reply, {
      statusCode: 500,
      code: 'PP_INTERNAL_ERROR',
      message: 'Something went wrong on our side.',
    })
  }
  if ('retryAfterMs' in error) reply.header('retry-after', Math.max(1, Math.ceil(Number(error.retryAfterMs) / 1000)))
  return send(request, reply, { statusCode, code, message })
}

/** Answers for paths that no route has. */
export function handleNotFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = request.url.replace(/\?.*/s, '')
  return send(request, reply, {
    statusCode: 404,
    code: 'PP_NOT_FOUND',
    message: `Expected a path of this service, got ${request.method} ${path.slice(0, 200)}.`,
  })
}

function send(request: FastifyRequest, reply: FastifyReply, problem: Problem): FastifyReply {
  const { statusCode, code, message } = problem
  const { errorPage } = request.server
  reply.code(statusCode).header('cache-control', 'no-store')
  if (errorPage !== undefined) {
    const vary = reply.getHeader('vary')
    reply.header('vary', vary === undefined ? 'accept' : `${vary}, accept`)
    if (prefersPage(request.headers.accept)) {
      const { headers, html } = errorPage(problem)
      return reply.headers(headers).send(html)
    }
  }
  return reply.send({ statusCode, code, error: STATUS_CODES[statusCode], message })
}

/** Browsers that open an address name HTML; programs, and scripts of pages, name JSON or anything (RFC 9110, 12.5.1). */
function prefersPage(accept = ''): boolean {
  const qualityOf = (type: string) => {
    const range = accept
      .toLowerCase()
      .split(',')
      .map((part) => part.split(';').map((word) => word.trim()))
      .find(([name]) => name === type)
    const quality = range?.find((word) => word.startsWith('q='))?.slice(2) ?? '1'
    return range === undefined ? 0 : Number(quality)
  }
  return qualityOf('text/html') > qualityOf('application/json')
}
