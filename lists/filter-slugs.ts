import { encodeList, kindOf } from './encode-list.ts'
import type { FILTERS } from './query.ts'

/** The slugs that a list can be filtered by, per filter. */
export type KnownSlugs = Record<(typeof FILTERS)[number], Set<string>>

const NAMES = ['categories', 'tags', 'authors'] as const

/**
 * Encodes the result of a `loadFilters` for the cache.
 * @throws TypeError if it is not an object of arrays of slugs. A missing array is empty.
 */
export function encodeFilters(filters: unknown): Uint8Array {
  if (typeof filters !== 'object' || filters === null)
    throw new TypeError(`Expected loadFilters to return an object, got ${kindOf(filters)}.`)
  const known: Record<string, unknown> = {}
  for (const name of NAMES) {
    const slugs: unknown = Reflect.get(filters, name) ?? []
    // `Array.from`, because `every` leaves out the holes of a sparse array.
    if (!Array.isArray(slugs) || !Array.from(slugs).every((slug) => typeof slug === 'string'))
      throw new TypeError(`Expected ${name} of loadFilters to be an array of slugs, got ${kindOf(slugs)}.`)
    known[name] = slugs
  }
  return encodeList([known], 'loadFilters')
}

/** Decodes what `encodeFilters` has encoded. */
export function decodeFilters(bytes: Uint8Array): KnownSlugs {
  const { categories, tags, authors } = JSON.parse(Buffer.from(bytes).toString()) as Record<string, string[]>
  return { category: new Set(categories), tag: new Set(tags), author: new Set(authors) }
}
