import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type { Kysely } from 'kysely'
import { LRUCache } from 'lru-cache'
import { backgroundClock, type Clock } from '../lib/clock.ts'
import { loggedError } from '../lib/logged-error.ts'
import type { Tables } from './popular-posts.ts'
import { findTroubles } from './problems.ts'

declare module 'fastify' {
  interface FastifyInstance {
    popularPostsTroubles: Troubles
  }
}

interface Troubles {
  /** Looks for troubles in the database, and logs each once. Never rejects. */
  look(): Promise<void>
  /** The same in the background, not too often: data have changed. */
  lookSoon(): void
}

interface TroublesOptions {
  db: Kysely<Tables>
  runsBetweenRequests: boolean
  /** For tests that move time themselves. */
  clock?: Clock
}

/** A look reads the table of posts once, as each list that is loaded after a change does. */
const PAUSE_MS = 10_000

const troubles: FastifyPluginAsync<TroublesOptions> = async (
  app,
  { db, runsBetweenRequests, clock = backgroundClock },
) => {
  const logged = new LRUCache<string, true>({ max: 1_000 })
  let freeAtMs = Number.NEGATIVE_INFINITY
  let cancel: (() => void) | undefined
  let running = Promise.resolve()

  function warnOnce(key: string, details: object, message: string): void {
    if (!logged.has(key)) app.log.warn(details, `popular posts: ${message}`)
    logged.set(key, true)
  }

  async function look(): Promise<void> {
    try {
      for (const { subject, message } of await findTroubles(db)) warnOnce(`${subject} ${message}`, { subject }, message)
    } catch (error) {
      warnOnce(
        '',
        { err: loggedError(error) },
        'the database cannot be checked for posts and tables that need attention',
      )
    }
  }

  function lookSoon(): void {
    cancel ??= clock.schedule(Math.max(0, freeAtMs - clock.now()), () => {
      cancel = undefined
      freeAtMs = clock.now() + PAUSE_MS
      running = look()
    })
  }

  app.decorate('popularPostsTroubles', { look, lookSoon })
  if (runsBetweenRequests) app.addHook('onReady', async () => lookSoon())
  app.addHook('onClose', async () => {
    cancel?.()
    await running
  })
}

export default fp(troubles, { name: 'popular-posts-troubles', fastify: '5.x' })
