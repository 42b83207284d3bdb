import fc from 'fast-check'
import t from 'tap'
import { encodeList } from '../../lists/encode-list.ts'
import { createCuts, DecodedList, type ListCut } from '../../lists/stored-list.ts'

const items = (slugs: readonly string[]) => slugs.map((slug, place) => ({ slug, place }))

function equal(found: unknown, expected: unknown): void {
  const [left, right] = [JSON.stringify(found), JSON.stringify(expected)]
  if (left !== right) throw new Error(`expected ${right}, got ${left}`)
}

t.test('the body of a list has the filtered items, also when it is read again', async (t) => {
  const slug = fc.constantFrom(...'abcdefgh')
  const item = fc.record({ slug, views: fc.integer({ min: 0, max: 5 }) })
  const cut = fc.record({
    limit: fc.integer({ min: 0, max: 14 }),
    offset: fc.integer({ min: 0, max: 14 }),
    exclude: fc.array(slug, { maxLength: 5 }),
    minViews: fc.integer({ min: 0, max: 6 }),
  })
  fc.assert(
    fc.property(fc.array(item, { maxLength: 12 }), fc.array(cut, { maxLength: 30 }), (all, cuts) => {
      const list = new DecodedList(encodeList(all, 'load'))
      for (const { limit, offset, exclude, minViews } of cuts) {
        const matching = all.filter(({ slug, views }) => !exclude.includes(slug) && views >= minViews)
        const page = (at: number) => JSON.parse(list.body({ limit, offset: at, exclude, minViews }).body.toString())
        equal(page(offset), matching.slice(offset, offset + limit))
        // Two pages have each item once.
        equal([...page(0), ...page(limit)], matching.slice(0, 2 * limit))
      }
      equal(JSON.parse(list.body().body.toString()), all)
    }),
    { numRuns: 300 },
  )
  t.pass('300 lists')
})

t.test('items without a number of views are in no list with a minimum', async (t) => {
  const views = [5, '7', '9007199254740993', undefined, null, 'many', 0]
  const list = new DecodedList(
    encodeList(
      views.map((views) => ({ views })),
      'load',
    ),
  )
  const seen = (minViews: number) =>
    (JSON.parse(list.body({ minViews }).body.toString()) as { views?: unknown }[]).map((item) => item.views)
  t.same(seen(0), views)
  t.same(seen(1), [5, '7', '9007199254740993'])
  t.same(seen(6), ['7', '9007199254740993'])
})

t.test('a cut is short if a longer list could have more for it', async (t) => {
  const views = [9, 8, 8, 5]
  const list = new DecodedList(
    encodeList(
      ['a', 'b', 'b', 'c'].map((slug, index) => ({ slug, views: views[index] })),
      'load',
    ),
  )
  const isShort = (cut: ListCut, loaded = 4) =>
    list.isShort(loaded, { limit: 4, offset: 0, exclude: ['a'], minViews: 0, ...cut })
  for (const cut of [
    {},
    { limit: 1, offset: 3 },
    { minViews: 5 },
    { limit: 3, exclude: ['b'] },
    { exclude: ['A%', 'C'] },
  ])
    t.ok(isShort(cut), JSON.stringify(cut))
  const enough = [
    ...[{ limit: 3 }, { limit: 2, offset: 1 }, { exclude: [] }, { exclude: ['x', 'y'] }, { limit: 2, exclude: ['b'] }],
    ...[{ limit: 0, offset: 4 }, { minViews: 6 }, { minViews: 10 }],
  ]
  for (const cut of enough) t.notOk(isShort(cut), JSON.stringify(cut))
  t.notOk(isShort({}, 5), 'there are no more items')
})

t.test('excluded items beyond the limit give the same body', async (t) => {
  const list = new DecodedList(encodeList(items([...'abcdef']), 'load'))
  const three = list.body({ limit: 3 })
  for (const exclude of [[], ['d'], ['x'], ['e', 'f', 'x', 'x']]) t.equal(list.body({ limit: 3, exclude }), three)
  const without = list.body({ limit: 3, exclude: ['a'] })
  for (const exclude of [['a'], ['a', 'a'], ['e', 'a', 'x']]) t.equal(list.body({ limit: 3, exclude }), without)
  t.not(without, three)
})

t.test('a text excludes only the post that it names', async (t) => {
  const list = new DecodedList(encodeList([{ slug: 'Goat' }, { slug: 'ziege-ü' }, { title: 'without a slug' }], 'load'))
  const left = (...exclude: string[]) => (JSON.parse(list.body({ exclude }).body.toString()) as unknown[]).length
  for (const text of ['gOAT', 'goat', 'none', 'NONE', 'undefined', '\0', '%00']) t.equal(left(text), 3, text)
  for (const text of ['Goat', 'Ziege-Ü', 'ziege-%C3%BC', 'ziege-%c3%bc']) t.equal(left(text), 2, text)
  t.equal(left('Goat', 'none', 'ZIEGE-U\u0308', '\0'), 1)
})

