import createError from '@fastify/error'
import { shown } from '../settings/validate.ts'

const BadQuery = createError<[string, string, string]>('PP_BAD_QUERY', 'Expected %s to be %s, got %s.', 400)
const CombinedFilters = createError<[string]>(
  'PP_BAD_QUERY',
  'Expected one of category, tag, author and excludeCategory at a time, got %s. The option combineFilters allows more.',
  400,
)
const NotWithLoad = createError<[string]>(
  'PP_BAD_QUERY',
  'Expected no %s, because the lists of this site come from a load of its own, which does not know it.',
  400,
)
const NotWithTrending = createError(
  'PP_BAD_QUERY',
  'Expected minViews with sort=views, whose order it follows, got sort=trending.',
  400,
)

/** The most slugs of `exclude`. */
export const MAX_EXCLUDED = 50

/** The filters by slugs: one slug at a time, unless the option `combineFilters` allows more. Keys have them in this order. */
export const FILTERS = ['category', 'tag', 'author', 'excludeCategory'] as const

/** The most slugs of one filter. */
export const MAX_SLUGS = 5

/** The values of `publishedWithin`. They are few, because each makes a list of its own for each window, order and filter. */
export const PUBLISHED_WITHIN: readonly number[] = [1, 7, 14, 30, 90, 180, 365]

/** The filters that a `load` of the host does not get. */
export const BUILT_IN_FILTERS = ['excludeCategory', 'publishedWithin'] as const

/**
 * A query for a list, over HTTP and in the program. All parameters are optional. Of `category`, `tag`, `author` and
 * `excludeCategory`, one is allowed, with one slug. With the option `combineFilters` all are, each with up to 5 slugs.
 *
 * ```ts
 * await app.popularPosts.get({ category: 'trails', days: 7, exclude: ['the-post-of-this-page'] })
 * ```
 */
export interface PopularPostsQuery {
  /** The most posts of the list: an integer from 1. Default `defaultLimit`. More than `maxLimit` gives `maxLimit`. */
  limit?: number | undefined
  /**
   * How many posts to skip, for further pages: an integer from 0 to `maxLimit`. Default 0. A list ends after `maxLimit` posts.
   * Pages of one load have no post twice.
   */
  offset?: number | undefined
  /**
   * The window in days: an integer from 0 to `maxDays`, one of the option `days` where it is set; 0 is all time. Default
   * `defaultDays`.
   */
  days?: number | undefined
  /** The order: by views in the window, or by views that fade with a half-life of one day (`trending`). Default `views`. */
  sort?: 'views' | 'trending' | undefined
  /** The slug of a category: posts in it, or in a category below it. Of several slugs, posts in any. Unknown: no post. */
  category?: string | readonly string[] | undefined
  /** The slug of the tag of all posts. Of several slugs, posts with any. An unknown slug gives an empty list. */
  tag?: string | readonly string[] | undefined
  /** The slug of the author of all posts. Of several slugs, posts of any. An unknown slug gives an empty list. */
  author?: string | readonly string[] | undefined
  /**
   * The slug of a category whose posts are left out, also those in categories below it. An unknown slug leaves out nothing. Not
   * with a `load` of your own.
   */
  excludeCategory?: string | readonly string[] | undefined
  /**
   * The language of all posts, as a BCP 47 tag: `en` gives posts in `en` and `en-GB`. Upper and lower case are the same. An
   * unknown language gives an empty list. It may be combined with any other filter.
   */
  language?: string | undefined
  /**
   * Only posts that were published in the last 1, 7, 14, 30, 90, 180 or 365 times 24 hours. It may be combined with any other
   * filter. Default: posts of any age. Not with a `load` of your own.
   */
  publishedWithin?: number | undefined
  /** Only posts with at least this number of views in the window: an integer from 0. Default 0. Not with `trending`. */
  minViews?: number | undefined
  /** The slugs of posts to leave out, at most 50; the list is filled up with the posts that follow. */
  exclude?: readonly string[] | undefined
}

/** The settings that limit a query. */
export interface Limits {
  maxLimit: number
  maxDays: number
  /** The windows that may be requested; `undefined`: any up to `maxDays`. */
  days?: readonly number[] | undefined
  combineFilters: boolean
  /** The host's own query, which gets one slug of a filter. */
  load?: unknown
}

/** The name of a query parameter. */
export type Parameter = keyof PopularPostsQuery

/** The names of the query parameters. */
export const PARAMETERS: readonly Parameter[] = [
  ...FILTERS,
  ...(['limit', 'offset', 'days', 'sort', 'language', 'publishedWithin', 'minViews', 'exclude'] as const),
]

/** The expectation of each parameter in words, for errors and for the OpenAPI document. */
export function expectations({ maxLimit, maxDays, days, combineFilters, load }: Limits): Record<Parameter, string> {
  const many = combineFilters && load === undefined ? `, up to ${MAX_SLUGS} times` : ''
  const slugOf = (kind: string) => `the slug of one ${kind}${many}`
  return {
    limit: `an integer of 1 or more (more than ${maxLimit} gives ${maxLimit})`,
    offset: `an integer from 0 to ${maxLimit}, where every list ends`,
    days:
      days === undefined
        ? `an integer from 0 to ${maxDays} (0 is all time)`
        : `one of ${days.join(', ')} (days; 0 is all time)`,
    sort: 'views or trending',
    category: slugOf('category'),
    tag: slugOf('tag'),
    author: slugOf('author'),
    excludeCategory: slugOf('category'),
    language: 'a language tag such as en or pt-BR',
    publishedWithin: `one of ${PUBLISHED_WITHIN.join(', ')} (days)`,
    minViews: 'an integer of 0 or more',
    exclude: `the slug of a post, up to ${MAX_EXCLUDED} times`,
  }
}

/** Creates the error `PP_BAD_QUERY` (400) for one invalid parameter. */
export function badQuery(name: Parameter, got: unknown, limits: Limits): Error {
  return new BadQuery(name, expectations(limits)[name], shown(got))
}

/** Creates the error `PP_BAD_QUERY` (400) for filters that are not allowed together. */
export function combinedFilters(names: readonly string[]): Error {
  return new CombinedFilters(names.join(' and '))
}

/** Creates the error `PP_BAD_QUERY` (400) for a filter that a `load` of the host does not get. */
export function notWithLoad(name: (typeof BUILT_IN_FILTERS)[number]): Error {
  return new NotWithLoad(name)
}

/** Creates the error `PP_BAD_QUERY` (400) for `minViews` in another order than that of views. */
export function notWithTrending(): Error {
  return new NotWithTrending()
}
