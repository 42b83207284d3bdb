import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type { Kysely } from 'kysely'
import type { CacheCounts } from '../cache/events.ts'
import { entryKey } from '../cache/key.ts'
import type { Answer, CachePolicy, ReadAnswer } from '../cache/options.ts'
import { createReadThroughCache } from '../cache/read-through-cache.ts'
import type { InvalidateMode, InvalidateOptions, StoredValue } from '../cache/store.ts'
import type { Filters } from '../db/filters.ts'
import type { Tables } from '../db/popular-posts.ts'
import { systemClock } from '../lib/clock.ts'
import type { ListQuery, Settings } from '../settings/options.ts'
import type { Post } from '../settings/post-type.ts'
import { nonce } from '../lib/nonce.ts'
import type { PopularPostsBackend } from './backend-type.ts'
import type { ListBody } from './list-body.ts'
import { createSource, type Source } from './loaders.ts'
import type { FILTERS, PopularPostsQuery } from './query.ts'
import { createPlanner, daysOf, type Entry, rankOf } from './resolve-query.ts'
import { DecodedList, encodeList } from './stored-list.ts'

declare module 'fastify' {
  interface FastifyInstance {
    popularPosts: PopularPosts
  }
}

/** A list as the cache answers it: its bytes, and how it came about. */
export interface ListAnswer {
  list: ListBody
  /** As of the cache's `Answer`; `bypass`: the filter names nothing, so there was nothing to look up. */
  outcome: Answer['outcome'] | 'bypass'
  /** Since the list was loaded. */
  ageSeconds: number
  /** Until the list is stale; negative when it is. */
  ttlSeconds: number
  /** How long that took: next to nothing, or a load, or the wait for one. */
  durationMs: number
  /** Redis is out of reach: this process answers for itself. */
  isAlone: boolean
}

/** Counts since the start (see `CacheCounts`), and what is held now. */
export interface PopularPostsStats extends CacheCounts {
  entries: number
  bytes: number
  /** Redis is out of reach: this process keeps to itself. */
  isStoreDown: boolean
}

/** How a read went. */
type Read = Pick<ReadAnswer, 'outcome' | 'durationMs'>
const HIT: Read = { outcome: 'hit', durationMs: 0 }

/** `app.popularPosts`; of posts of another type, where an app has several kinds: see `PopularPostsTypes`. */
export type PopularPosts<P = Post> = ReturnType<typeof createPopularPosts<P>>

/** How many lists a process loads at once: more of them would not end sooner, and take the database from all else. */
export const MAX_LOADS = 4

