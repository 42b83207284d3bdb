import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { checkedQuery, type ListRouteOptions, querySchema } from './query-schema.ts'
import { badQueryResponse, listResponses, noListResponse } from './responses.ts'
import { createListSender } from './send-list.ts'
import { customItem, postItem } from './shapes.ts'

/** `GET /posts/popular`: the most popular posts, most popular first. */
const popularPosts: FastifyPluginAsyncTypebox<ListRouteOptions> = async (app, { settings, lists }) => {
  const { schema: items, example } = settings.load ? customItem : postItem
  const spec = {
    operationId: 'listPopularPosts',
    summary: 'The most popular posts',
    description:
      'Most popular first: by views in the window, then all views, publication and id; `trending` by views that fade with a ' +
      'half-life of one day. Posts without a view come last. A category, tag or author without a live post gives an ' +
      'empty list, as an unknown one does. ' +
      (settings.combineFilters ? '' : 'One of them at a time: more give 400. ') +
      'Unknown parameters are ignored.',
    tags: ['posts'],
    response: { ...listResponses(items, example), 400: badQueryResponse, 503: noListResponse },
  }
  const sendList = createListSender(settings)
  app.get('/posts/popular', checkedQuery(app, spec, querySchema(settings), settings), (request, reply) => {
    // What is here needs no promise.
    const cached = lists.peek(request.query)
    if (cached !== undefined) return sendList(request, reply, cached)
    return lists.popularPosts.read(request.query).then((answer) => sendList(request, reply, answer))
  })
}

export default popularPosts
