import fc from 'fast-check'
import t from 'tap'
import { encodeList } from '../../lists/encode-list.ts'
import { DecodedList } from '../../lists/stored-list.ts'

const items = (slugs: readonly string[]) => slugs.map((slug, place) => ({ slug, place }))

t.test('the body of a list has the filtered items, also when it is read again', async (t) => {
  const slug = fc.constantFrom(...'abcdefgh')
  const cut = fc.record({ limit: fc.integer({ min: 1, max: 14 }), exclude: fc.array(slug, { maxLength: 5 }) })
  fc.assert(
    fc.property(fc.array(slug, { maxLength: 12 }), fc.array(cut, { maxLength: 30 }), (slugs, cuts) => {
      const list = new DecodedList(encodeList(items(slugs), 'load'))
      for (const { limit, exclude } of cuts) {
        const expected = items(slugs)
          .filter((item) => !exclude.includes(item.slug))
          .slice(0, limit)
        t.strictSame(JSON.parse(list.body(limit, exclude).body.toString()), expected)
      }
    }),
    { numRuns: 300 },
  )
})

t.test('excluded items beyond the limit give the same body', async (t) => {
  const list = new DecodedList(encodeList(items([...'abcdef']), 'load'))
  const three = list.body(3)
  for (const exclude of [[], ['d'], ['x'], ['e', 'f', 'x', 'x']]) t.equal(list.body(3, exclude), three)
  const without = list.body(3, ['a'])
  for (const exclude of [['a'], ['a', 'a'], ['e', 'a', 'x']]) t.equal(list.body(3, exclude), without)
  t.not(without, three)
})

t.test('a list caches its bodies, up to a limit', async (t) => {
  const slugs = Array.from({ length: 50 }, (_none, place) => `post-${place}`)
  const list = new DecodedList(encodeList(items(slugs), 'load'))
  const first = list.body(50)
  t.equal(list.body(50), first)
  for (const slug of slugs) list.body(40, [slug])
  t.not(list.body(50), first, 'made anew')
  t.same(list.body(50), first)
})
