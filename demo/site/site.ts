import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { isDemoBlog } from '../data/fact.ts'
import { serveAssets } from './assets.ts'
import demo from './demo.ts'
import { errorPage } from './error-page.ts'
import { createHistory } from './history.ts'
import pages from './pages.ts'
import { createPulse } from './pulse.ts'
import { createReader, type ReaderOptions } from './reader.ts'
import { siteStats, trafficOf } from './stats.ts'
import type { Days } from './windows.ts'

export type SiteOptions = Omit<ReaderOptions, 'keptMs'>

/** For how long pages keep what the database said. A demo shows what has just happened. */
const KEPT_MS = { demo: 2_000, blog: 30_000 }
const SECOND_MS = 1_000

/**
 * What the service shows to people: the blog at `/` and `/posts/:slug`, the `<popular-posts>` element at
 * `/popular-posts.js`, the numbers of the panel at `/demo/stats`, and the errors that browsers show. On the demo, reading moves
 * the lists at once.
 */
const site: FastifyPluginAsync<SiteOptions> = async (app, options) => {
  const { db, timeZone, isAdopted } = options
  const isDemo = !isAdopted && (await isDemoBlog(db))
  const keptMs = isDemo ? KEPT_MS.demo : KEPT_MS.blog
  const reader = createReader({ ...options, keptMs })
  const history = createHistory(() => trafficOf(app))
  const shown = new Set<Days>([1])
  const beat = createPulse(app, {
    lists: () => [...shown].map((days) => ({ days })),
    // Until real posts have taken the demo's place.
    isWanted: async () => isDemo && (await reader.blog()).isDemo,
  })
  const timer = setInterval(() => {
    history.sample()
    void beat()
  }, SECOND_MS).unref()
  app.addHook('onClose', async () => clearInterval(timer))

  const stats = async () => {
    const isUp = await app.popularPosts.isDatabaseUp?.()
    return siteStats(app, { lastMinute: history.read(), isDatabaseUp: isUp !== false })
  }
  const assets = await serveAssets(app)
  app.decorate('popularPostsErrorPage', (problem) => errorPage(problem, { assets, blog: reader.lastBlog() }))
  await app.register(pages, { assets, reader, timeZone, stats, shown })
  // Where the database cannot say, it is none.
  if (isDemo) await app.register(demo, { isDemo: () => isDemoBlog(db).catch(() => false) })
  app.get('/demo/stats', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    return stats()
  })
}

export default fp(site, { name: 'popular-posts-site', fastify: '5.x' })
