import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { checkedQuery, type ListRouteOptions, querySchema } from './query-schema.ts'
import { badQuery, listResponses, noList } from './responses.ts'
import { createListSender } from './send-list.ts'
import { own, post } from './shapes.ts'

/** `GET /posts/popular`: the most popular posts, most popular first. */
const popularPosts: FastifyPluginAsyncTypebox<ListRouteOptions> = async (app, { settings, lists }) => {
  const { schema: items, example } = settings.load ? own : post
  const described = {
    operationId: 'listPopularPosts',
    summary: 'The most popular posts',
    description:
      'Most popular first: by views in the window, then all views, publication and id; `trending` by views that fade with a ' +
      'half-life of one day. Posts without a view come last. A category, tag or author without a live post gives an ' +
      'empty list, as an unknown one does. ' +
      (settings.combineFilters ? '' : 'One of them at a time: more give 400. ') +
      'Unknown parameters are ignored.',
    tags: ['posts'],
    response: { ...listResponses(items, example), 400: badQuery, 503: noList },
  }
  const sendList = createListSender(settings)
  app.get('/posts/popular', checkedQuery(app, described, querySchema(settings), settings), (request, reply) => {
    // What is here needs no promise.
    const here = lists.peek(request.query)
    if (here !== undefined) return sendList(request, reply, here)
    return lists.popularPosts.read(request.query).then((answer) => sendList(request, reply, answer))
  })
}

export default popularPosts
