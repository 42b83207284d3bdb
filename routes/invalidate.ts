import bearerAuth from '@fastify/bearer-auth'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'

const mode = Type.Optional(Type.Enum(['hard', 'soft'], { description: 'hard (default) or soft' }))

/**
 * `POST /posts/popular/invalidate`: makes every list outdated, for whoever has the token. The mode is in the query or in a
 * JSON body. Answers when it is final.
 */
const invalidate: FastifyPluginAsyncTypebox<{ token: string }> = async (app, { token }) => {
  await app.register(bearerAuth, {
    keys: new Set([token]),
    errorResponse: () => ({
      statusCode: 401,
      code: 'PP_UNAUTHORIZED',
      error: 'Unauthorized',
      message: 'Expected the admin token as a bearer token.',
    }),
  })
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })
  app.post(
    '/posts/popular/invalidate',
    {
      schema: {
        querystring: Type.Object({ mode }),
        body: Type.Optional(Type.Union([Type.Null(), Type.Object({ mode })])),
      },
    },
    async ({ query, body }) => {
      const chosen = body?.mode ?? query.mode ?? 'hard'
      await app.popularPosts.invalidate(chosen)
      return { invalidated: chosen }
    },
  )
}

export default invalidate
