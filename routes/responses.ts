import { STATUS_CODES } from 'node:http'

interface Header {
  type: 'string' | 'integer'
  description: string
  examples: [string | number]
}

const text = (description: string, example: string): Header => ({ type: 'string', description, examples: [example] })
const number = (description: string, example: number): Header => ({ type: 'integer', description, examples: [example] })

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

const json = (schema: object, example: unknown) => ({ 'application/json': { schema, example } })

/** Answers of a list whose items are of a schema. */
export function listResponses(items: object, example: object) {
  return {
    200: {
      description: 'The list.',
      headers: caching,
      content: json({ type: 'array', items }, [example]),
    },
    304: { type: 'null', description: 'The list is the one that `If-None-Match` names.', headers: caching },
  }
}

/** An answer without a body. */
export function empty(description: string) {
  return { type: 'null', description, headers: uncached }
}

/** An answer that is not a list, and not stored. */
export function answer(description: string, schema: object, example: object) {
  return { description, headers: uncached, content: json(schema, example) }
}

/** An answer that is text. */
export function plainText(description: string, example: string) {
  return { description, headers: uncached, content: { 'text/plain': { schema: { type: 'string' }, example } } }
}

interface Failure {
  code: string
  message: string
  headers?: Record<string, Header>
}

/** An error, in Fastify's own shape: `PopularPostsError`. */
export function failure(statusCode: number, description: string, { code, message, headers = {} }: Failure) {
  return {
    description,
    headers: { ...uncached, ...headers },
    content: json({ $ref: 'PopularPostsError#' }, { statusCode, code, error: STATUS_CODES[statusCode], message }),
  }
}

/** When to try again. */
export const retryAfter = { 'retry-after': number('In so many seconds it is worth another try.', 1) }

export const badQuery = failure(400, 'A parameter is not what it must be.', {
  code: 'PP_BAD_QUERY',
  message: 'Expected days to be an integer from 0 to 365 (0 is all time), got "week".',
})

export const noList = failure(503, 'The list could not be loaded, and there is no older one.', {
  code: 'PP_LOAD_FAILED',
  message: 'Expected the list to load, but loading it failed.',
  headers: retryAfter,
})
