import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { isDemoBlog } from '../data/demo-marker.ts'
import { serveAssets } from './assets.ts'
import demo from './demo.ts'
import { errorPage } from './error-page.ts'
import { createLiveRefresh } from './live-refresh.ts'
import { createPageData, type PageDataOptions } from './page-data.ts'
import pages from './pages.ts'
import { siteStats, trafficOf } from './stats.ts'
import { createTrafficHistory } from './traffic-history.ts'
import { type Days, windowsOf } from './windows.ts'

/** Options of the plugin. */
export interface SiteOptions extends Omit<PageDataOptions, 'ttlMs' | 'windows'> {
  /** The windows that readers may request; `undefined`: any. */
  days?: readonly number[] | undefined
}

/** How long pages cache results of queries. A demo shows changes at once. */
const TTL_MS = { demo: 2_000, blog: 30_000 }
const SECOND_MS = 1_000

/**
 * The website of the service: the blog at `/` and `/posts/:slug`, the `<popular-posts>` element at `/popular-posts.js`,
 * the figures of the sidebar at `/demo/stats`, and error pages for browsers. On the demo, new views change the lists at
 * once.
 */
const site: FastifyPluginAsync<SiteOptions> = async (app, options) => {
  const { db, timeZone, isAdopted, days } = options
  const windows = windowsOf(days)
  const isDemo = !isAdopted && (await isDemoBlog(db))
  const ttlMs = isDemo ? TTL_MS.demo : TTL_MS.blog
  const pageData = createPageData({ db, timeZone, windows, isAdopted, ttlMs })
  const history = createTrafficHistory(() => trafficOf(app))
  const shown = new Set<Days>(windows.slice(0, 1))
  const tick = createLiveRefresh(app, {
    lists: () => [...shown].map((days) => ({ days })),
    // Until a real post ends the demo.
    isWanted: async () => isDemo && (await pageData.blog()).isDemo,
  })
  const timer = setInterval(() => {
    history.sample()
    void tick()
  }, SECOND_MS).unref()
  app.addHook('onClose', async () => clearInterval(timer))

  const stats = async () => {
    const isUp = await app.popularPosts.isDatabaseUp?.()
    return siteStats(app, { lastMinute: history.read(), isDatabaseUp: isUp !== false })
  }
  const hasRoute = (url: string) => app.hasRoute({ method: 'GET', url })
  const frame = { assets: await serveAssets(app), hasDocs: hasRoute('/docs'), hasMetrics: hasRoute('/metrics') }
  app.decorate('popularPostsErrorPage', (problem) => errorPage(problem, { frame, blog: pageData.lastBlog() }))
  await app.register(pages, { frame, pageData, timeZone, windows, stats, shown })
  // While the database does not answer, the demo's routes do not exist.
  if (isDemo) await app.register(demo, { isDemo: () => isDemoBlog(db).catch(() => false) })
  app.get('/demo/stats', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    return stats()
  })
}

export default fp(site, { name: 'popular-posts-site', fastify: '5.x' })
