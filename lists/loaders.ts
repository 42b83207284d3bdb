import { setTimeout as sleep } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import { findCategories } from '../db/categories.ts'
import { type FilterSlugs, findFilters } from '../db/filters.ts'
import { type Alias, findAliases, hasAliases } from '../db/posts-by-slug.ts'
import { findPopularPosts, type PopularPost, type Ranking, type Tables } from '../db/ranking.ts'
import type { RowGuard } from '../db/row-guard.ts'
import { createUpCheck } from '../lib/up-check.ts'
import type { ListQuery } from '../settings/list-query.ts'
import type { Settings } from '../settings/options.ts'

/** Functions that load lists for the cache, by expensive queries. */
export interface Loaders {
  /** Loads a list of posts. */
  posts(query: Ranking): Promise<readonly object[]>
  /** Returns the earlier slugs of posts, for `exclude`; `undefined`: the posts are of the host's `load`. Never rejects. */
  aliases: ((posts: readonly object[]) => Promise<readonly Alias[]>) | undefined
  /** Loads the list of categories; `undefined`: there is no such list. */
  categories: ((query: { days: number }) => Promise<readonly object[]>) | undefined
  /** Loads the slugs by which a list can be filtered. */
  filters(): Promise<FilterSlugs>
  /** Whether the database replies: see `createUpCheck`; `undefined`: there is no database. */
  isUp: (() => Promise<boolean>) | undefined
}

/** The longest time for which a load waits for a flush of views. */
const FLUSH_TIMEOUT_MS = 1_000

/**
 * Creates the loaders: the host's own functions, or the built-in queries on `db`.
 * @param listDb the database for loads, with connections of its own. Default `db`.
 * @param read runs the built-in queries. Default: directly.
 * @param countViews flushes recorded views; a load starts after that, even if it fails.
 * @param timeZone returns the time zone of the site. Default: the one of the settings.
 * @throws TypeError without a `load` and without a database.
 */
export function createLoaders(
  settings: Settings,
  db: Kysely<Tables> | undefined,
  countViews: () => Promise<unknown>,
  listDb = db,
  timeZone = async () => settings.timeZone,
  read: RowGuard = (blog, query) => query(blog),
): Loaders {
  const { load, loadCategories, loadFilters } = settings
  const builtIn = listDb === undefined ? undefined : databaseLoaders(listDb, timeZone, read)
  const posts: Loaders['posts'] | undefined =
    load === undefined ? builtIn?.posts : async (query) => load(toListQuery(query))
  const categories = loadCategories ?? builtIn?.categories
  if (posts === undefined) throw new TypeError('Expected a load function or a database, got neither.')
  const noSlugs: FilterSlugs = { categories: [], tags: [], authors: [] }
  const afterFlush = () =>
    Promise.race([countViews().catch(() => {}), sleep(FLUSH_TIMEOUT_MS, undefined, { ref: false })])
  return {
    posts: (query) => afterFlush().then(() => posts(query)),
    aliases: load === undefined ? builtIn?.aliases : undefined,
    categories: categories === undefined ? undefined : (query) => afterFlush().then(() => categories(query)),
    filters: loadFilters ?? builtIn?.filters ?? (async () => noSlugs),
    isUp: db === undefined ? undefined : createUpCheck(() => sql`select 1 as up`.execute(db)),
  }
}

/** The argument of the host's `load`: a new object, which it may change. Each filter has one slug. */
function toListQuery(ranking: Ranking): ListQuery {
  const { sort, days, limit, language } = ranking
  const query: ListQuery = { sort, days, limit }
  for (const name of ['category', 'tag', 'author'] as const) for (const slug of ranking[name] ?? []) query[name] = slug
  if (language !== undefined) query.language = language
  return query
}

function databaseLoaders(db: Kysely<Tables>, siteTimeZone: () => Promise<string>, read: RowGuard) {
  let keepsAliases = false
  /** Errors are ignored: lists are the same without, only `exclude` does not know earlier slugs. */
  async function aliases(posts: readonly object[]): Promise<readonly Alias[]> {
    const slugs = (posts as readonly PopularPost[]).map(({ slug }) => slug)
    try {
      keepsAliases ||= await hasAliases(db)
      return keepsAliases ? await findAliases(db, slugs) : []
    } catch {
      keepsAliases = false
      return []
    }
  }
  return {
    aliases,
    posts: async (query: Ranking) => {
      const timeZone = await siteTimeZone()
      return read(db, (blog) => findPopularPosts(blog, { ...query, timeZone }))
    },
    categories: async ({ days }: { days: number }) => {
      const timeZone = await siteTimeZone()
      return read(db, (blog) => findCategories(blog, { days, timeZone }))
    },
    filters: () => read(db, findFilters),
  }
}
