import createError from '@fastify/error'
import rateLimit from '@fastify/rate-limit'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { networkOf } from '../views/visitor.ts'

const NoSuchPost = createError<[string]>('PP_NO_SUCH_POST', 'Expected the slug of a published post, got "%s".', 404)
const TooManyViews = createError<[number]>(
  'PP_TOO_MANY_VIEWS',
  'Expected at most %d views a minute from one address.',
  429,
)

/**
 * `POST /posts/:slug/views`: records one view, by whoever sends it. Answers at once, and the same to readers, bots and
 * repeats: nobody learns what counted. The body, of any type, is not looked at: `navigator.sendBeacon` may send one, from any
 * origin without a preflight.
 */
const views: FastifyPluginAsyncTypebox<{ perMinute: number }> = async (app, { perMinute }) => {
  if (perMinute > 0) {
    await app.register(rateLimit, {
      ...{ max: perMinute, timeWindow: 60_000, cache: 10_000 },
      keyGenerator: ({ ip }) => networkOf(ip),
      errorResponseBuilder: (_request, { ttl }) => Object.assign(new TooManyViews(perMinute), { retryAfterMs: ttl }),
      addHeadersOnExceeding: { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false },
    })
  }
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: 1024 }, (_request, _body, done) => done(null))
  app.post(
    '/posts/:slug/views',
    { schema: { params: Type.Object({ slug: Type.String({ minLength: 1, maxLength: 200 }) }) } },
    async (request, reply) => {
      const { slug } = request.params
      if ((await app.postViews.find(slug)) === undefined) throw new NoSuchPost(slug)
      void app.postViews.record({ slug, request })
      return reply.code(204).header('cache-control', 'no-store').send()
    },
  )
}

export default views
