import { setTimeout as sleep } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import { findCategories } from '../db/categories.ts'
import { type FilterSlugs, findFilters } from '../db/filters.ts'
import { findPopularPosts, type Tables } from '../db/popular-posts.ts'
import { keepWindow } from '../db/window-rollups.ts'
import { createUpCheck } from '../lib/up-check.ts'
import type { ListQuery, Settings } from '../settings/options.ts'

/** Where lists come from when the cache has none: the expensive side. */
export interface Loaders {
  posts(query: ListQuery): Promise<readonly object[]>
  /** `undefined`: there is no list of categories. */
  categories: ((query: { days: number }) => Promise<readonly object[]>) | undefined
  filters(): Promise<FilterSlugs>
  /** Whether the database answers: see `createUpCheck`; `undefined`: there is none that we know of. */
  isUp: (() => Promise<boolean>) | undefined
}

/** The windows that sites ask for, beside their own default: see `keepWindow`. */
const MATERIALIZED_DAYS = [7, 30, 90, 365]

/** A list does not wait longer for views that are about to be counted. */
const FLUSH_TIMEOUT_MS = 1_000

/**
 * The host's own loaders where it brings them, else our queries on `db`.
 * @param listDb what lists are loaded from: their own connections. Default `db`.
 * @param countViews counts what is known of views; lists are loaded after that, also where it fails.
 */
export function createLoaders(
  settings: Settings,
  db: Kysely<Tables> | undefined,
  countViews: () => Promise<unknown>,
  listDb = db,
): Loaders {
  const { load, loadCategories, loadFilters } = settings
  const builtIn = listDb === undefined ? undefined : databaseLoaders(listDb, settings)
  const posts: Loaders['posts'] | undefined = load ?? builtIn?.posts
  const categories = loadCategories ?? builtIn?.categories
  if (posts === undefined) throw new TypeError('Expected a load function or a database, got neither.')
  const noSlugs: FilterSlugs = { categories: [], tags: [], authors: [] }
  const afterFlush = () =>
    Promise.race([countViews().catch(() => {}), sleep(FLUSH_TIMEOUT_MS, undefined, { ref: false })])
  return {
    posts: (query) => afterFlush().then(() => posts(query)),
    categories: categories === undefined ? undefined : (query) => afterFlush().then(() => categories(query)),
    filters: loadFilters ?? builtIn?.filters ?? (async () => noSlugs),
    isUp: db === undefined ? undefined : createUpCheck(() => sql`select 1 as up`.execute(db)),
  }
}

function databaseLoaders(db: Kysely<Tables>, { timeZone, defaultDays }: Settings) {
  const materializedDays = new Set([...MATERIALIZED_DAYS, defaultDays])
  /** Lists are the same without, and whoever may only read tables cannot. */
  async function materialize({ days }: { days: number }): Promise<void> {
    if (days > 1 && materializedDays.has(days)) await keepWindow(db, { days, timeZone }).catch(() => {})
  }
  return {
    posts: (query: ListQuery) => materialize(query).then(() => findPopularPosts(db, { ...query, timeZone })),
    categories: ({ days }: { days: number }) =>
      materialize({ days }).then(() => findCategories(db, { days, timeZone })),
    filters: () => findFilters(db),
  }
}
