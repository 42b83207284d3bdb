import createError from '@fastify/error'
import rateLimit from '@fastify/rate-limit'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { networkOf } from '../lib/address.ts'
import { MAX_SLUG_LENGTH } from '../lib/slug-forms.ts'
import type { ViewRateLimit } from '../settings/route-options.ts'
import { createOriginCheck } from '../views/allowed-origin.ts'
import { detachedCopy } from '../views/client-text.ts'
import type { Views } from '../views/post-views.ts'
import { operation } from './operation.ts'
import { emptyResponse, errorResponse, gifResponse, retryAfterHeader } from './responses.ts'

const NoSuchPost = createError<[string]>('PP_NO_SUCH_POST', 'Expected the slug of a published post, got "%s".', 404)
const OriginRefused = createError(
  'PP_ORIGIN_REFUSED',
  'Expected a view from a page of an allowed origin, got one from another page, or without Origin and Referer.',
  403,
)
const TooManyViews = createError<[number]>(
  'PP_TOO_MANY_VIEWS',
  'Expected at most %d views a minute from one address.',
  429,
)

/** A transparent picture of one pixel. */
const PIXEL = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64')

/** The errors of both routes. */
const errors = {
  400: errorResponse(400, 'The slug is too long.', {
    code: 'FST_ERR_VALIDATION',
    message: `params/slug must NOT have more than ${MAX_SLUG_LENGTH} characters`,
  }),
  403: errorResponse(403, 'There are allowed origins, and the page has none of them.', {
    code: 'PP_ORIGIN_REFUSED',
    message:
      'Expected a view from a page of an allowed origin, got one from another page, or without Origin and Referer.',
  }),
  404: errorResponse(404, 'The post does not exist, or is not published.', {
    code: 'PP_NO_SUCH_POST',
    message: 'Expected the slug of a published post, got "no-such-post".',
  }),
  429: errorResponse(429, 'Too many views came from one address.', {
    code: 'PP_TOO_MANY_VIEWS',
    message: 'Expected at most 120 views a minute from one address.',
    headers: retryAfterHeader,
  }),
  503: errorResponse(503, 'The database did not tell whether the post exists.', {
    code: 'PP_LOOKUP_FAILED',
    message: 'Expected the database to tell whether the post exists, but it did not reply. Try again later.',
    headers: retryAfterHeader,
  }),
}

const spec = {
  operationId: 'recordView',
  summary: 'Record a view of a post',
  description:
    'The visitor is the client that sends the request. Readers, bots and repeats get the same reply, so that no client learns ' +
    'which views count. The body may have any type and up to 1024 bytes, and is ignored: `navigator.sendBeacon` may send one ' +
    'from any origin.',
  tags: ['posts'],
  response: {
    204: emptyResponse('The view is accepted.'),
    ...errors,
    413: errorResponse(413, 'The body is too large.', {
      code: 'FST_ERR_CTP_BODY_TOO_LARGE',
      message: 'Request body is too large',
    }),
  },
}

const gifSpec = {
  operationId: 'recordViewByImage',
  summary: 'Record a view of a post without a script',
  description:
    'For pages that run no script, feeds and AMP: an image of one transparent pixel that no cache stores. It records a view as ' +
    '`POST /posts/{slug}/views` does, by the same rules.',
  tags: ['posts'],
  response: { 200: gifResponse('The view is accepted.'), ...errors },
}

interface ViewRouteOptions {
  views: Views
  /** The most views per minute of one address; 0: no limit. */
  perMinute: number
  /** Options of the host for that limit. */
  rateLimit: ViewRateLimit | undefined
  /** The origins of pages that may send views; empty: any. */
  origins: readonly string[]
}

/**
 * `POST /posts/:slug/views`, also with a slash at its end, and `GET /posts/:slug/views.gif`: record a view by the client that
 * sends the request. The reply comes at once, and is the same for readers, bots and repeats, so that no client learns which
 * views count. A body of any type is ignored: `navigator.sendBeacon` may send one, from any origin without a preflight.
 */
const viewsRoute: FastifyPluginAsyncTypebox<ViewRouteOptions> = async (app, options) => {
  const { views, perMinute, origins } = options
  const isAllowed = createOriginCheck(origins)
  app.addHook('onRequest', async ({ headers, ip }) => {
    if (!isAllowed(headers)) throw new OriginRefused()
    const retryAfterMs = views.refusedForMs(ip)
    if (retryAfterMs > 0) throw Object.assign(new TooManyViews(perMinute), { retryAfterMs })
  })
  if (perMinute > 0) {
    await app.register(rateLimit, {
      max: perMinute,
      cache: 10_000,
      // Copied from the header: each key is kept for a minute.
      keyGenerator: ({ ip }) => detachedCopy(networkOf(ip)),
      errorResponseBuilder: (_request, { max, ttl }) => Object.assign(new TooManyViews(max), { retryAfterMs: ttl }),
      addHeadersOnExceeding: { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false },
      ...options.rateLimit,
      timeWindow: 60_000,
    })
  }
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: 1024 }, (_request, _body, done) => done(null))
  const request = {
    params: Type.Object({
      slug: Type.String({
        minLength: 1,
        maxLength: MAX_SLUG_LENGTH,
        description: 'The slug of a post, or an earlier one.',
      }),
    }),
  }

  async function record(request: FastifyRequest, slug: string): Promise<void> {
    if ((await views.findPost(slug)) === undefined) throw new NoSuchPost(slug)
    views.recordSent({ slug, request })
  }

  app.get('/posts/:slug/views.gif', operation(app, gifSpec, request), async (request, reply) => {
    await record(request, request.params.slug)
    // The pages of other sites show it, also where the host's app has the headers of @fastify/helmet.
    reply.headers({ 'cache-control': 'no-store', 'cross-origin-resource-policy': 'cross-origin' })
    return reply.type('image/gif').send(PIXEL)
  })
  const { schema, ...rest } = operation(app, spec, request)
  const url = '/posts/:slug/views'
  const urls = ignoresTrailingSlash(app) ? [url] : [url, `${url}/`]
  for (const at of urls) {
    app.post(
      at,
      {
        ...rest,
        schema: { ...schema, hide: at !== url },
        // Fastify refuses a type that is empty or malformed, whatever the parsers accept.
        async onRequest(request) {
          if (request.headers['content-type'] !== undefined) request.headers = { 'content-type': 'text/plain' }
        },
      },
      async (request, reply) => {
        await record(request, request.params.slug)
        return reply.code(204).header('cache-control', 'no-store').send()
      },
    )
  }
}

/** Whether a path with a slash at its end is the same to the router, which refuses to register both. */
function ignoresTrailingSlash({ initialConfig }: FastifyInstance): boolean {
  return initialConfig.routerOptions?.ignoreTrailingSlash === true || initialConfig.ignoreTrailingSlash === true
}

export default viewsRoute
