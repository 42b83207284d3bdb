import type { FastifyInstance } from 'fastify'
import type { Traffic } from './traffic-history.ts'

/** What the panel shows. */
export interface SiteStats {
  /** Lists asked for since the start, and what of that reached the database. */
  requests: number
  queries: number
  saved: number
  /** In percent, with one decimal; `undefined`: nothing was asked for yet. */
  hitRate: number | undefined
  /** Lists loaded, and invalidations: after either, a page's list is another one. */
  loads: number
  invalidations: number
  lastMinute: Record<keyof Traffic, number[]>
  /** What is out of reach, in a sentence. */
  trouble: string | undefined
}

type App = Pick<FastifyInstance, 'popularPosts'>

export function trafficOf({ popularPosts }: App): Traffic {
  const { hits, staleHits, misses, loads, loadsFailed } = popularPosts.stats()
  return { requests: hits + staleHits + misses, queries: loads + loadsFailed }
}

/** The state of the cache, in the panel's words. */
export function siteStats(
  app: App,
  { lastMinute, isDatabaseUp }: Pick<SiteStats, 'lastMinute'> & { isDatabaseUp: boolean },
): SiteStats {
  const { requests, queries } = trafficOf(app)
  const { hits, staleHits, loads, invalidations, isStoreDown } = app.popularPosts.stats()
  const troubles = [
    ...(isDatabaseUp ? [] : ['The database does not answer: the lists are those of before.']),
    ...(isStoreDown ? ['Redis does not answer: this process answers for itself.'] : []),
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