t.test('earlier slugs of an item exclude it, and are in no body', async (t) => {
  const aliases = [
    { slug: 'old-b', present: 'b' },
    { slug: 'ältest-b', present: 'b' },
    { slug: 'c', present: 'a' },
    { slug: 'old-d', present: 'd' },
  ]
  const list = new DecodedList(encodeList(items([...'abcd']), 'load', aliases))
  const slugsOf = (exclude: string[]) =>
    (JSON.parse(list.body({ exclude }).body.toString()) as { slug: string }[]).map(({ slug }) => slug).join('')
  t.equal(slugsOf([]), 'abcd')
  t.equal(slugsOf(['old-b']), 'acd')
  t.equal(slugsOf(['ÄLTEST-B', 'old-d']), 'ac')
  t.equal(slugsOf(['c']), 'abd', 'the present slug of one item is an earlier one of another')
  t.equal(slugsOf(['none']), 'abcd')
  const plain = new DecodedList(encodeList(items([...'abcd']), 'load'))
  t.same(list.body().body, plain.body().body)
  t.same(list.body({ exclude: ['old-b'] }).body, plain.body({ exclude: ['b'] }).body)
})

t.test('lists cache cuts, up to a common limit; the usual bodies as long as they are there', async (t) => {
  const slugs = Array.from({ length: 50 }, (_none, place) => `post-${place}`)
  const cache = createCuts(20_000)
  const create = () => new DecodedList(encodeList(items(slugs), 'load'), { usualLimit: 10, cuts: cache })
  const [list, other] = [create(), create()]
  const cuts = { all: {}, usual: { limit: 10 }, other: { limit: 45 }, page: { limit: 10, offset: 10 } }
  const before = Object.entries(cuts).map(([name, cut]) => ({ name, cut, body: list.body(cut) }))
  for (const { name, cut, body } of before) t.equal(list.body(cut), body, name)
  for (const slug of slugs)
    t.same(other.body({ limit: 40, exclude: [slug] }), list.body({ limit: 40, exclude: [slug] }))
  t.ok(cache.calculatedSize <= 20_000)
  const { size } = cache
  t.ok(size > 1, `${size}`)
  for (const { name, cut, body } of before) {
    t.equal(list.body(cut) === body, name === 'all' || name === 'usual', name)
    t.same(list.body(cut).body, body.body)
    t.equal(list.body(cut).etag, body.etag)
  }
})

t.test('equal bodies have the same entity tag, whatever the list; others have another one', async (t) => {
  const slugs = [...'abcdef']
  const tags = new Map<string, string>()
  for (const all of [slugs, slugs.slice(0, 4), [...slugs.slice(1), 'g'], []]) {
    const list = new DecodedList(
      encodeList(
        items(all).map(({ slug }) => ({ slug })),
        'load',
      ),
    )
    for (let offset = 0; offset < 7; offset += 1)
      for (const limit of [0, 1, 2, 7])
        for (const exclude of [[], ['b'], ['c', 'e']]) {
          const { body, etag } = list.body({ limit, offset, exclude })
          t.match(etag, /^"[\w-]{27}"$/)
          t.equal(tags.get(body.toString()) ?? etag, etag, body.toString())
          tags.set(body.toString(), etag)
        }
  }
  t.equal(new Set(tags.values()).size, tags.size)
})

t.test('usual bodies are compressed at once, others as often as it is allowed', async (t) => {
  const texts = Array.from({ length: 50 }, (_none, place) => ({ slug: `post-${place}`, text: 'text '.repeat(40) }))
  let left = 3
  const mayCompress = () => {
    left -= 1
    return left >= 0
  }
  const list = new DecodedList(encodeList(texts, 'load'), { usualLimit: 10, mayCompress })
  const isCompressed = (cut: ListCut, coding: 'br' | 'gzip' = 'br') => {
    const body = list.body(cut)
    return body.encoded(coding) !== body
  }
  for (const offset of [1, 2, 3]) t.ok(isCompressed({ limit: 10, offset }), `offset=${offset}`)
  t.notOk(isCompressed({ limit: 10, offset: 4 }))
  t.notOk(isCompressed({ limit: 10, exclude: ['post-3'] }))
  t.ok(isCompressed({ limit: 10, offset: 3 }), 'it is compressed already')
  t.notOk(isCompressed({ limit: 10, offset: 3 }, 'gzip'))
  for (const cut of [{}, { limit: 10 }, { limit: 50, exclude: ['none'] }, { limit: 10, exclude: ['post-10'] }])
    for (const coding of ['br', 'gzip'] as const) t.ok(isCompressed(cut, coding), `${JSON.stringify(cut)} ${coding}`)
  left = 1
  t.ok(isCompressed({ limit: 10, offset: 4 }), 'later it is allowed again')
})
