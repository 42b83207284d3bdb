import { STATUS_CODES } from 'node:http'
import createError from '@fastify/error'
import type { FastifyError, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { loggedError } from '../lib/logged-error.ts'

const InternalError = createError<[{ cause: unknown }]>('PP_INTERNAL_ERROR', 'Something went wrong on our side.', 500)

/** The codes of errors of these routes: those of this package, and those of Fastify for invalid requests. */
const OWN_ERROR_CODES =
  /^(?:PP_\w+|FST_ERR_VALIDATION|FST_ERR_CTP_(?:BODY_TOO_LARGE|(?:EMPTY|INVALID)_JSON_BODY|INVALID_MEDIA_TYPE|EMPTY_TYPE|INVALID_CONTENT_LENGTH))$/

declare module 'fastify' {
  interface FastifyInstance {
    /** Renders an error as a page for browsers. Without it, as on AWS Lambda, browsers get JSON. */
    popularPostsErrorPage?: (error: ReplyError) => ErrorPage
  }
}

/** An error as clients get it. */
export interface ReplyError {
  statusCode: number
  code: string
  message: string
}

export interface ErrorPage {
  headers: Record<string, string>
  html: string
}

/**
 * The error handler of the service. It sends every error in the shape of Fastify, or as a page to browsers; with `no-store`, and
 * without internal details. Errors with `retryAfterMs` get a `retry-after` header.
 */
export function handleError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { statusCode = 500, code, message } = error
  // Errors of this package and of Fastify have messages for clients. Messages of other errors may contain secrets.
  if (statusCode >= 500 && !/^(?:PP|FST)_/.test(code)) {
    const { code, message } = internalError(error, request)
    return send(request, reply, { statusCode: 500, code, message })
  }
  if ('retryAfterMs' in error) reply.header('retry-after', Math.max(1, Math.ceil(Number(error.retryAfterMs) / 1000)))
  return send(request, reply, { statusCode, code, message })
}

/**
 * The error handler of these routes in a host's app. Errors of the host's hooks, such as the 401 of its access control, go to
 * the host's error handler unchanged.
 */
export async function handleOwnError(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  // The handler is async, because Fastify sends a non-`Error` as a body when a synchronous handler throws it.
  if (!isOwnError(error)) throw error
  return handleError(error, request, reply)
}

function isOwnError(error: unknown): boolean {
  return OWN_ERROR_CODES.test(String((error as { code?: unknown } | null | undefined)?.code))
}

/**
 * Wraps a handler of this package, so that its unexpected errors differ from those of the host's hooks. They are logged here,
 * and replaced by `PP_INTERNAL_ERROR` without their message, independent of the host's error handler.
 */
export function withOwnErrors(handler: RouteHandlerMethod): RouteHandlerMethod {
  return function (request, reply) {
    try {
      const result = handler.call(this, request, reply)
      // A reply is thenable too, so only a Promise is tested. A list in memory is sent without a promise.
      return result instanceof Promise ? result.catch((error) => refuse(error, request)) : result
    } catch (error) {
      return refuse(error, request)
    }
  }
}

function refuse(error: unknown, request: FastifyRequest): never {
  throw isOwnError(error) ? error : internalError(error, request)
}

function internalError(error: unknown, request: FastifyRequest): FastifyError {
  request.log.error({ err: loggedError(error) }, 'a request failed')
  return new InternalError({ cause: error })
}

/** Replies to requests for unknown paths. */
export function handleNotFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = request.url.replace(/\?.*/s, '')
  return send(request, reply, {
    statusCode: 404,
    code: 'PP_NOT_FOUND',
    message: `Expected a path of this service, got ${request.method} ${path.slice(0, 200)}.`,
  })
}

function send(request: FastifyRequest, reply: FastifyReply, error: ReplyError): FastifyReply {
  const { statusCode, code, message } = error
  const errorPage = request.server.popularPostsErrorPage
  reply.code(statusCode).header('cache-control', 'no-store')
  if (errorPage !== undefined) {
    const vary = reply.getHeader('vary')
    reply.header('vary', vary === undefined ? 'accept' : `${vary}, accept`)
    if (prefersPage(request.headers.accept)) {
      const { headers, html } = errorPage(error)
      return reply.headers(headers).send(html)
    }
  }
  return reply.send({ statusCode, code, error: STATUS_CODES[statusCode], message })
}

/** Whether a client prefers HTML: browsers that open an address name it; programs and scripts do not (RFC 9110, 12.5.1). */
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
