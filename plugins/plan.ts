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

/**
 * Completes a query.
 * @throws `PP_BAD_QUERY`, 400, naming the parameter, what is allowed and what came.
 */
export function planOf(query: PopularPostsQuery, settings: Settings): Plan {
  const { defaultLimit, maxLimit, prefix } = settings
  const { limit = defaultLimit, sort = 'views', exclude = [] } = query
  if (!Number.isInteger(limit) || limit < 1) throw badQuery('limit', limit, settings)
  if (sort !== 'views' && sort !== 'trending') throw badQuery('sort', sort, settings)
  const days = daysOf(query, settings)
  const list: ListQuery = { sort, days, limit: maxLimit }
  const parts: (string | number)[] = sort === 'views' ? [] : ['sort', sort]
  for (const name of FILTERS) {
    const slug = query[name]
    if (slug === undefined) continue
    if (typeof slug !== 'string') throw badQuery(name, slug, settings)
    list[name] = slug
    parts.push(name, slug)
  }
  return { key: entryKey(prefix, maxLimit, days, ...parts), list, limit: Math.min(limit, maxLimit), exclude }
}

/** The window of a query, checked as in {@link planOf}. */
export function daysOf({ days }: { days?: number | undefined }, settings: Settings): number {
  const { defaultDays, maxDays } = settings
  if (days === undefined) return defaultDays
  if (!Number.isInteger(days) || days < 0 || days > maxDays) throw badQuery('days', days, settings)
  return days
}
