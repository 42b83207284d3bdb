import type { FastifyPluginAsync } from 'fastify'

/**
 * `GET /health/live`: the process is up. `GET /health/ready`: it can answer the list that every page shows, from the
 * database or without it; each part is named with its state.
 */
const health: FastifyPluginAsync = async (app) => {
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })

  app.get('/health/live', async () => ({ status: 'ok' }))

  app.get('/health/ready', async (_request, reply) => {
    const { isDatabaseUp } = app.popularPosts
    const [isUp, canServe] = await Promise.all([
      isDatabaseUp?.() ?? true,
      app.popularPosts.read().then(
        () => true,
        // The failed load has been logged where it happened.
        () => false,
      ),
    ])
    const { kind, isDown } = app.popularPosts.backend()
    const status = !canServe ? 'unavailable' : isUp && !isDown ? 'ok' : 'degraded'
    return reply.code(canServe ? 200 : 503).send({
      status,
      checks: { database: { status: isUp ? 'up' : 'down' }, cache: { status: isDown ? 'down' : 'up', kind } },
    })
  })
}

export default health
