import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { checkedQuery, querySchema } from './query-schema.ts'
import { sendList } from './send-list.ts'

/** `GET /posts/popular`: the most popular posts, most popular first. */
const popularPosts: FastifyPluginAsyncTypebox = async (app) => {
  const { settings } = app.popularPosts
  app.get('/posts/popular', checkedQuery(querySchema(settings), settings), async (request, reply) =>
    sendList(request, reply, await app.popularPosts.read(request.query), settings),
  )
}

export default popularPosts
