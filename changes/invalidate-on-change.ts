import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type { Kysely } from 'kysely'
import type { Tables } from '../db/popular-posts.ts'
import { backgroundClock, type Clock } from '../lib/clock.ts'
import { loggedError } from '../lib/logged-error.ts'
import { createChangeThrottle } from './throttle.ts'
import { watchChanges } from './watch.ts'

interface SignalsOptions {
  db: Kysely<Tables>
  /** Where to listen for notifications; without it, changes are found by asking now and then. */
  databaseUrl?: string | undefined
  /** Makes the password for each new connection. */
  password?: (() => string) | undefined
  /** Called at each hard change, before the lists are invalidated. Must not throw. */
  onHardChange?: () => void
  /** For tests that move time themselves. */
  clock?: Clock
}

/** Invalidates the lists when the database says that it has changed. */
const signals: FastifyPluginAsync<SignalsOptions> = async (
  app,
  { db, databaseUrl, password, onHardChange, clock = backgroundClock },
) => {
  const throttle = createChangeThrottle({
    clock,
    async apply(change, cause) {
      if (change === 'hard') onHardChange?.()
      await app.popularPosts.invalidate(change, { wait: false, cause })
    },
    onFailure: (error) =>
      app.log.warn({ err: loggedError(error) }, 'popular posts: the cache cannot be told of a change, trying again'),
  })
  const watch = watchChanges({ db, databaseUrl, password, clock, onChange: throttle.add, log: app.log })
  app.addHook('onClose', async () => {
    await watch.close()
    await throttle.close()
  })
  // Before anything is loaded: what changes after that is not missed.
  await watch.ready()
}

export default fp(signals, {
  name: 'popular-posts-signals',
  dependencies: ['popular-posts-cache'],
  fastify: '5.x',
})
