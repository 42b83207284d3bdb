import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { checkedQuery, type ListRouteOptions, querySchema } from './query-schema.ts'
import { badQueryResponse, listResponses, noListResponse } from './responses.ts'
import { createListSender } from './send-list.ts'
import { categoryItem, customItem } from './shapes.ts'

/** `GET /categories`: each category that a live post is in, with those posts and the views that they had in the window. */
const categories: FastifyPluginAsyncTypebox<ListRouteOptions> = async (app, { settings, lists }) => {
  const { days } = querySchema(settings)
  const { schema: items, example } = settings.loadCategories ? customItem : categoryItem
  const spec = {
    operationId: 'listCategories',
    summary: 'The categories of live posts, with their posts and views',
    description: 'Most viewed in the window first. A category without a live post is not in the list.',
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
