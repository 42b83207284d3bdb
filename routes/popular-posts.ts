import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { checkedQuery, querySchema } from './query-schema.ts'
import { createListSender } from './send-list.ts'

/** `GET /posts/popular`: the most popular posts, most popular first. */
const popularPosts: FastifyPluginAsyncTypebox = async (app) => {
  const { settings } = app.popularPosts
  const sendList = createListSender(settings)
  app.get('/posts/popular', checkedQuery(querySchema(settings), settings), (request, reply) => {
    // What is here needs no promise.
    const here = app.popularPosts.peek(request.query)
    if (here !== undefined) return sendList(request, reply, here)
    return app.popularPosts.read(request.query).then((answer) => sendList(request, reply, answer))
  })
}

export default popularPosts
