import { STATUS_CODES } from 'node:http'
import { errorSchema } from './shapes.ts'

interface Header {
  type: 'string' | 'integer'
  description: string
}

// Not as `examples`, which OpenAPI 3.0 does not have.
const withExample = (description: string, example: string | number) => `${description} Example: \`${example}\`.`
const text = (description: string, example: string): Header => ({
  type: 'string',
  description: withExample(description, example),
})
const number = (description: string, example: number): Header => ({
  type: 'integer',
  description: withExample(description, example),
})

const uncached = { 'cache-control': text('Not to be stored.', 'no-store') }

const caching = {
  etag: text('A strong entity tag of the body, for If-None-Match.', '"mXv3bHfHqOQhZ1lW0cGJ2uW9-2I"'),
  age: number('Seconds since the list was loaded.', 12),
  'cache-control': text(
    'For browsers and CDNs. `max-age` counts from the loading of the list.',
    'public, max-age=72, stale-while-revalidate=300, stale-if-error=86400',
  ),
  vary: text('A list is compressed where that is accepted, under an entity tag of its own.', 'accept-encoding'),
  'cache-status': text('How the list came about (RFC 9211).', 'popular-posts; hit; ttl=1712'),
  'server-timing': text(
    'The same for the tools of a browser, with the milliseconds that a load or the wait for one took.',
    'cache;desc=miss, load;dur=312',
  ),
}

/**
 * An answer in JSON. Its schema stands here whole: a host's document may have definitions of the same name, and its own way to
 * refer to them.
 */
function json(schema: object, description: string, headers: Record<string, Header>, example: unknown) {
  return { ...schema, 'x-response-description': description, headers, examples: [example] }
}

/** Answers of a list whose items are of a schema. */
export function listResponses(items: object, example: object) {
  return {
    200: json({ type: 'array', items }, 'The list.', caching, [example]),
    304: { type: 'null', description: 'The list is the one that `If-None-Match` names.', headers: caching },
  }
}

/** An answer without a body. */
export function emptyResponse(description: string) {
  return { type: 'null', description, headers: uncached }
}

/** An answer that is not a list, and not stored. */
export function jsonResponse(description: string, schema: object, example: object) {
  return json(schema, description, uncached, example)
}

/** An answer that is text. */
export function textResponse(description: string, example: string) {
  return { description, headers: uncached, content: { 'text/plain': { schema: { type: 'string' }, example } } }
}

interface Failure {
  code: string
  message: string
  headers?: Record<string, Header>
}

/** An error, in Fastify's own shape. */
export function errorResponse(statusCode: number, description: string, { code, message, headers = {} }: Failure) {
  const example = { statusCode, code, error: STATUS_CODES[statusCode], message }
  return json(errorSchema, description, { ...uncached, ...headers }, example)
}

/** When to try again. */
export const retryAfterHeader = { 'retry-after': number('In so many seconds it is worth another try.', 1) }

export const badQueryResponse = errorResponse(400, 'A parameter is not what it must be.', {
  code: 'PP_BAD_QUERY',
  message: 'Expected days to be an integer from 0 to 365 (0 is all time), got "week".',
})

export const noListResponse = errorResponse(503, 'The list could not be loaded, and there is no older one.', {
  code: 'PP_LOAD_FAILED',
  message: 'Expected the list to load, but loading it failed.',
  headers: retryAfterHeader,
})
