import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Lists } from '../lists/popular-posts.ts'
import { tokenResponses } from './admin-token.ts'
import { operation } from './operation.ts'
import { errorResponse, jsonResponse, retryAfterHeader } from './responses.ts'

const mode = Type.Optional(Type.Enum(['hard', 'soft'], { description: '`hard` (default) or `soft`.' }))

const spec = {
  operationId: 'invalidate',
  summary: 'Make every list outdated',
  description:
    'Requires the admin token as a bearer token. `hard`: after this reply, no list is sent that was loaded before. `soft`: an ' +
    'outdated list is sent once more while a refresh runs. The mode is in the query or in the body; the body takes precedence. ' +
    '`reach` says which processes that holds for.',
  tags: ['operations'],
  response: {
    200: jsonResponse(
      'Every list is outdated.',
      Type.Object({
        invalidated: Type.Enum(['hard', 'soft']),
        reach: Type.Enum(['all', 'announced', 'process'], {
          description:
            '`all`: it holds for all processes that share the Redis. `announced`: it holds for the process that replies; each other ' +
            'process follows when the database notifies it, at once or within a minute. `process`: it holds for the process that ' +
            'replies, and no other hears of it.',
        }),
      }),
      { invalidated: 'hard', reach: 'all' },
    ),
    400: errorResponse(400, 'The mode is neither `hard` nor `soft`, or the body is not JSON.', {
      code: 'FST_ERR_VALIDATION',
      message: 'querystring/mode must be equal to one of the allowed values',
    }),
    ...tokenResponses,
    503: errorResponse(503, 'Redis, or without Redis the database, did not confirm the invalidation.', {
      code: 'PP_UNCONFIRMED',
      message: 'Expected Redis to confirm the invalidation, but Redis did not reply. Try again.',
      headers: retryAfterHeader,
    }),
  },
}

export interface InvalidateRouteOptions {
  lists: Pick<Lists, 'popularPosts'>
}

/**
 * `POST /posts/popular/invalidate`: makes every list outdated; requires the admin token. The mode is in the query or in a JSON
 * body. The reply says for which processes the invalidation holds.
 */
const invalidate: FastifyPluginAsyncTypebox<InvalidateRouteOptions> = async (app, { lists }) => {
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'string', bodyLimit: 1024 }, parseJson)
  app.post(
    '/posts/popular/invalidate',
    operation(app, spec, {
      querystring: Type.Object({ mode }),
      body: Type.Optional(Type.Union([Type.Null(), Type.Object({ mode })])),
    }),
    async ({ query, body }) => {
      const chosen = body?.mode ?? query.mode ?? 'hard'
      const reach = await lists.popularPosts.invalidate(chosen)
      return { invalidated: chosen, reach }
    },
  )
}

export default invalidate
