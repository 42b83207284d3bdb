import Fastify from 'fastify'
import t from 'tap'
import popularPosts, { type PopularPostsQuery } from '../../index.ts'
import { expectations } from '../../lists/query.ts'
import { querySchema } from '../../routes/query-schema.ts'
import { checkOptions } from '../../settings/check-options.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

t.test('app.popularPosts.get takes each parameter of GET /posts/popular, and returns the same list', async (t) => {
  const { db, url: databaseUrl } = await createTestDatabase(t)
  await fillBlog(db, 12)
  await db.updateTable('posts').set({ language: 'en-GB' }).where('slug', 'in', ['post-4', 'post-5']).execute()
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(popularPosts, { databaseUrl, combineFilters: true })
  const queries: PopularPostsQuery[] = [
    {},
    { limit: 3 },
    { limit: 3, offset: 2 },
    { days: 7 },
    { sort: 'trending' },
    { category: 'odd' },
    { category: ['odd', 'none'], tag: 'start' },
    { tag: ['start'] },
    { author: 'ann' },
    { excludeCategory: 'odd' },
    { excludeCategory: ['odd', 'none'], author: ['ann', 'none'] },
    { language: 'en' },
    { publishedWithin: 1 },
    { minViews: 995 },
    { exclude: ['post-1', 'post-3'] },
    { days: 0, category: 'odd', publishedWithin: 7, offset: 1, limit: 2, minViews: 1, exclude: ['post-3'] },
  ]
  for (const query of queries) {
    const parameters = Object.entries(query).flatMap(([name, value]) => [value].flat().map((each) => `${name}=${each}`))
    const path = `/posts/popular?${parameters.join('&')}`
    const posts = await app.popularPosts.get(query)
    t.ok(posts.length > 0, path)
    t.same((await app.inject(path)).json(), JSON.parse(JSON.stringify(posts)), path)
  }
  const settings = checkOptions({ databaseUrl })
  const names = Object.keys(querySchema(settings)).sort()
  t.same(names, Object.keys(expectations(settings)).sort())
  t.same([...new Set(queries.flatMap((query) => Object.keys(query)))].sort(), names, 'each one is tested')
})
