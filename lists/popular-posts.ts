import type { ReadAnswer, ReadThroughCache } from '../cache/options.ts'
import { createReadThroughCache } from '../cache/read-through-cache.ts'
import type { InvalidateMode, InvalidateOptions, StoredValue } from '../cache/store.ts'
import type { Ranking } from '../db/ranking.ts'
import { createAllowance } from '../lib/allowance.ts'
import { createReleasableClock } from '../lib/clock.ts'
import { nonce } from '../lib/nonce.ts'
import type { Settings } from '../settings/options.ts'
import type { Post } from '../settings/post-type.ts'
import type { CacheEvents } from '../telemetry/cache-events.ts'
import type { Backend } from './backend.ts'
import { policyOf } from './cache-policy.ts'
import { encodeList } from './encode-list.ts'
import { decodeFilters, encodeFilters, type KnownSlugs } from './filter-slugs.ts'
import { type Announce, createInvalidation, type InvalidationReach } from './invalidation.ts'
import type { JsonCache } from './json-cache.ts'
import { emptyAnswer, type ListAnswer } from './list-answer.ts'
import type { ListBody } from './list-body.ts'
import type { Loaders } from './loaders.ts'
import type { PopularPostsQuery } from './query.ts'
import {
  type CacheEntryRef,
  createQueryResolver,
  listKey,
  type ResolvedQuery,
  rankOf,
  resolveDays,
} from './resolve-query.ts'
import type { PopularPostsStats } from './stats.ts'
import { createCuts, DecodedList, type ListCut, MAX_COMPRESSED } from './stored-list.ts'

/** Options of a refresh. */
export interface RefreshOptions {
  /** Loads the list only if it is stale, or becomes stale within this time, in seconds. Default: it is always loaded. */
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
   * @throws `PP_BAD_QUERY` (400) when a parameter is invalid; `PP_LOAD_FAILED`, `PP_TOO_MANY_LOADS`, `PP_UNSETTLED` and
   * `PP_WAIT_TIMEOUT` (503, with `retryAfterMs`) when no list can be served.
   */
  get(query?: PopularPostsQuery): Promise<P[]>
  /**
   * Returns the same list as bytes with an entity tag, for a route of your own. Throws as `get`.
   *
   * ```ts
   * const { list, ageSeconds } = await app.popularPosts.read({ days: 7 })
   * reply.headers({ etag: list.etag, age: ageSeconds }).type('application/json').send(list.body)
   * ```
   */
  read(query?: PopularPostsQuery): Promise<ListAnswer>
  /**
   * Returns the list of categories as bytes; `undefined` with a `load` of your own and without `loadCategories`. Throws as
   * `get`.
   * @param query.days the window in days; default `defaultDays`; 0 is all time.
   */
  readCategories(query?: { days?: number | undefined }): Promise<ListAnswer | undefined>
  /**
   * Loads a list and returns it, for a schedule of your own. Concurrent calls share one load. Throws as `get`; after an
   * error the stored list stays as it was.
   *
   * ```ts
   * await app.popularPosts.refresh({}, { withinSeconds: 120 }) // loads it only if it is stale in two minutes
   * ```
   */
  refresh(query?: PopularPostsQuery, options?: RefreshOptions): Promise<P[]>
  /**
   * Loads the list of categories, as `refresh` does for posts. It does nothing without such a list (see `readCategories`).
   * Throws as `get`.
   */
  refreshCategories(query?: { days?: number | undefined }, options?: RefreshOptions): Promise<void>
  /**
   * Makes every list outdated.
   *
   * `hard`: no list that was loaded before is served any more. With Redis, the promise resolves when this holds for all
   * processes: one second after the reply of Redis, when the last copy in the memory of a process has expired.
   * `soft`: an outdated list is served once more, while a refresh runs.
   * Without Redis it holds for this process, and is announced to the others through the database: the result says so.
   *
   * ```ts
   * await app.popularPosts.invalidate() // after a change that no trigger sees
   * ```
   * @param mode default `hard`.
   * @param options.wait default true. `false`: the promise resolves at the reply of Redis.
   * @param options.idempotencyKey names the change, by a text that is the same in all processes: of the calls with one key
   * within a minute, only the first invalidates.
   * @returns for which processes it holds: see {@link InvalidationReach}.
   * @throws `PP_UNCONFIRMED` (503) when Redis, or without Redis the database, did not reply: it may hold or not. Try again.
   */
  invalidate(mode?: InvalidateMode, options?: InvalidateOptions): Promise<InvalidationReach>
  /** The cache for values of your own, such as a tag cloud; invalidations of lists do not concern it: see {@link JsonCache}. */
  cache: JsonCache
  /** Returns the state of the store. */
  backend(): {
    /** Where lists are stored: in Redis, or in the memory of this process. */
    kind: 'memory' | 'redis'
    /** Whether Redis does not reply. */
    isDown: boolean
  }
  /**
   * Resolves to whether the database replies within one second. Calls share one query per second. `undefined` with a `load`
   * of your own and without a database.
   */
  isDatabaseUp: (() => Promise<boolean>) | undefined
  /** Returns counts since the start of the process. */
  stats(): PopularPostsStats
}

