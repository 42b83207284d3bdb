import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { type PopularPostsOptions, popularPosts } from '../../index.ts'
import { MAX_ENTRY_BYTES } from '../../lists/encode-json.ts'

async function start(t: Test, options: PopularPostsOptions) {
  const lines: string[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line) => void lines.push(line) } } })
  await app.register(popularPosts, options)
  t.teardown(() => app.close())
  return { app, log: () => lines.join('') }
}

const circular: Record<string, unknown> = { slug: 'a' }
circular['itself'] = circular
const a = { slug: 'a' }
const huge = { slug: 'b', text: 'x'.repeat(MAX_ENTRY_BYTES) }

/** What a `load` of JavaScript may return, and what the log says about it. */
const WRONG: Record<string, [unknown, RegExp]> = {
  undefined: [undefined, /Expected load to return an array of objects, got undefined/],
  null: [null, /got null/],
  'a result of pg': [{ rows: [a] }, /got an object/],
  'a text': ['secret', /got a string/],
  'a Set': [new Set([a]), /got a Set/],
  'an item undefined': [[a, undefined], /item at index 1 of the list of load to be an object for JSON, got undefined/],
  'an item null': [[null], /at index 0 .*got null/],
  // biome-ignore lint/suspicious/noSparseArray: what is tested.
  'a sparse array': [[a, , a], /at index 1 .*got undefined/],
  'a text as an item': [['secret'], /at index 0 .*got a string/],
  'a function as an item': [[() => a], /got a function/],
  'an array as an item': [[[a]], /got an array/],
  'a Map as an item': [[new Map([['slug', 'a']])], /got a Map/],
  'a promise as an item': [[Promise.resolve(a)], /got a promise/],
  'a promise in an item': [
    [a, { slug: 'b', author: Promise.resolve(a) }],
    /at index 1 .*a promise in its property .+author/,
  ],
  'a query builder in an item': [
    // biome-ignore lint/suspicious/noThenProperty: what is tested.
    [{ slug: 'b', author: { then: (done: () => void) => done() } }],
    /a promise in its prop/,
  ],
  'a Set in an item': [[{ slug: 'a', tags: { all: new Set(['b']) } }], /a Set in its property .+all/],
  'a BigInt': [[a, { slug: 'b', views: 1n }], /at index 1 .*a BigInt in its property .+views/],
  circular: [[a, circular], /at index 1 .*cannot be encoded: Converting circular structure/],
  'toJSON that returns nothing': [[a, { toJSON() {} }], /at index 1 .*got undefined/],
  'toJSON that returns a text': [[new Date()], /at index 0 .*got a string/],
  'toJSON that throws': [
    [
      {
        toJSON() {
          throw new Error('of the host')
        },
      },
    ],
    /at index 0 .*cannot be encoded: of the host/,
  ],
  'too large': [[a, huge], /at most 16777216 bytes, got more with the item at index 1 of 2/],
}

for (const [name, [value, expected]] of Object.entries(WRONG)) {
  t.test(`load returns what is no list: ${name}`, async (t) => {
    const { app, log } = await start(t, { load: async () => value as [] })
    for (const url of ['/posts/popular', '/posts/popular?exclude=a']) {
      const reply = await app.inject(url)
      t.equal(reply.statusCode, 503, url)
      t.match(reply.json(), { code: 'PP_LOAD_FAILED' })
    }
    await t.rejects(app.popularPosts.get(), { code: 'PP_LOAD_FAILED' })
    t.match(log(), expected)
    t.notMatch(log(), /secret/)
  })
}

t.test('load rejects with what is no error, or throws', async (t) => {
  for (const [thrown, expected] of [
    ['a text', /a text/],
    [undefined, /"type":"undefined"/],
    [null, /null/],
    [{ code: 7 }, /code: 7/],
  ] as const) {
    for (const load of [
      () => Promise.reject(thrown),
      () => {
        throw thrown
      },
    ]) {
      const { app, log } = await start(t, { load })
      t.equal((await app.inject('/posts/popular')).statusCode, 503)
      t.match(log(), expected)
    }
  }
})

t.test('loadCategories and loadFilters are checked as load is', async (t) => {
  const load = async () => [a]
  const filtersOf = async (filters: unknown) => {
    const { app, log } = await start(t, { load, loadFilters: async () => filters as never })
    const { statusCode, body } = await app.inject('/posts/popular?tag=x')
    return `${statusCode} ${body.slice(0, 20)} ${log()}`
  }
  t.match(await filtersOf({ tags: ['x'] }), /^200 \[\{/, 'a missing array is empty')
  t.match(await filtersOf(undefined), /^503.*loadFilters to return an object, got undefined/)
  t.match(await filtersOf({ tags: 'x' }), /^503.*tags of loadFilters to be an array of slugs, got a string/)
  t.match(await filtersOf({ tags: ['x', 5] }), /^503.*tags of loadFilters/)
  // biome-ignore lint/suspicious/noSparseArray: what is tested.
  t.match(await filtersOf({ authors: ['x', , 'y'] }), /^503.*authors of loadFilters/)

  const { app, log } = await start(t, { load, loadCategories: async () => [a, null] as never })
  t.equal((await app.inject('/categories')).statusCode, 503)
  t.match(log(), /index 1 of the list of loadCategories/)
})

t.test('exclude leaves items without a slug in the list', async (t) => {
  const items = [{ title: 'none' }, a, { slug: null }, { slug: 5 }, { slug: 'b' }]
  const { app } = await start(t, { load: async () => items })
  const reply = await app.inject('/posts/popular?exclude=a&exclude=null&exclude=undefined')
  t.equal(reply.statusCode, 200)
  t.same(
    reply.json(),
    items.filter((item) => item !== a),
  )
})
