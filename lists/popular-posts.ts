import type { CacheCounts } from '../cache/events.ts'
import { entryKey } from '../cache/key.ts'
import type { Answer, CachePolicy, ReadAnswer } from '../cache/options.ts'
import { createReadThroughCache } from '../cache/read-through-cache.ts'
import type { InvalidateMode, InvalidateOptions, StoredValue } from '../cache/store.ts'
import type { FilterSlugs } from '../db/filters.ts'
import { systemClock } from '../lib/clock.ts'
import { nonce } from '../lib/nonce.ts'
import type { ListQuery, Settings } from '../settings/options.ts'
import type { Post } from '../settings/post-type.ts'
import type { CacheEvents } from '../telemetry/cache-events.ts'
import type { Backend } from './backend.ts'
import type { ListBody } from './list-body.ts'
import type { Source } from './loaders.ts'
import type { FILTERS, PopularPostsQuery } from './query.ts'
import { createPlanner, daysOf, type Entry, rankOf } from './resolve-query.ts'
import { DecodedList, encodeList } from './stored-list.ts'

/** A list as bytes, with what an HTTP reply says about it. */
export interface ListAnswer {
  /** The list as a JSON array, ready to send. */
  list: ListBody
  /**
   * `hit`: a fresh list from the cache. `stale`: an expired list. `loaded`: this read loaded the list. `collapsed`: this read
   * waited for the load of another one. `bypass`: the filter names nothing, so the list is empty and was not looked up.
   */
  outcome: Answer['outcome'] | 'bypass'
  /** Seconds since the list was loaded. */
  ageSeconds: number
  /** Seconds until the list is stale; negative when it is stale. */
  ttlSeconds: number
  /** Duration of the read in milliseconds; 0 for a hit from the memory of this process, which is not timed. */
  durationMs: number
  /** Whether Redis is out of reach, so that this process works without the others. */
  isAlone: boolean
}

/** Counts since the start of the process, and what its memory holds now. */
export interface PopularPostsStats extends CacheCounts {
  /** Lists in the memory of this process. Copies of lists in Redis do not count. */
  entries: number
  /** Bytes of those lists. */
  bytes: number
  /** Whether Redis is out of reach, so that this process works without the others. */
  isStoreDown: boolean
}

/** How soon a list must be stale to be refreshed. */
export interface RefreshOptions {
  /** Loads the list only if it is stale, or will be in this many seconds. Default: the list is always loaded. */
  withinSeconds?: number
}

/**
 * `app.popularPosts`: the cache of popular posts.
 *
 * `P` is the type of a post: see `PopularPostsTypes`.
 */
export interface PopularPosts<P = Post> {
  /**
   * Returns the most popular posts, most popular first. The array is new for each call, so the caller may change it.
   *
   * ```ts
   * const posts = await app.popularPosts.get({ limit: 5, days: 7 })
   * ```
   * @param query all parameters are optional: see {@link PopularPostsQuery}.
   * @throws `PP_BAD_QUERY` (400) when a parameter is invalid; `PP_LOAD_FAILED`, `PP_TOO_MANY_LOADS` and `PP_UNSETTLED` (503, with
   * `retryAfterMs`) when no list can be served.
   */
  get(query?: PopularPostsQuery): Promise<P[]>
  /** Returns the same list as bytes, for a route of your own. Throws as `get`. */
  read(query?: PopularPostsQuery): Promise<ListAnswer>
  /**
   * Returns the list of categories as bytes; `undefined` with a `load` of your own and without `loadCategories`. Throws as `get`.
   * @param query.days the window in days; default `defaultDays`; 0 is all time.
   */
  readCategories(query?: { days?: number | undefined }): Promise<ListAnswer | undefined>
  /**
   * Loads a list and returns it, for a schedule of your own. Calls at the same time share one load. Throws as `get`; the list
   * that was stored before stays.
   */
  refresh(query?: PopularPostsQuery, options?: RefreshOptions): Promise<P[]>
  /** Loads the list of categories, as `refresh` does for posts. */
  refreshCategories(query?: { days?: number | undefined }, options?: RefreshOptions): Promise<void>
  /**
   * Makes every list outdated.
   *
   * `hard`: no list that was loaded before is served any more. With Redis, the promise resolves when that is final for all
   * processes: one second after Redis has confirmed it, when the last copy in the memory of a process has expired.
   * `soft`: an outdated list is served once more, while a refresh runs.
   *
   * ```ts
   * await app.popularPosts.invalidate() // after a change that no trigger sees
   * ```
   * @param mode default `hard`.
   * @param options.wait default true. `false` resolves as soon as Redis has confirmed it.
   * @param options.cause the name of the change, the same in all processes: one cause invalidates once a minute, whichever
   * process names it first.
   * @throws `PP_UNCONFIRMED` (503) when Redis did not confirm it: the lists may be outdated or not. Try again.
   */
  invalidate(mode?: InvalidateMode, options?: InvalidateOptions): Promise<void>
  /** Returns where lists are stored, and whether Redis is out of reach. */
  backend(): { kind: 'memory' | 'redis'; isDown: boolean }
  /**
   * Whether the database replies, within one second. Calls share one query a second. `undefined` when the lists come from a
   * `load` of your own and there is no database.
   */
  isDatabaseUp: (() => Promise<boolean>) | undefined
  /** Returns counts since the start of the process. */
  stats(): PopularPostsStats
}

