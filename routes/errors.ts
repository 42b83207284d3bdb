import { STATUS_CODES } from 'node:http'
import createError from '@fastify/error'
import type { FastifyError, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { loggedError } from '../lib/logged-error.ts'

const InternalError = createError<[{ cause: unknown }]>('PP_INTERNAL_ERROR', 'Something went wrong on our side.', 500)

/** The errors that our routes cause: ours, and Fastify's for requests that do not fit. */
const OWN_ERROR_CODES =
  /^(?:PP_\w+|FST_ERR_VALIDATION|FST_ERR_CTP_(?:BODY_TOO_LARGE|(?:EMPTY|INVALID)_JSON_BODY|INVALID_MEDIA_TYPE|EMPTY_TYPE|INVALID_CONTENT_LENGTH))$/

declare module 'fastify' {
  interface FastifyInstance {
    /** Shows an error to people. Where it is absent, as on AWS Lambda, they get JSON, too. */
    popularPostsErrorPage?: (problem: Problem) => ErrorPage
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
 * The error handler of the service: every error leaves in Fastify's own shape, or as a page where a browser opens it; uncached, and
 * without what is not the client's business. A 503 says when to try again.
 */
export function handleError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { statusCode = 500, code, message } = error
  // Errors of ours and of Fastify's are written for clients; others may hold anything.
  if (statusCode >= 500 && !/^(?:PP|FST)_/.test(code)) {
    const { code, message } = internalError(error, request)
    return send(request, reply, { statusCode: 500, code, message })
  }
  if ('retryAfterMs' in error) reply.header('retry-after', Math.max(1, Math.ceil(Number(error.retryAfterMs) / 1000)))
  return send(request, reply, { statusCode, code, message })
}

/**
 * The error handler of our routes in a host's app. Errors of the host's own hooks, such as the 401 of its access control,
 * go to the host's error handler as they are.
 */
export async function handleOwnError(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  // Thrown in a promise, because Fastify sends what is thrown without one and is no `Error` as a body.
  if (!isOwnError(error)) throw error
  return handleError(error, request, reply)
}

function isOwnError(error: unknown): boolean {
  return OWN_ERROR_CODES.test(String((error as { code?: unknown } | null | undefined)?.code))
}

/**
 * A handler of ours whose unexpected errors are told from those of the host's hooks: they are logged here, and leave without
 * their text, whatever the host's error handler does.
 */
export function withOwnErrors(handler: RouteHandlerMethod): RouteHandlerMethod {
  return function (request, reply) {
    const refuse = (error: unknown): never => {
      throw isOwnError(error) ? error : internalError(error, request)
    }
    try {
      const result = handler.call(this, request, reply)
      // Not what is thenable: a reply is, too. A list that is here needs no promise.
      return result instanceof Promise ? result.catch(refuse) : result
    } catch (error) {
      return refuse(error)
    }
  }
}

function internalError(error: unknown, request: FastifyRequest): FastifyError {
  request.log.error({ err: loggedError(error) }, 'a request failed')
  return new InternalError({ cause: error })
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
  const errorPage = request.server.popularPostsErrorPage
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
