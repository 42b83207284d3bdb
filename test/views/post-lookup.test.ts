import t from 'tap'
import { createPostLookup } from '../../views/post-lookup.ts'
import { createVirtualClock, deferred } from '../helpers/virtual-clock.ts'

/** A look-up whose statements reply when the test says so. */
function setUp() {
  const clock = createVirtualClock()
  const statements: { slugs: readonly string[]; reply: ReturnType<typeof deferred<Map<string, string>>> }[] = []
  const lookUp = createPostLookup({
    clock,
    find(slugs) {
      const reply = deferred<Map<string, string>>()
      statements.push({ slugs, reply })
      return reply.promise
    },
  })
  const reply = async (index: number, ids: Record<string, string> = {}) => {
    statements[index]?.reply.resolve(new Map(Object.entries(ids)))
    await clock.advance(0)
  }
  return { clock, lookUp, statements, reply, asked: () => statements.map(({ slugs }) => slugs) }
}

t.test('a call gets the result of a statement that starts after it', async (t) => {
  const { clock, lookUp, reply, asked } = setUp()
  const before = lookUp('a')
  await clock.advance(0)
  const after = lookUp('a')
  await clock.advance(50)
  t.same(asked(), [['a']], 'the second call does not share the statement that runs')
  await reply(0)
  t.equal(await before, undefined)
  await clock.advance(100)
  t.same(asked(), [['a'], ['a']])
  await reply(1, { a: '7' })
  t.equal(await after, '7')
})

t.test('without unknown slugs there is no pause, with them 100 ms', async (t) => {
  const { clock, lookUp, reply, asked } = setUp()
  const first = [lookUp('a'), lookUp('b'), lookUp('a')]
  await clock.advance(0)
  t.same(asked(), [['a', 'b']])
  await reply(0, { a: '1', b: '2' })
  t.same(await Promise.all(first), ['1', '2', '1'])
  const unknown = lookUp('none')
  await clock.advance(0)
  t.same(asked().slice(1), [['none']], 'at once')
  await reply(1)
  t.equal(await unknown, undefined)
  for (const slug of ['c', 'd', 'c']) void lookUp(slug)
  await clock.advance(99)
  t.equal(asked().length, 2)
  await clock.advance(1)
  t.same(asked().slice(2), [['c', 'd']])
})

t.test('an error reaches the calls of its statement only', async (t) => {
  const { clock, lookUp, statements, reply } = setUp()
  const failed = lookUp('a')
  await clock.advance(0)
  const next = lookUp('a')
  statements[0]?.reply.reject(new Error('cut'))
  await t.rejects(failed, { message: 'cut' })
  await clock.advance(100)
  await reply(1, { a: '1' })
  t.equal(await next, '1')
})

t.test('a statement without a reply delays the next one by a second', async (t) => {
  const { clock, lookUp, reply, asked } = setUp()
  void lookUp('a')
  await clock.advance(0)
  const next = lookUp('b')
  await clock.advance(1_099)
  t.equal(asked().length, 1)
  await clock.advance(1)
  t.same(asked(), [['a'], ['b']])
  await reply(1, { b: '2' })
  t.equal(await next, '2')
})

t.test('a statement has 500 slugs, and 5,000 slugs wait at most', async (t) => {
  const { clock, lookUp, reply, asked } = setUp()
  const running = lookUp('first')
  await clock.advance(0)
  const waiting = Array.from({ length: 5_000 }, (_none, index) => lookUp(`slug-${index}`))
  await t.rejects(lookUp('one-more'), { message: /too many wait/ })
  t.equal(asked().length, 1)
  await reply(0)
  t.equal(await running, undefined)
  for (let index = 1; index <= 10; index += 1) {
    await clock.advance(100)
    t.equal(asked()[index]?.length, 500)
    await reply(index)
  }
  t.same([...new Set(await Promise.all(waiting))], [undefined])
  t.equal(asked().length, 11)
})