/** The lists of an app: what the host may call, and what only this package may call. */
export interface Lists<P = Post> {
  popularPosts: PopularPosts<P>
  /**
   * Returns a list that this process holds, fresh and without a filter; counts as a hit. `undefined`: call `read`.
   * @throws `PP_BAD_QUERY` (400).
   */
  peek(query?: PopularPostsQuery): ListAnswer | undefined
  /** Call when a suspended process resumes: no copy is trusted, and broken connections are replaced. Never rejects. */
  resume(): Promise<void>
  /** Waits for background tasks. The process may be suspended after that. */
  idle(): Promise<void>
}

/** How a read went. */
type Read = Pick<ReadAnswer, 'outcome' | 'durationMs'>
const HIT: Read = { outcome: 'hit', durationMs: 0 }

/** How many lists a process loads at once: more of them would not end sooner, and take the database from all else. */
export const MAX_LOADS = 4

/** Makes the cache of popular posts lists and of the list of categories, over a source of them. */
export function createLists<P = Post>(
  settings: Settings,
  source: Source,
  backend: Backend,
  events: Pick<CacheEvents, 'emit' | 'counts'>,
): Lists<P> {
  const cache = createReadThroughCache({
    store: backend.store,
    near: backend.near,
    observe: events.emit,
    clock: systemClock,
    random: Math.random,
    nonce,
    policy: policyOf(settings),
    refreshesBehind: settings.runsBetweenRequests,
  })
  backend.listen(cache.hear)
  const planOf = createPlanner(settings)
  const filtersKey = entryKey(settings.prefix, 'filters')
  const decodedLists = new WeakMap<Uint8Array, DecodedList>()
  const decodedFilters = new WeakMap<Uint8Array, Record<(typeof FILTERS)[number], Set<string>>>()

  /** The query of the host gets a copy, which it may change. */
  const loadPosts = (list: ListQuery) => async () => encodeList(await source.posts({ ...list }))

  function categoriesEntry(query: { days?: number | undefined }) {
    const { categories } = source
    if (categories === undefined) return undefined
    const days = daysOf(query, settings)
    return {
      key: entryKey(settings.prefix, 'categories', days),
      load: async () => encodeList(await categories({ days })),
      rank: rankOf({ days, isFiltered: false }, settings),
    }
  }

  function peek(query: PopularPostsQuery = {}): ListAnswer | undefined {
    const { entry, limit, exclude } = planOf(query)
    if (entry.isFiltered) return undefined
    const answer = cache.peek(entry.key)
    return answer && cut(answer, HIT, limit, exclude)
  }

  async function read(query: PopularPostsQuery = {}): Promise<ListAnswer> {
    const { entry, limit, exclude } = planOf(query)
    if (!(await areFiltersKnown(entry))) return nothing()
    const answer = await cache.read(entry.key, loadPosts(entry.list), entry.rank)
    return cut(answer, answer, limit, exclude)
  }

  /** A filter that names nothing gets no key in the cache: otherwise a client could make any number of keys. */
  async function areFiltersKnown({ list, isFiltered }: Entry): Promise<boolean> {
    if (!isFiltered) return true
    const { value } = await cache.read(filtersKey, async () => encodeList([await source.filters()]))
    let known = decodedFilters.get(value)
    if (known === undefined) {
      const { categories, tags, authors } = JSON.parse(Buffer.from(value).toString()) as FilterSlugs
      known = { category: new Set(categories), tag: new Set(tags), author: new Set(authors) }
      decodedFilters.set(value, known)
    }
    const { category, tag, author } = known
    const isIn = (slugs: Set<string>, slug: string | undefined) => slug === undefined || slugs.has(slug)
    return isIn(category, list.category) && isIn(tag, list.tag) && isIn(author, list.author)
  }

  function bodyOf(answer: StoredValue, limit?: number, exclude?: readonly string[]): ListBody {
    let list = decodedLists.get(answer.value)
    if (list === undefined) {
      list = new DecodedList(answer.value)
      decodedLists.set(answer.value, list)
    }
    return list.body(limit, exclude)
  }

  function cut(found: StoredValue, read: Read, limit?: number, exclude?: readonly string[]): ListAnswer {
    return {
      list: bodyOf(found, limit, exclude),
      outcome: read.outcome,
      ageSeconds: Math.floor(found.ageMs / 1000),
      ttlSeconds: Math.floor(found.freshForMs / 1000),
      durationMs: read.durationMs,
      isAlone: backend.state().isDown,
    }
  }

  const postsOf = (body: ListBody) => JSON.parse(body.body.toString()) as P[]

  return {
    peek,
    popularPosts: {
      read,
      get: async (query) => postsOf((await read(query)).list),
      async readCategories(query = {}) {
        const entry = categoriesEntry(query)
        if (entry === undefined) return undefined
        const answer = await cache.read(entry.key, entry.load, entry.rank)
        return cut(answer, answer)
      },
      async refresh(query = {}, options) {
        const { entry, limit, exclude } = planOf(query)
        if (!(await areFiltersKnown(entry))) return []
        const { rank } = entry
        const answer = await cache.refresh(entry.key, loadPosts(entry.list), { rank, withinMs: toMs(options) })
        return postsOf(bodyOf(answer, limit, exclude))
      },
      async refreshCategories(query = {}, options) {
        const entry = categoriesEntry(query)
        if (entry) await cache.refresh(entry.key, entry.load, { rank: entry.rank, withinMs: toMs(options) })
      },
      invalidate: (mode = 'hard', options = {}) => cache.invalidate(mode, options),
      backend: backend.state,
      isDatabaseUp: source.isUp,
      stats: () => ({ ...events.counts(), ...backend.size(), isStoreDown: backend.state().isDown }),
    },
    async resume() {
      cache.hear('invalidated')
      await backend.thaw()
    },
    async idle() {
      await cache.settle()
      backend.rest()
    },
  }
}

function nothing(): ListAnswer {
  return {
    list: new DecodedList(new Uint8Array()).body(),
    outcome: 'bypass',
    ageSeconds: 0,
    ttlSeconds: 0,
    durationMs: 0,
    isAlone: false,
  }
}

function toMs({ withinSeconds = Infinity }: RefreshOptions = {}): number {
  return withinSeconds * 1000
}

function policyOf({ ttlSeconds, staleSeconds, failSafeSeconds, loadTimeoutSeconds }: Settings): CachePolicy {
  return {
    ttlMs: ttlSeconds * 1000,
    staleMs: staleSeconds * 1000,
    failSafeMs: failSafeSeconds * 1000,
    leaseMs: 3_000,
    loadTimeoutMs: loadTimeoutSeconds * 1000,
    unreadMs: 120_000,
    loads: { max: MAX_LOADS, maxWaiting: 100, patienceMs: 1_000 },
    coolDown: { firstMs: 500, maxMs: 5_000 },
    poll: { firstMs: 25, longestMs: 250 },
  }
}
