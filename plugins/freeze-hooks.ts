import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'

/**
 * For a process that is frozen between requests: what it knew before is not trusted when a request comes, and nothing is
 * left to run when the answer goes.
 */
const betweenRequests: FastifyPluginAsync = async (app) => {
  app.addHook('onRequest', () => app.popularPosts.thaw())
  app.addHook('onSend', async () => {
    if (app.hasDecorator('postViews')) await app.postViews.settle()
    await app.popularPosts.settle()
  })
}

export default fp(betweenRequests, {
  name: 'popular-posts-between-requests',
  dependencies: ['popular-posts-cache'],
  fastify: '5.x',
})
