import Fastify from 'fastify'
import t from 'tap'
import popularPosts from '../../index.ts'

interface Line {
  level: number
  msg: string
  parameter?: string
  meant?: string
}

const lines: Line[] = []
const app = Fastify({
  logger: { level: 'debug', stream: { write: (text: string) => void lines.push(JSON.parse(text) as Line) } },
})
t.teardown(() => app.close())
await app.register(popularPosts, {
  load: async () => [{ slug: 'a' }],
  loadCategories: async () => [{ slug: 'c' }],
  loadFilters: async () => ({ categories: ['a'], tags: [], authors: [] }),
})

async function hints(path: string) {
  lines.length = 0
  const { statusCode } = await app.inject(path)
  const found = lines.filter(({ parameter }) => parameter !== undefined)
  for (const { level } of found) t.equal(level, 20, 'at debug')
  return { statusCode, hints: found.map(({ parameter, meant }) => `${parameter} ${meant}`) }
}

const RESEMBLES: Record<string, string[]> = {
  limit: [
    'limits',
    'Limit',
    'LIMIT',
    'limit[]',
    'limit[0]',
    'limt',
    'limitt',
    'imit',
    'lmiit',
    'linit',
    '_limit',
    'limti',
  ],
  offset: ['ofset', 'Offset', 'offsets', 'off_set'],
  days: ['day', 'Days', 'days[]', 'dyas'],
  sort: ['sorts', 'Sort', 'sort_', 'srot'],
  category: ['category[]', 'categories', 'Categories[]', 'Category', 'catgory', 'category[0]'],
  tag: ['tags', 'Tag', 'tag[]', 'tags[]'],
  author: ['authors', 'author[]', 'auhtor', 'autor'],
  language: ['languages', 'Language', 'langauge'],
  minViews: ['min_views', 'minviews', 'min-views', 'MinViews', 'minView'],
  exclude: ['exclude[]', 'excludes', 'Exclude', 'exlude'],
}

t.test('a parameter that resembles a known one is ignored, and named in the log at debug', async (t) => {
  for (const [meant, names] of Object.entries(RESEMBLES))
    for (const name of names)
      t.same(await hints(`/posts/popular?${encodeURIComponent(name)}=7`), {
        statusCode: 200,
        hints: [`${name} ${meant}`],
      })
})

t.test('other parameters are not named', async (t) => {
  const others =
    'utm_source=x&fbclid=y&_=1&v=2&tab=3&tax=4&page=5&per_page=6&q=7&x=8&limitless=9&constructor=1&__proto__=2&=3'
  t.same(await hints(`/posts/popular?limit=1&offset=0&days=7&sort=views&${others}`), { statusCode: 200, hints: [] })
  t.same(await hints('/posts/popular?category=a&exclude=a&exclude=b'), { statusCode: 200, hints: [] })
})

t.test('each route names its own parameters only', async (t) => {
  t.same(await hints('/categories?day=7&limits=3&limit=3'), { statusCode: 200, hints: ['day days'] })
})

t.test('of many parameters only the first are compared, and long names are not', async (t) => {
  const many = Array.from({ length: 500 }, (_none, index) => `limit[${index}]=1`).join('&')
  const { statusCode, hints: found } = await hints(`/posts/popular?${many}`)
  t.equal(statusCode, 200)
  t.equal(found.length, 20)
  t.same(await hints(`/posts/popular?limit${'['.repeat(40)}=1`), { statusCode: 200, hints: [] })
})
