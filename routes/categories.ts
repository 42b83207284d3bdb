import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { checkedQuery, querySchema } from './query-schema.ts'
import { sendList } from './send-list.ts'

/** `GET /categories`: every category with its live posts and the views they had in the window. */
const categories: FastifyPluginAsyncTypebox = async (app) => {
  const { settings } = app.popularPosts
  const { days } = querySchema(settings)
  app.get('/categories', checkedQuery({ days }, settings), async (request, reply) => {
    const answer = await app.popularPosts.readCategories(request.query)
    return answer === undefined ? reply.callNotFound() : sendList(request, reply, answer, settings)
  })
}

export default categories
