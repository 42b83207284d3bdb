import fc from 'fast-check'
import t from 'tap'
import { decodeFilters, encodeFilters } from '../../lists/filter-slugs.ts'
import { MAX_SLUGS, type PopularPostsQuery, PUBLISHED_WITHIN } from '../../lists/query.ts'
import { createQueryResolver } from '../../lists/resolve-query.ts'
import { checkOptions } from '../../settings/check-options.ts'

const databaseUrl = 'postgres://127.0.0.1:9/none'
const { resolve, knownEntry } = createQueryResolver(checkOptions({ databaseUrl, combineFilters: true }))

/** Slugs that are names of filters, or have the separators of keys. */
const KNOWN = ['a', 'b', 'tag', 'category', 'a:b', 'a%3Ab', 'é', '7']
const slugs = fc.uniqueArray(fc.constantFrom(...KNOWN, 'unknown', 'unknown:too'), {
  minLength: 1,
  maxLength: MAX_SLUGS,
})
const query: fc.Arbitrary<PopularPostsQuery> = fc.record(
  {
    sort: fc.constantFrom('views', 'trending'),
    days: fc.constantFrom(1, 7, 30),
    category: slugs,
    tag: slugs,
    author: slugs,
    excludeCategory: slugs,
    language: fc.constantFrom('en', 'EN', 'en_GB', 'en-gb', 'fr'),
    publishedWithin: fc.constantFrom(...PUBLISHED_WITHIN),
  },
  { requiredKeys: [] },
)
const set = new Set(KNOWN)
const known = { category: set, tag: set, author: set, excludeCategory: set, language: new Set(['en', 'en-gb']) }

function keyOf(query: PopularPostsQuery): string | undefined {
  const { entry, list } = resolve(query)
  return (entry ?? knownEntry(list, known))?.key
}

/** The question in a form that is the same for equal questions; `undefined`: no post can match. */
function meaningOf({ sort = 'views', days = 30, language, publishedWithin, ...filters }: PopularPostsQuery) {
  const tag = language?.toLowerCase().replace('_', '-')
  if (tag === 'fr') return undefined
  const meaning: unknown[] = [sort, days, tag, publishedWithin]
  for (const name of ['category', 'tag', 'author', 'excludeCategory'] as const) {
    const found = KNOWN.filter((slug) => filters[name]?.includes(slug))
    if (filters[name] !== undefined && found.length === 0 && name !== 'excludeCategory') return undefined
    meaning.push(found)
  }
  return JSON.stringify(meaning)
}

t.test('two queries have the same key if and only if they ask for the same list', async (t) => {
  fc.assert(
    fc.property(query, query, fc.infiniteStream(fc.boolean()), (one, other, isTaken) => {
      const reversed = { ...one, category: Array.isArray(one.category) ? one.category.toReversed() : undefined }
      if (keyOf(one) !== keyOf(reversed)) throw new Error('expected the same key')
      // A mixture of both: often the same list, said in another way.
      const mixed: Record<string, unknown> = { ...one }
      for (const [name, value] of Object.entries(other)) if (isTaken.next().value) mixed[name] = value
      for (const query of [other, mixed as PopularPostsQuery]) {
        const [left, right] = [keyOf(one), keyOf(query)]
        if ((left === right) !== (meaningOf(one) === meaningOf(query)))
          throw new Error(`${JSON.stringify([one, query])} have the keys ${left} and ${right}`)
      }
    }),
    { numRuns: 3000 },
  )
  t.pass('3,000 pairs')
})

t.test('the order of slugs, repeated slugs and unknown slugs give the same key', async (t) => {
  const key = keyOf({ category: ['a', 'b'] })
  t.equal(key, '{blog:popular}:v2:50:30:category:a:category:b')
  for (const category of [
    ['b', 'a'],
    ['a', 'b', 'a', 'a'],
    ['unknown', 'b', 'a'],
  ])
    t.equal(keyOf({ category }), key)
  t.equal(keyOf({ category: ['a'] }), keyOf({ category: 'a' }))
  t.not(keyOf({ category: ['a', 'b'] }), keyOf({ category: 'a', tag: 'b' }))
  t.equal(keyOf({ category: ['unknown'] }), undefined)
  t.same([keyOf({ excludeCategory: 'unknown' }), keyOf({})], Array(2).fill('{blog:popular}:v2:50:30'))
  t.same(
    [undefined, 0, 3].map((minViews) => keyOf({ limit: 3, offset: 9, exclude: ['x'], minViews })),
    Array(3).fill('{blog:popular}:v2:50:30'),
    'parts of a list are no lists of their own',
  )
})

t.test('the number of lists per filter is bounded', async (t) => {
  const six = ['a', 'b', 'c', 'd', 'e', 'f']
  for (const name of ['category', 'tag', 'author', 'excludeCategory'] as const)
    t.throws(() => resolve({ [name]: six }), {
      code: 'PP_BAD_QUERY',
      message: new RegExp(`Expected ${name} to be the slug of one \\w+, up to 5 times, got `),
    })
  for (const publishedWithin of [0, -1, 2, 7.5, 366, Number.NaN])
    t.throws(() => resolve({ publishedWithin }), {
      code: 'PP_BAD_QUERY',
      message: `Expected publishedWithin to be one of 1, 7, 14, 30, 90, 180, 365 (days), got ${publishedWithin}.`,
    })
})

t.test('a language is known with its prefixes; an entry of an older process has none', async (t) => {
  const known = decodeFilters(encodeFilters({ categories: ['a'], languages: ['zh_Hans-CN', 'en', 'EN'] }))
  t.same([...known.language].sort(), ['en', 'zh', 'zh-hans', 'zh-hans-cn'])
  t.equal(known.excludeCategory, known.category)
  t.same([...decodeFilters(Buffer.from('{"categories":[],"tags":[],"authors":[]}')).language], [])
})
