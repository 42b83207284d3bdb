import { setTimeout as sleep } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import { findCategories } from '../db/categories.ts'
import { type FilterSlugs, findFilters } from '../db/filters.ts'
import { findPopularPosts, type Tables } from '../db/ranking.ts'
import { materializeWindow } from '../db/window-rollups.ts'
import { createUpCheck } from '../lib/up-check.ts'
import type { ListQuery, Settings } from '../settings/options.ts'

/** Where lists come from when the cache has none: the expensive side. */
export interface Source {
  posts(query: ListQuery): Promise<readonly object[]>
  /** `undefined`: there is no list of categories. */
  categories: ((query: { days: number }) => Promise<readonly object[]>) | undefined
  filters(): Promise<FilterSlugs>
  /** Whether the database answers: see `createUpCheck`; `undefined`: there is none that we know of. */
  isUp: (() => Promise<boolean>) | undefined
}

/** The windows that sites ask for, beside their own default: see `keepWindow`. */
const KEPT_DAYS = [7, 30, 90, 365]

/** A list does not wait longer for views that are about to be counted. */
const COUNTING_MS = 1_000

/**
 * The host's own loaders where it brings them, else our queries on `db`.
 * @param listDb what lists are loaded from: their own connections. Default `db`.
 * @param countViews counts what is known of views; lists are loaded after that, also where it fails.
 */
export function createSource(
  settings: Settings,
  db: Kysely<Tables> | undefined,
  countViews: () => Promise<unknown>,
  listDb = db,
): Source {
  const { load, loadCategories, loadFilters } = settings
  const ours = listDb === undefined ? undefined : queriesOn(listDb, settings)
  const posts: Source['posts'] | undefined = load ?? ours?.posts
  const categories = loadCategories ?? ours?.categories
  if (posts === undefined) throw new TypeError('Expected a load function or a database, got neither.')
  const nothing: FilterSlugs = { categories: [], tags: [], authors: [] }
  const counted = () => Promise.race([countViews().catch(() => {}), sleep(COUNTING_MS, undefined, { ref: false })])
  return {
    posts: (query) => counted().then(() => posts(query)),
    categories: categories === undefined ? undefined : (query) => counted().then(() => categories(query)),
    filters: loadFilters ?? ours?.filters ?? (async () => nothing),
    isUp: db === undefined ? undefined : createUpCheck(() => sql`select 1 as up`.execute(db)),
  }
}

function queriesOn(db: Kysely<Tables>, { timeZone, defaultDays }: Settings) {
  const keptDays = new Set([...KEPT_DAYS, defaultDays])
  /** Lists are the same without, and whoever may only read tables cannot. */
  async function keep({ days }: { days: number }): Promise<void> {
    if (days > 1 && keptDays.has(days)) await materializeWindow(db, { days, timeZone }).catch(() => {})
  }
  return {
    posts: (query: ListQuery) => keep(query).then(() => findPopularPosts(db, { ...query, timeZone })),
    categories: ({ days }: { days: number }) => keep({ days }).then(() => findCategories(db, { days, timeZone })),
    filters: () => findFilters(db),
  }
}
