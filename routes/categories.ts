import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { checkedQuery, type ListRouteOptions, querySchema } from './query-schema.ts'
import { badQueryResponse, listResponses, noListResponse } from './responses.ts'
import { createListSender } from './send-list.ts'
import { categoryItem, customItem } from './shapes.ts'

/** `GET /categories`: the categories of live posts, with the number of these posts and their views in the window. */
const categories: FastifyPluginAsyncTypebox<ListRouteOptions> = async (app, { settings, lists }) => {
  const { days } = querySchema(settings)
  const { schema: items, example } = settings.loadCategories ? customItem : categoryItem
  const spec = {
    operationId: 'listCategories',
    summary: 'List the categories of live posts',
    description:
      'Each category has the number of its live posts and their views in the window. The most viewed category comes first. A ' +
      'category without a live post is not in the list.',
    tags: ['posts'],
    response: { ...listResponses(items, example), 400: badQueryResponse, 503: noListResponse },
  }
  const sendList = createListSender(settings)
  app.get('/categories', checkedQuery(app, spec, { days }, settings), async (request, reply) => {
    const answer = await lists.popularPosts.readCategories(request.query)
    return answer === undefined ? reply.callNotFound() : sendList(request, reply, answer)
  })
}

export default categories
