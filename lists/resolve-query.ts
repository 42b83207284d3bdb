import { entryKey } from '../cache/key.ts'
import type { Rank } from '../cache/load-slots.ts'
import type { Ranking } from '../db/ranking.ts'
import { slugForms } from '../lib/slug-forms.ts'
import type { Settings } from '../settings/options.ts'
import { canonicalLanguage, type KnownSlugs } from './filter-slugs.ts'
import {
  BUILT_IN_FILTERS,
  badQuery,
  combinedFilters,
  FILTERS,
  MAX_EXCLUDED,
  MAX_SLUGS,
  notWithLoad,
  notWithTrending,
  type Parameter,
  type PopularPostsQuery,
  PUBLISHED_WITHIN,
} from './query.ts'
import type { ListCut } from './stored-list.ts'

/** An entry of the cache: its key, and the query that loads it. */
export interface CacheEntryRef {
  key: string
  list: Ranking
  rank: Rank
}

/** A query with all defaults: an entry of the cache, and which part of it the reader gets. */
export interface ResolvedQuery {
  /** The entry; `undefined`: it depends on the slugs that are known (see `knownEntry`). */
  entry: CacheEntryRef | undefined
  /** The list. Its slugs and its language may be unknown. */
  list: Ranking
  cut: Required<ListCut>
}

const NO_SLUGS: readonly string[] = []

/**
 * The version of the entries of lists in Redis: what `encodeList` writes, and the posts, categories and filters in it. Raise it
 * with each change that an older or newer process cannot read: during a deploy both run.
 */
const FORMAT = 2

/** Returns the key of a list: lists of other versions have other keys. */
export function listKey({ redisPrefix, version }: Settings, ...parts: (string | number)[]): string {
  return entryKey(redisPrefix, version === '' ? `v${FORMAT}` : `v${FORMAT}-${version}`, ...parts)
}

