import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'

interface FreezeHooksOptions {
  /** Called before each request: see `Lists.resume`. */
  resume: () => Promise<void>
  /** Called before each reply is sent. The process may be suspended after this. */
  idle: () => Promise<void>
}

/** Hooks for a process that is suspended between requests (AWS Lambda): no background task runs after a reply. */
const freezeHooks: FastifyPluginAsync<FreezeHooksOptions> = async (app, { resume, idle }) => {
  app.addHook('onRequest', resume)
  app.addHook('onSend', async () => idle())
}

export default fp(freezeHooks, { name: 'popular-posts-freeze-hooks', fastify: '5.x' })
