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
    summary: 'List the most popular posts',
    description:
      'The most popular post comes first: by views in the window, then by views of all time, publication and id. `trending` ' +
      'ranks by views that fade with a half-life of one day. Posts without a view come last. A category includes the categories ' +
      'below it. A category, tag, author or language without a live post gives an empty list, as an unknown one does; an unknown ' +
      '`excludeCategory` leaves out nothing. ' +
      (settings.combineFilters
        ? ''
        : 'Only one slug of `category`, `tag`, `author` and `excludeCategory` is allowed; more give 400. ') +
      'Unknown parameters are ignored.',
    tags: ['posts'],
    response: { ...listResponses(items, example), 400: badQueryResponse, 503: noListResponse },
  }
  const sendList = createListSender(settings)
  app.get('/posts/popular', checkedQuery(app, spec, querySchema(settings), settings), (request, reply) => {
    // A list in the memory of this process is sent without a promise.
    const cached = lists.peek(request.query)
    if (cached !== undefined) return sendList(request, reply, cached)
    return lists.popularPosts.read(request.query).then((answer) => sendList(request, reply, answer))
  })
}

export default popularPosts
