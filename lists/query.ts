import createError from '@fastify/error'
import { shown } from '../settings/validate.ts'

const BadQuery = createError<[string, string, string]>('PP_BAD_QUERY', 'Expected %s to be %s, got %s.', 400)
const CombinedFilters = createError<[string]>(
  'PP_BAD_QUERY',
  'Expected one of category, tag and author at a time, got %s: the option combineFilters allows more.',
  400,
)

/** The parameters that filter: one of them at a time, unless the option `combineFilters` allows more. */
export const FILTERS = ['category', 'tag', 'author'] as const

/**
 * What is asked of the cache: over HTTP and in the program alike. All of it is optional; of `category`, `tag` and `author` one
 * at a time, unless the option `combineFilters` allows more.
 */
export interface PopularPostsQuery {
  /** From 1; default `defaultLimit`. More than `maxLimit` is cut to that. */
  limit?: number | undefined
  /** From 0 to `maxDays`; default `defaultDays`. 0 is all time. */
  days?: number | undefined
  /** Default `views`. */
  sort?: 'views' | 'trending' | undefined
  /** The slug of a category that all posts shall be in. */
  category?: string | undefined
  /** The slug of a tag that all posts shall have. */
  tag?: string | undefined
  /** The slug of the author of all posts. */
  author?: string | undefined
  /** The slugs of posts to leave out. */
  exclude?: readonly string[] | undefined
}

/** The settings that decide what a query may hold. */
export interface Limits {
  maxLimit: number
  maxDays: number
}

export type Parameter = keyof PopularPostsQuery

/** What each parameter must be, in words: for errors and for the documentation. */
export function expectations({ maxLimit, maxDays }: Limits): Record<Parameter, string> {
  return {
    limit: `an integer of 1 or more (more than ${maxLimit} gives ${maxLimit})`,
    days: `an integer from 0 to ${maxDays} (0 is all time)`,
    sort: 'views or trending',
    category: 'the slug of one category',
    tag: 'the slug of one tag',
    author: 'the slug of one author',
    exclude: 'the slug of a post, up to 50 times',
  }
}

/** `PP_BAD_QUERY`, 400: one parameter is not what it must be. */
export function badQuery(name: Parameter, got: unknown, limits: Limits): Error {
  return new BadQuery(name, expectations(limits)[name], shown(got))
}

/** `PP_BAD_QUERY`, 400: each parameter is what it must be, but these are not allowed together. */
export function combinedFilters(names: readonly string[]): Error {
  return new CombinedFilters(names.join(' and '))
}
