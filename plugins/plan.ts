import { entryKey } from '../cache/key.ts'
import { badQuery, type PopularPostsQuery } from '../query.ts'
import type { ListQuery, Settings } from './options.ts'

export const FILTERS = ['category', 'tag', 'author'] as const

/** A query made complete: what to load and keep, under which key, and what to cut from it. */
export interface Plan {
  key: string
  list: ListQuery
  limit: number
  exclude: readonly string[]
}

const NOTHING: readonly string[] = []

/** Makes a function that completes queries. */
export function createPlanner(settings: Settings) {
  const { defaultLimit, maxLimit, prefix } = settings
  /** By order and window: as strings that are the same each time, keys are found in half the time. */
  const keys = { views: new Map<number, string>(), trending: new Map<number, string>() }

  function keyOf({ sort, days, ...filters }: ListQuery): string {
    const parts: string[] = sort === 'views' ? [] : ['sort', sort]
    for (const name of FILTERS) {
      const slug = filters[name]
      if (slug !== undefined) parts.push(name, slug)
    }
    return entryKey(prefix, maxLimit, days, ...parts)
  }

  /**
   * Completes a query.
   * @throws `PP_BAD_QUERY`, 400, naming the parameter, what is allowed and what came.
   */
  return function planOf(query: PopularPostsQuery): Plan {
    const { limit = defaultLimit, sort = 'views', exclude = NOTHING } = query
    if (!Number.isInteger(limit) || limit < 1) throw badQuery('limit', limit, settings)
    if (sort !== 'views' && sort !== 'trending') throw badQuery('sort', sort, settings)
    const days = daysOf(query, settings)
    const list: ListQuery = { sort, days, limit: maxLimit }
    const cut = { limit: Math.min(limit, maxLimit), exclude }
    let isFiltered = false
    for (const name of FILTERS) {
      const slug = query[name]
      if (slug === undefined) continue
      if (typeof slug !== 'string') throw badQuery(name, slug, settings)
      list[name] = slug
      isFiltered = true
    }
    if (isFiltered) return { key: keyOf(list), list, ...cut }
    let key = keys[sort].get(days)
    if (key === undefined) {
      key = keyOf(list)
      keys[sort].set(days, key)
    }
    return { key, list, ...cut }
  }
}

/** The window of a query, checked as queries of lists are. */
export function daysOf({ days }: { days?: number | undefined }, settings: Settings): number {
  const { defaultDays, maxDays } = settings
  if (days === undefined) return defaultDays
  if (!Number.isInteger(days) || days < 0 || days > maxDays) throw badQuery('days', days, settings)
  return days
}