/** The lists of an app: the public `popularPosts`, and methods for other parts of this package. */
export interface Lists<P = Post> {
  popularPosts: PopularPosts<P>
  /**
   * Returns a list without a filter if this process has a fresh copy; counts as a hit. `undefined`: call `read`.
   * @throws `PP_BAD_QUERY` (400).
   */
  peek(query?: PopularPostsQuery): ListAnswer | undefined
  /** Makes every list outdated after a change in the database, at the pace of the fleet. */
  invalidateForChange: ReadThroughCache['invalidateForChange']
  /** Call when a suspended process resumes: no copy is trusted, and broken connections are replaced. Never rejects. */
  resume(): Promise<void>
  /** Ends the waits of readers, who get an older list or `PP_WAIT_TIMEOUT`: the app closes. */
  endWaits(): void
  /** From now on no timer of a load keeps the process alive: the app has closed, and a load may hang. */
  releaseTimers(): void
  /** Waits for background tasks. The process may be suspended after that. */
  idle(): Promise<void>
}

/** The outcome and the duration of a read. */
type ReadResult = Pick<ReadAnswer, 'outcome' | 'durationMs'>
const LOCAL_HIT: ReadResult = { outcome: 'hit', durationMs: 0 }

/** Creates the cache of the lists of posts and of categories. The loaders are called when the cache has no fresh list. */
export function createLists<P = Post>(
  settings: Settings,
  loaders: Loaders,
  backend: Backend,
  events: Pick<CacheEvents, 'emit' | 'counts'>,
  own: JsonCache,
  announce: Announce = async () => undefined,
): Lists<P> {
  const clock = createReleasableClock()
  const cache = createReadThroughCache({
    store: backend.store,
    near: backend.near,
    observe: events.emit,
    clock,
    random: Math.random,
    nonce,
    policy: policyOf(settings),
    backgroundWork: settings.backgroundWork,
  })
  backend.listen(cache.onStoreMessage)
  const { resolve, knownEntry, longerEntry } = createQueryResolver(settings)
  const mayCompress = createAllowance(clock.now, MAX_COMPRESSED)
  const bodies = { usualLimit: settings.defaultLimit, mayCompress, cuts: createCuts() }
  const filtersKey = listKey(settings, 'filters')
  const decodedLists = new WeakMap<Uint8Array, DecodedList>()
  const decodedFilters = new WeakMap<Uint8Array, KnownSlugs>()

  const loadPosts = (list: Ranking) => async () => {
    const posts = await loaders.posts(list)
    return encodeList(posts, 'load', await loaders.aliases?.(posts))
  }

  function categoriesEntry(query: { days?: number | undefined }) {
    const { categories } = loaders
    if (categories === undefined) return undefined
    const days = resolveDays(query, settings)
    return {
      key: listKey(settings, 'categories', days),
      load: async () => encodeList(await categories({ days }), 'loadCategories'),
      rank: rankOf({ days, isFiltered: false }, settings),
    }
  }

  function peek(query: PopularPostsQuery = {}): ListAnswer | undefined {
    const { entry, cut } = resolve(query)
    if (entry === undefined) return undefined
    const answer = cache.peek(entry.key)
    if (answer === undefined || isShort(answer, entry, cut)) return undefined
    return toAnswer(answer, LOCAL_HIT, cut)
  }

  async function read(query: PopularPostsQuery = {}): Promise<ListAnswer> {
    const resolved = resolve(query)
    const { cut } = resolved
    // One bound for all waits: for the filters, and for the lists.
    const sinceMs = clock.now()
    const entry = await entryOf(resolved)
    if (entry === undefined) return emptyAnswer()
    const readEntry = ({ key, list, rank }: CacheEntryRef) => cache.read(key, loadPosts(list), rank, sinceMs)
    const answer = await readEntry(entry)
    // Without the longer list, the short one is better than none.
    const found = isShort(answer, entry, cut) ? await readEntry(longerEntry(entry)).catch(() => answer) : answer
    return toAnswer(found, found, cut)
  }

  function isShort(answer: StoredValue, { list }: CacheEntryRef, cut: ResolvedQuery['cut']): boolean {
    return decoded(answer).isShort(list.limit, cut)
  }

  /** The entry of a list; `undefined`: the list is empty. An unknown slug gets no key: a client could create any number. */
  async function entryOf({ entry, list }: ResolvedQuery): Promise<CacheEntryRef | undefined> {
    if (entry !== undefined) return entry
    const { value } = await cache.read(filtersKey, async () => encodeFilters(await loaders.filters()))
    let known = decodedFilters.get(value)
    if (known === undefined) {
      known = decodeFilters(value)
      decodedFilters.set(value, known)
    }
    return knownEntry(list, known)
  }

  function decoded(answer: StoredValue): DecodedList {
    let list = decodedLists.get(answer.value)
    if (list === undefined) {
      list = new DecodedList(answer.value, bodies)
      decodedLists.set(answer.value, list)
    }
    return list
  }

  function toAnswer(found: StoredValue, read: ReadResult, cut?: ListCut): ListAnswer {
    return {
      list: decoded(found).body(cut),
      outcome: read.outcome,
      ageSeconds: Math.floor(found.ageMs / 1000),
      ttlSeconds: Math.floor(found.ttlMs / 1000),
      durationMs: read.durationMs,
      isDegraded: backend.state().isDown,
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
        return toAnswer(answer, answer)
      },
      async refresh(query = {}, options) {
        const resolved = resolve(query)
        const entry = await entryOf(resolved)
        if (entry === undefined) return []
        const { cut } = resolved
        const refreshEntry = ({ key, list, rank }: CacheEntryRef) =>
          cache.refresh(key, loadPosts(list), { rank, withinMs: toMs(options) })
        const answer = await refreshEntry(entry)
        const found = isShort(answer, entry, cut) ? await refreshEntry(longerEntry(entry)) : answer
        return postsOf(decoded(found).body(cut))
      },
      async refreshCategories(query = {}, options) {
        const entry = categoriesEntry(query)
        if (entry) await cache.refresh(entry.key, entry.load, { rank: entry.rank, withinMs: toMs(options) })
      },
      invalidate: createInvalidation(cache.invalidate, backend.redis === undefined ? announce : undefined),
      cache: own,
      backend: backend.state,
      isDatabaseUp: loaders.isUp,
      stats: () => ({ ...events.counts(), ...backend.size(), isStoreDown: backend.state().isDown }),
    },
    invalidateForChange: cache.invalidateForChange,
    endWaits: cache.endWaits,
    releaseTimers: clock.release,
    async resume() {
      cache.onStoreMessage('invalidated')
      const requestedAtMs = clock.now()
      const generation = await backend.onResume()
      if (generation !== undefined) cache.verified(generation, requestedAtMs)
    },
    async idle() {
      await cache.settle()
      backend.onSuspend()
    },
  }
}

function toMs({ withinSeconds = Infinity }: RefreshOptions = {}): number {
  return withinSeconds * 1000
}
