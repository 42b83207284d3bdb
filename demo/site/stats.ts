import type { FastifyInstance } from 'fastify'
import type { Traffic } from './traffic-history.ts'

/** The figures of the sidebar. */
export interface SiteStats {
  /** Requests for lists since the start. */
  requests: number
  /** Queries of the database since the start. */
  queries: number
  /** The difference of both. */
  saved: number
  /** In percent, with one decimal; `undefined`: no request yet. */
  hitRate: number | undefined
  /** Loads since the start. After a load or an invalidation, the list of a page may differ. */
  loads: number
  invalidations: number
  lastMinute: Record<keyof Traffic, number[]>
  /** A message if the database or Redis does not answer. */
  trouble: string | undefined
}

type App = Pick<FastifyInstance, 'popularPosts'>

/** The counters of the cache since the start. */
export function trafficOf({ popularPosts }: App): Traffic {
  const { hits, staleHits, misses, loads, loadsFailed } = popularPosts.stats()
  return { requests: hits + staleHits + misses, queries: loads + loadsFailed }
}

/** The figures of the sidebar, from the counters of the cache. */
export function siteStats(
  app: App,
  { lastMinute, isDatabaseUp }: Pick<SiteStats, 'lastMinute'> & { isDatabaseUp: boolean },
): SiteStats {
  const { requests, queries } = trafficOf(app)
  const { hits, staleHits, loads, invalidations, isStoreDown } = app.popularPosts.stats()
  const troubles = [
    ...(isDatabaseUp ? [] : ['The database does not answer: the lists are older ones.']),
    ...(isStoreDown ? ['Redis does not answer: this process uses its own cache.'] : []),
  ]
  return {
    requests,
    queries,
    saved: Math.max(0, requests - queries),
    loads,
    invalidations,
    lastMinute,
    hitRate: requests === 0 ? undefined : Math.round((1000 * (hits + staleHits)) / requests) / 10,
    trouble: troubles.length === 0 ? undefined : troubles.join(' '),
  }
}
