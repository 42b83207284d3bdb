import { STATUS_CODES } from 'node:http'
import { errorSchema } from './shapes.ts'

/** A header of a reply, as OpenAPI describes it. */
export interface Header {
  type: 'string' | 'integer'
  description: string
}

// The example is part of the text, because headers of OpenAPI 3.0 have no `examples` in their schema.
const withExample = (description: string, example: string | number) => `${description} Example: \`${example}\`.`
const text = (description: string, example: string): Header => ({
  type: 'string',
  description: withExample(description, example),
})
const number = (description: string, example: number): Header => ({
  type: 'integer',
  description: withExample(description, example),
})

const uncached = { 'cache-control': text('The reply must not be stored.', 'no-store') }

const caching = {
  etag: text('The strong entity tag of the body, for `If-None-Match`.', '"mXv3bHfHqOQhZ1lW0cGJ2uW9-2I"'),
  age: number('Seconds since the list was loaded.', 12),
  'cache-control': text(
    'For browsers and CDNs. `max-age` counts from the load of the list.',
    'public, max-age=72, stale-while-revalidate=300, stale-if-error=86400',
  ),
  'x-accel-expires': number('For how many seconds nginx, which ignores `Age`, may keep the list.', 60),
  vary: text(
    'The list is compressed if the client accepts that. Each encoding has its own entity tag.',
    'accept-encoding',
  ),
  'cache-status': text('The source of the list (RFC 9211).', 'popular-posts; hit; ttl=1712'),
  'server-timing': text(
    'The source of the list for the developer tools of a browser, with the duration of a load or a wait in milliseconds.',
    'cache;desc=miss, load;dur=312',
  ),
}

/**
 * A reply in JSON. Its schema is inlined: the document of a host may have definitions with the same names, and resolves
 * references in its own way.
 */
function json(schema: object, description: string, headers: Record<string, Header>, ...examples: unknown[]) {
  return { ...schema, 'x-response-description': description, headers, examples }
}

/** The replies of a route that sends a list; `items` is the schema of an item. */
export function listResponses(items: object, example: object) {
  return {
    200: json({ type: 'array', items }, 'The list.', caching, [example]),
    304: {
      type: 'null',
      description: 'The list has not changed: `If-None-Match` has its entity tag.',
      headers: caching,
    },
  }
}

/** A reply without a body. */
export function emptyResponse(description: string) {
  return { type: 'null', description, headers: uncached }
}

/** A reply in JSON that is not a list, and must not be stored. */
export function jsonResponse(description: string, schema: object, example: object) {
  return json(schema, description, uncached, example)
}

/** A reply that is an image, and must not be stored. */
export function gifResponse(description: string) {
  return {
    description,
    headers: uncached,
    content: { 'image/gif': { schema: { type: 'string', format: 'binary' } } },
  }
}

/** A reply in plain text. */
export function textResponse(description: string, example: string) {
  return { description, headers: uncached, content: { 'text/plain': { schema: { type: 'string' }, example } } }
}

interface Failure {
  code: string
  message: string
  headers?: Record<string, Header>
}

/** An error, in the shape of Fastify; with several codes, an example of each. */
export function errorResponse(statusCode: number, description: string, failure: Failure, ...others: Failure[]) {
  const examples = [failure, ...others].map(({ code, message }) => ({
    statusCode,
    code,
    error: STATUS_CODES[statusCode],
    message,
  }))
  return json(errorSchema, description, { ...uncached, ...failure.headers }, ...examples)
}

/** The header that says when to retry. */
export const retryAfterHeader = { 'retry-after': number('Seconds until the client should retry.', 1) }

/** The reply to an invalid query. */
export const badQueryResponse = errorResponse(400, 'A parameter is invalid.', {
  code: 'PP_BAD_QUERY',
  message: 'Expected days to be an integer from 0 to 365 (0 is all time), got "week".',
})

/** The reply when there is no list. */
export const noListResponse = errorResponse(
  503,
  'There is no list, also no older one: its load failed, takes too long, was overtaken by changes, or too many loads run.',
  {
    code: 'PP_LOAD_FAILED',
    message: 'Expected the list to load, but loading it failed.',
    headers: retryAfterHeader,
  },
  {
    code: 'PP_WAIT_TIMEOUT',
    message: 'Expected the list to load in time, but its load takes longer. Try again.',
  },
  {
    code: 'PP_TOO_MANY_LOADS',
    message: 'Expected the list to load, but too many other lists are being loaded. Try again.',
  },
  {
    code: 'PP_UNSETTLED',
    message: 'Expected the list to load, but it was invalidated during each of three loads. Try again.',
  },
)
