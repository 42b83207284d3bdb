import { kindOf } from './encode-json.ts'
import { encodeList } from './encode-list.ts'
import type { FILTERS } from './query.ts'

/** The slugs and languages that a list can be filtered by, per filter. */
export type KnownSlugs = Record<(typeof FILTERS)[number] | 'language', Set<string>>

const NAMES = ['categories', 'tags', 'authors', 'languages'] as const

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

/** Decodes what `encodeFilters` has encoded. A language is known if a post is in it or in a variant of it. */
export function decodeFilters(bytes: Uint8Array): KnownSlugs {
  const {
    categories,
    tags,
    authors,
    languages = [],
  } = JSON.parse(Buffer.from(bytes).toString()) as {
    [Name in (typeof NAMES)[number]]?: string[]
  }
  const category = new Set(categories)
  const language = new Set(languages.map(canonicalLanguage).flatMap(prefixesOf))
  return { category, tag: new Set(tags), author: new Set(authors), excludeCategory: category, language }
}

/** Writes a language tag in lower case, with hyphens: `pt_BR` is `pt-br`. */
export function canonicalLanguage(tag: string): string {
  return tag.toLowerCase().replaceAll('_', '-')
}

/** A tag, and the shorter tags that find it: of `zh-hans-cn` also `zh-hans` and `zh`. */
function prefixesOf(tag: string): string[] {
  const parts = tag.split('-')
  return parts.map((_part, index) => parts.slice(0, index + 1).join('-'))
}
