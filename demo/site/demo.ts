import { randomUUID } from 'node:crypto'
import rateLimit from '@fastify/rate-limit'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { MAX_SLUG_LENGTH } from '../../lib/slug-forms.ts'

const READERS = 25
const USER_AGENT = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

/**
 * Routes that exist only for a demo: `POST /demo/invalidate` invalidates the cache, `POST /demo/readers/:slug` records
 * views of simulated readers of a post.
 */
const demo: FastifyPluginAsyncTypebox<{ isDemo: () => Promise<boolean> }> = async (app, { isDemo }) => {
  await app.register(rateLimit, { max: 60, timeWindow: 60_000 })
  app.addHook('preHandler', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    // A real post may have been added since the last request.
    if (!(await isDemo())) return reply.callNotFound()
    return undefined
  })

  app.post('/demo/invalidate', async (_request, reply) => {
    await app.popularPosts.invalidate('hard')
    return reply.code(204).send()
  })

  app.post(
    '/demo/readers/:slug',
    { schema: { params: Type.Object({ slug: Type.String({ minLength: 1, maxLength: MAX_SLUG_LENGTH }) }) } },
    async ({ params: { slug }, ip }, reply) => {
      const views = Array.from({ length: READERS }, () =>
        app.postViews.record({
          slug,
          request: { method: 'POST', ip, headers: { 'user-agent': USER_AGENT } },
          userId: randomUUID(),
        }),
      )
      const outcomes = await Promise.all(views)
      return reply.send({ readers: outcomes.filter((outcome) => outcome === 'counted').length })
    },
  )
}

export default demo