/** The cache of popular posts lists and of the list of categories, over a source of them. */
export function createPopularPosts<P = Post>(settings: Settings, source: Source, backend: PopularPostsBackend) {
  const cache = createReadThroughCache({
    ...{ store: backend.store, near: backend.near, observe: backend.observe },
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

  /** A host's own query gets a copy: it may do with it what it likes. */
  const loadPosts = (list: ListQuery) => async () => encodeList(await source.posts({ ...list }))

  /** The list of categories in the cache; `undefined` where the host's own source has none. */
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

  /**
   * A list as bytes, for a route, where it can be had at once: this process has it, fresh. It counts as read.
   * @throws `PP_BAD_QUERY` (400) when a parameter is not what it must be.
   */
  function peek(query: PopularPostsQuery = {}): ListAnswer | undefined {
    const { entry, limit, exclude } = planOf(query)
    if (entry.isFiltered) return undefined
    const answer = cache.peek(entry.key)
    return answer && cut(answer, HIT, limit, exclude)
  }

  /**
   * A list as bytes, for a route.
   * @throws `PP_BAD_QUERY` (400) when a parameter is not what it must be; `PP_LOAD_FAILED`, `PP_TOO_MANY_LOADS` and
   * `PP_UNSETTLED` (503, with `retryAfterMs`) when there is nothing to serve.
   */
  async function read(query: PopularPostsQuery = {}): Promise<ListAnswer> {
    const { entry, limit, exclude } = planOf(query)
    if (!(await areFiltersKnown(entry))) return nothing()
    const answer = await cache.read(entry.key, loadPosts(entry.list), entry.rank)
    return cut(answer, answer, limit, exclude)
  }

  /** A list as posts. A new array each time: the caller's own. Throws as `read`. */
  async function get(query: PopularPostsQuery = {}): Promise<P[]> {
    const { list } = await read(query)
    return JSON.parse(list.body.toString()) as P[]
  }

  /** The list of categories as bytes; `undefined` where the host's own source has none. Throws as `read`. */
  async function readCategories(query: { days?: number | undefined } = {}): Promise<ListAnswer | undefined> {
    const entry = categoriesEntry(query)
    if (entry === undefined) return undefined
    const answer = await cache.read(entry.key, entry.load, entry.rank)
    return cut(answer, answer)
  }

  /**
   * Loads a list anew, unless somebody is at it already, and answers it. Throws as `read`.
   * @param options.withinSeconds only if it is stale, or will be so soon; default: in any case.
   */
  async function refresh(query: PopularPostsQuery = {}, options: Soon = {}): Promise<P[]> {
    const { entry, limit, exclude } = planOf(query)
    if (!(await areFiltersKnown(entry))) return []
    const answer = await cache.refresh(entry.key, loadPosts(entry.list), { ...inMs(options), rank: entry.rank })
    return JSON.parse(bodyOf(answer, limit, exclude).body.toString()) as P[]
  }

  /** As `refresh`, the list of categories. */
  async function refreshCategories(query: { days?: number | undefined } = {}, options: Soon = {}): Promise<void> {
    const entry = categoriesEntry(query)
    if (entry) await cache.refresh(entry.key, entry.load, { ...inMs(options), rank: entry.rank })
  }

  /** Callers cannot mint keys: a filter that names nothing is answered before anything is looked up under it. */
  async function areFiltersKnown({ list, isFiltered }: Entry): Promise<boolean> {
    if (!isFiltered) return true
    const { value } = await cache.read(filtersKey, async () => encodeList([await source.filters()]))
    let known = decodedFilters.get(value)
    if (known === undefined) {
      const { categories, tags, authors } = JSON.parse(Buffer.from(value).toString()) as Filters
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

  return {
    settings,
    peek,
    read,
    get,
    readCategories,
    refresh,
    refreshCategories,
    /**
     * Makes every list outdated. `hard`: nothing loaded before this is answered any more. `soft`: it is answered once
     * more, while a refresh runs. With Redis a hard one resolves when it is final: a second after Redis' confirmation, when the
     * last copy in any process has run out.
     * @param options.wait false: resolve at Redis' confirmation, when only copies under a second old can still be out.
     * @param options.cause what happened, by a name that other processes use too: invalidates once a minute, whoever names it.
     * @throws `PP_UNCONFIRMED` (503) when Redis did not confirm it.
     */
    invalidate: (mode: InvalidateMode = 'hard', options: InvalidateOptions = {}): Promise<void> =>
      cache.invalidate(mode, options),
    /** Where the lists are, and whether that can be reached. */
    backend: backend.state,
    /**
     * Whether the database answers, in a second at the latest; it is asked once a second at most. `undefined` where the lists
     * come from the host's own `load`.
     */
    isDatabaseUp: source.isUp,
    stats: (): PopularPostsStats => ({ ...backend.counts(), ...backend.size(), isStoreDown: backend.state().isDown }),
    /** The process was frozen: no copy is trusted, and connections that broke meanwhile are replaced. Never rejects. */
    async thaw(): Promise<void> {
      cache.hear('invalidated')
      await backend.thaw()
    },
    /** Waits for what runs in the background. */
    async settle(): Promise<void> {
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

interface Soon {
  withinSeconds?: number
}

function inMs({ withinSeconds = Infinity }: Soon): { withinMs: number } {
  return { withinMs: withinSeconds * 1000 }
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

interface CacheOptions {
  settings: Settings
  db: Kysely<Tables> | undefined
  /** What lists are loaded from: the same, or connections of their own. */
  listDb: Kysely<Tables> | undefined
}

const popularPosts: FastifyPluginAsync<CacheOptions> = async (app, { settings, db, listDb }) => {
  const backend = app.popularPostsBackend
  // Nobody waits for a Redis that is known to be away.
  const countViews = async () => {
    if (db !== undefined && !backend.state().isDown) await app.postViews.flushBriefly()
  }
  const service = createPopularPosts(settings, createSource(settings, db, countViews, listDb), backend)
  app.decorate('popularPosts', service)
  app.addHook('onClose', () => service.settle())
}

export default fp(popularPosts, {
  name: 'popular-posts-cache',
  dependencies: ['popular-posts-backend'],
  fastify: '5.x',
})
