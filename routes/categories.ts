import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { checkedQuery, querySchema } from './query-schema.ts'
import { createListSender } from './send-list.ts'

/** `GET /categories`: every category with its live posts and the views they had in the window. */
const categories: FastifyPluginAsyncTypebox = async (app) => {
  const { settings } = app.popularPosts
  const { days } = querySchema(settings)
  const sendList = createListSender(settings)
  app.get('/categories', checkedQuery({ days }, settings), async (request, reply) => {
    const answer = await app.popularPosts.readCategories(request.query)
    return answer === undefined ? reply.callNotFound() : sendList(request, reply, answer)
  })
}

export default categories
