import type { FastifyPluginAsync } from 'fastify'
import { createTokenCheck } from './admin-token.ts'
import invalidate, { type InvalidateRouteOptions } from './invalidate.ts'
import maintain, { type MaintainRouteOptions } from './maintain.ts'

interface AdminRoutesOptions extends InvalidateRouteOptions {
  token: string
  /** Runs the background tasks once. `undefined`: the process runs them itself, so there is no route for them. */
  maintain: MaintainRouteOptions['maintain'] | undefined
}

/** The routes that require the admin token. They share one limit of wrong tokens, and their replies are not stored. */
const adminRoutes: FastifyPluginAsync<AdminRoutesOptions> = async (app, { token, lists, maintain: run }) => {
  const { check, close } = createTokenCheck(token, app.log)
  app.addHook('onRequest', async (request) => check(request))
  app.addHook('onClose', async () => close())
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })
  // Independent of the parsers of the host's app.
  app.removeAllContentTypeParsers()
  await app.register(invalidate, { lists })
  if (run !== undefined) await app.register(maintain, { maintain: run })
}

export default adminRoutes
