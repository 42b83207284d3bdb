import createError from '@fastify/error'
import { shown } from '../settings/validate.ts'

const BadQuery = createError<[string, string, string]>('PP_BAD_QUERY', 'Expected %s to be %s, got %s.', 400)
const CombinedFilters = createError<[string]>(
  'PP_BAD_QUERY',
  'Expected one of category, tag and author at a time, got %s. The option combineFilters allows more.',
  400,
)

/** The most slugs of `exclude`. */
export const MAX_EXCLUDED = 50

/** The parameters that filter a list: one of them at a time, unless the option `combineFilters` allows more. */
export const FILTERS = ['category', 'tag', 'author'] as const

/**
 * A query for a list, over HTTP and in the program. All parameters are optional. Only one of `category`, `tag` and `author` is
 * allowed, unless the option `combineFilters` allows more.
 *
 * ```ts
 * await app.popularPosts.get({ category: 'trails', days: 7, exclude: ['the-post-of-this-page'] })
 * ```
 */
export interface PopularPostsQuery {
  /** The most posts of the list: an integer from 1. Default `defaultLimit`. More than `maxLimit` gives `maxLimit`. */
  limit?: number | undefined
  /** The window in days: an integer from 0 to `maxDays`; 0 is all time. Default `defaultDays`. */
  days?: number | undefined
  /** The order: by views in the window, or by views that fade with a half-life of one day (`trending`). Default `views`. */
  sort?: 'views' | 'trending' | undefined
  /** The slug of the category of all posts. An unknown slug gives an empty list. */
  category?: string | undefined
  /** The slug of the tag of all posts. An unknown slug gives an empty list. */
  tag?: string | undefined
  /** The slug of the author of all posts. An unknown slug gives an empty list. */
  author?: string | undefined
  /** The slugs of posts to leave out, at most 50; the list is filled up with the posts that follow. */
  exclude?: readonly string[] | undefined
}

/** The settings that limit a query. */
export interface Limits {
  maxLimit: number
  maxDays: number
}

/** The name of a query parameter. */
export type Parameter = keyof PopularPostsQuery

/** The expectation of each parameter in words, for errors and for the OpenAPI document. */
export function expectations({ maxLimit, maxDays }: Limits): Record<Parameter, string> {
  return {
    limit: `an integer of 1 or more (more than ${maxLimit} gives ${maxLimit})`,
    days: `an integer from 0 to ${maxDays} (0 is all time)`,
    sort: 'views or trending',
    category: 'the slug of one category',
    tag: 'the slug of one tag',
    author: 'the slug of one author',
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
