import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { listenForChanges } from '../db/signals.ts'
import { codeOf } from '../db/startup-error.ts'

/** Invalidates the lists of this process when the database announces a change. */
const signals: FastifyPluginAsync<{ databaseUrl: string }> = async (app, { databaseUrl }) => {
  const listener = listenForChanges({
    connectionString: databaseUrl,
    onChange(change) {
      app.popularPosts.invalidate(change, { wait: false }).catch((error: unknown) => {
        app.log.warn({ code: codeOf(error) }, 'popular posts: a change could not be applied to the cache')
      })
    },
    onLost: (error) => app.log.warn({ code: codeOf(error) }, 'popular posts: not listening for changes, trying again'),
  })
  app.addHook('onClose', () => listener.close())
}

export default fp(signals, { name: 'popular-posts-signals', dependencies: ['popular-posts-cache'], fastify: '5.x' })