/** Creates the functions that resolve queries to entries of the cache. Equal questions get the same key. */
export function createQueryResolver(settings: Settings) {
  const { defaultLimit, maxLimit, combineFilters, load } = settings
  /** Entries by order and window. They are reused: a map finds a key in half the time if it is the same string object. */
  const unfiltered = { views: new Map<number, CacheEntryRef>(), trending: new Map<number, CacheEntryRef>() }

  function unfilteredEntry(sort: Ranking['sort'], days: number): CacheEntryRef {
    const cached = unfiltered[sort].get(days)
    if (cached !== undefined) return cached
    const entry = toEntry({ sort, days, limit: maxLimit })
    unfiltered[sort].set(days, entry)
    return entry
  }

  /** Each slug has the name of its filter in front, so that two lists never have the same key. */
  function toEntry(list: Ranking): CacheEntryRef {
    const { sort, days, language, publishedWithin } = list
    const filters: (string | number)[] = []
    for (const name of FILTERS) for (const slug of list[name] ?? []) filters.push(name, slug)
    if (language !== undefined) filters.push('language', language)
    if (publishedWithin !== undefined) filters.push('publishedWithin', publishedWithin)
    const order = sort === 'views' ? [] : ['sort', sort]
    const rank = rankOf({ days, isFiltered: filters.length > 0 }, settings)
    return { key: listKey(settings, list.limit, days, ...order, ...filters), list, rank }
  }

  /** The slugs of a filter, sorted, each once. */
  function slugsOf(name: Parameter, value: unknown): readonly string[] {
    const slugs: unknown[] = Array.isArray(value) ? [...new Set(value)] : [value]
    if (slugs.length === 0 || slugs.length > (load === undefined ? MAX_SLUGS : 1)) throw badQuery(name, value, settings)
    for (const slug of slugs) if (typeof slug !== 'string') throw badQuery(name, value, settings)
    return (slugs as string[]).sort()
  }

  function filteredList(list: Ranking, query: PopularPostsQuery): Ranking {
    if (load !== undefined) for (const name of BUILT_IN_FILTERS) if (query[name] !== undefined) throw notWithLoad(name)
    const named: string[] = []
    for (const name of FILTERS) {
      if (query[name] === undefined) continue
      const slugs = slugsOf(name, query[name])
      list[name] = slugs
      for (const _slug of slugs) named.push(name)
    }
    if (named.length > 1 && !combineFilters) throw combinedFilters(named)
    const { language, publishedWithin } = query
    if (language !== undefined) {
      if (typeof language !== 'string') throw badQuery('language', language, settings)
      list.language = canonicalLanguage(language)
    }
    if (publishedWithin !== undefined) {
      if (!PUBLISHED_WITHIN.includes(publishedWithin)) throw badQuery('publishedWithin', publishedWithin, settings)
      list.publishedWithin = publishedWithin
    }
    return list
  }

  function cutOf(query: PopularPostsQuery, sort: Ranking['sort']): Required<ListCut> {
    const { limit = defaultLimit, offset = 0, minViews = 0, exclude = NO_SLUGS } = query
    if (!Number.isInteger(limit) || limit < 1) throw badQuery('limit', limit, settings)
    if (!Number.isInteger(offset) || offset < 0 || offset > maxLimit) throw badQuery('offset', offset, settings)
    if (!Number.isInteger(minViews) || minViews < 0) throw badQuery('minViews', minViews, settings)
    if (minViews > 0 && sort === 'trending') throw notWithTrending()
    const areSlugs = Array.isArray(exclude) && exclude.every((slug) => typeof slug === 'string')
    if (!areSlugs || exclude.length > MAX_EXCLUDED) throw badQuery('exclude', exclude, settings)
    return { limit: Math.min(limit, maxLimit - offset), offset, minViews, exclude }
  }

  return {
    /**
     * Resolves a query.
     * @throws `PP_BAD_QUERY` (400), with the parameters, what was expected and what came.
     */
    resolve(query: PopularPostsQuery): ResolvedQuery {
      const { sort = 'views', category, tag, author, excludeCategory, language, publishedWithin } = query
      if (sort !== 'views' && sort !== 'trending') throw badQuery('sort', sort, settings)
      const days = resolveDays(query, settings)
      const cut = cutOf(query, sort)
      const isBySlug =
        category !== undefined || tag !== undefined || author !== undefined || excludeCategory !== undefined
      const dependsOnSlugs = isBySlug || language !== undefined
      if (!dependsOnSlugs && publishedWithin === undefined) {
        const entry = unfilteredEntry(sort, days)
        return { entry, list: entry.list, cut }
      }
      const list = filteredList({ sort, days, limit: maxLimit }, query)
      return { entry: dependsOnSlugs ? undefined : toEntry(list), list, cut }
    },
    /**
     * Returns the entry of a list without its unknown slugs, so that no client can create keys; `undefined`: the list is empty,
     * because one of its filters has no other slugs.
     */
    knownEntry(list: Ranking, known: KnownSlugs): CacheEntryRef | undefined {
      if (list.language !== undefined && !known.language.has(list.language)) return undefined
      const narrowed = { ...list }
      for (const name of FILTERS) {
        const slugs = list[name] && knownForms(list[name], known[name])
        if (slugs?.length === 0 && name !== 'excludeCategory') return undefined
        narrowed[name] = slugs?.length === 0 ? undefined : slugs
      }
      return toEntry(narrowed)
    },
    /**
     * Returns the entry of the same list with so many more posts that excluded ones cannot shorten it. It is an entry of its
     * own, because few requests exclude so many posts, and the other requests would load a longer list for nothing.
     */
    longerEntry({ list }: CacheEntryRef): CacheEntryRef {
      return toEntry({ ...list, limit: maxLimit + MAX_EXCLUDED })
    },
  }
}

/** The slugs as the database has them (see `slugForms`), sorted, each once; without those that it does not have. */
function knownForms(slugs: readonly string[], known: ReadonlySet<string>): readonly string[] {
  const forms = slugs.flatMap((slug) => slugForms(slug).find((form) => known.has(form)) ?? [])
  return [...new Set(forms)].sort()
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
  const { defaultDays, maxDays, days: allowed } = settings
  if (days === undefined) return defaultDays
  const isInRange = Number.isInteger(days) && days >= 0 && days <= maxDays
  if (!isInRange || allowed?.includes(days) === false) throw badQuery('days', days, settings)
  return days
}
