import createError from '@fastify/error'
import rateLimit from '@fastify/rate-limit'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { detachedCopy } from '../views/client-text.ts'
import type { Views } from '../views/post-views.ts'
import { networkOf } from '../views/visitor.ts'
import { operation } from './operation.ts'
import { emptyResponse, errorResponse, retryAfterHeader } from './responses.ts'

const NoSuchPost = createError<[string]>('PP_NO_SUCH_POST', 'Expected the slug of a published post, got "%s".', 404)
const TooManyViews = createError<[number]>(
  'PP_TOO_MANY_VIEWS',
  'Expected at most %d views a minute from one address.',
  429,
)

const spec = {
  operationId: 'recordView',
  summary: 'Record a view of a post',
  description:
    'By whoever sends it. The answer is the same to readers, bots and repeats: nobody learns what counted. The body, of any type ' +
    'and up to 1024 bytes, is not looked at: made for `navigator.sendBeacon`, from any origin.',
  tags: ['posts'],
  response: {
    204: emptyResponse('Taken.'),
    400: errorResponse(400, 'The slug is too long.', {
      code: 'FST_ERR_VALIDATION',
      message: 'params/slug must NOT have more than 200 characters',
    }),
    404: errorResponse(404, 'There is no such post, or it is not published.', {
      code: 'PP_NO_SUCH_POST',
      message: 'Expected the slug of a published post, got "no-such-post".',
    }),
    413: errorResponse(413, 'The body is too large.', {
      code: 'FST_ERR_CTP_BODY_TOO_LARGE',
      message: 'Request body is too large',
    }),
    429: errorResponse(429, 'Too many views from one address.', {
      code: 'PP_TOO_MANY_VIEWS',
      message: 'Expected at most 120 views a minute from one address.',
      headers: retryAfterHeader,
    }),
    503: errorResponse(503, 'It is not known right now whether there is such a post.', {
      code: 'PP_LOOKUP_FAILED',
      message: 'It is not known right now whether there is such a post: try again later.',
      headers: retryAfterHeader,
    }),
  },
}

interface ViewRouteOptions {
  views: Views
  /** How many views an address may send in a minute, to each process; 0: any number. */
  perMinute: number
}

/**
 * `POST /posts/:slug/views`: records one view, by whoever sends it. Answers at once, and the same to readers, bots and
 * repeats: nobody learns what counted. The body, of any type, is not looked at: `navigator.sendBeacon` may send one, from any
 * origin without a preflight.
 */
const viewsRoute: FastifyPluginAsyncTypebox<ViewRouteOptions> = async (app, { views, perMinute }) => {
  if (perMinute > 0) {
    await app.register(rateLimit, {
      max: perMinute,
      timeWindow: 60_000,
      cache: 10_000,
      // As long as an address can be, and no part of a header of many kilobytes: each is remembered for a minute.
      keyGenerator: ({ ip }) => detachedCopy(networkOf(ip).slice(0, 64)),
      errorResponseBuilder: (_request, { ttl }) => Object.assign(new TooManyViews(perMinute), { retryAfterMs: ttl }),
      addHeadersOnExceeding: { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false },
    })
  }
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: 1024 }, (_request, _body, done) => done(null))
  app.post(
    '/posts/:slug/views',
    operation(app, spec, {
      params: Type.Object({ slug: Type.String({ minLength: 1, maxLength: 200, description: 'The slug of a post.' }) }),
    }),
    async (request, reply) => {
      const { slug } = request.params
      if ((await views.findPost(slug)) === undefined) throw new NoSuchPost(slug)
      void views.postViews.record({ slug, request })
      return reply.code(204).header('cache-control', 'no-store').send()
    },
  )
}

export default viewsRoute
