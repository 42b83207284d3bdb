import { entryKey } from '../cache/key.ts'
import type { Rank } from '../cache/load-slots.ts'
import type { ListQuery, Settings } from '../settings/options.ts'
import { badQuery, combinedFilters, FILTERS, MAX_EXCLUDED, type PopularPostsQuery } from './query.ts'

/** An entry of the cache: its key, and the query that loads it. */
export interface CacheEntryRef {
  key: string
  list: ListQuery
  isFiltered: boolean
  rank: Rank
}

/** A query with all defaults: an entry of the cache, and which part of it the reader gets. */
export interface ResolvedQuery {
  entry: CacheEntryRef
  limit: number
  exclude: readonly string[]
}

const NO_SLUGS: readonly string[] = []

/**
 * The version of the entries of lists in Redis: what `encodeList` writes, and the posts, categories and filters in it. Raise it
 * with each change that an older or newer process cannot read: during a deploy both run.
 */
const FORMAT = 1

/** Returns the key of a list: lists of other versions have other keys. */
export function listKey({ prefix, version }: Settings, ...parts: (string | number)[]): string {
  return entryKey(prefix, version === '' ? `v${FORMAT}` : `v${FORMAT}-${version}`, ...parts)
}

/** Creates the functions that resolve queries to entries of the cache. */
export function createQueryResolver(settings: Settings) {
  const { defaultLimit, maxLimit, combineFilters } = settings
  /** Entries by order and window. They are reused: a map finds a key in half the time if it is the same string object. */
  const unfiltered = { views: new Map<number, CacheEntryRef>(), trending: new Map<number, CacheEntryRef>() }

  function unfilteredEntry(sort: ListQuery['sort'], days: number): CacheEntryRef {
    const cached = unfiltered[sort].get(days)
    if (cached !== undefined) return cached
    const entry = toEntry({ sort, days, limit: maxLimit }, { isFiltered: false })
    unfiltered[sort].set(days, entry)
    return entry
  }

  function toEntry(list: ListQuery, { isFiltered }: { isFiltered: boolean }): CacheEntryRef {
    const parts: string[] = list.sort === 'views' ? [] : ['sort', list.sort]
    for (const name of FILTERS) {
      const slug = list[name]
      if (slug !== undefined) parts.push(name, slug)
    }
    const rank = rankOf({ days: list.days, isFiltered }, settings)
    return { key: listKey(settings, list.limit, list.days, ...parts), list, isFiltered, rank }
  }

  function filteredEntry(sort: ListQuery['sort'], days: number, query: PopularPostsQuery): CacheEntryRef {
    const list: ListQuery = { sort, days, limit: maxLimit }
    const named = FILTERS.filter((name) => query[name] !== undefined)
    for (const name of named) {
      const slug = query[name]
      if (typeof slug !== 'string') throw badQuery(name, slug, settings)
      list[name] = slug
    }
    if (named.length > 1 && !combineFilters) throw combinedFilters(named)
    return toEntry(list, { isFiltered: true })
  }

  /**
   * The same list with so many more posts that excluded ones cannot shorten it. It has an entry of its own, because few
   * pages exclude so many posts, and other pages would pay for a longer list.
   */
  function longerEntry({ list, isFiltered }: CacheEntryRef): CacheEntryRef {
    return toEntry({ ...list, limit: maxLimit + MAX_EXCLUDED }, { isFiltered })
  }

  /**
   * Resolves a query.
   * @throws `PP_BAD_QUERY` (400), with the parameters, what was expected and what came.
   */
  function resolve(query: PopularPostsQuery): ResolvedQuery {
    const { limit = defaultLimit, sort = 'views', exclude = NO_SLUGS, category, tag, author } = query
    if (!Number.isInteger(limit) || limit < 1) throw badQuery('limit', limit, settings)
    if (sort !== 'views' && sort !== 'trending') throw badQuery('sort', sort, settings)
    if (!Array.isArray(exclude) || exclude.length > MAX_EXCLUDED) throw badQuery('exclude', exclude, settings)
    const days = resolveDays(query, settings)
    const isUnfiltered = category === undefined && tag === undefined && author === undefined
    const entry = isUnfiltered ? unfilteredEntry(sort, days) : filteredEntry(sort, days, query)
    return { entry, limit: Math.min(limit, maxLimit), exclude }
  }

  return { resolve, longerEntry }
}

/**
 * The rank of a load. Pages show the default window (0). There are a few hundred other windows (1), and as many lists with a
 * filter as the blog has slugs (2).
 */
export function rankOf({ days, isFiltered }: { days: number; isFiltered: boolean }, { defaultDays }: Settings): Rank {
  if (isFiltered) return 2
  return days === defaultDays ? 0 : 1
}

/**
 * Returns the window of a query in days.
 * @throws `PP_BAD_QUERY` (400).
 */
export function resolveDays({ days }: { days?: number | undefined }, settings: Settings): number {
  const { defaultDays, maxDays } = settings
  if (days === undefined) return defaultDays
  if (!Number.isInteger(days) || days < 0 || days > maxDays) throw badQuery('days', days, settings)
  return days
}
