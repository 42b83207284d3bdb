import t from 'tap'
import { addViews, bucketStart } from '../../db/count-views.ts'
import type { PopularPost } from '../../index.ts'
import { createService, fillBlog } from '../helpers/blog.ts'
import { decayedViews } from '../helpers/decayed-views.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

const QUARTER_MS = 15 * 60 * 1000

t.test('GET /posts/popular?sort=trending', async (t) => {
  const { db, url } = await createTestDatabase(t)
  await fillBlog(db, 30)
  await db.deleteFrom('post_views_hourly').execute()
  await db.deleteFrom('post_views_daily').execute()
  await db.deleteFrom('post_views_total').execute()
  const nowMs = Date.now()
  const nowQuarter = bucketStart(nowMs) / QUARTER_MS
  const posts = await db.selectFrom('posts').select(['id', 'slug']).orderBy('published_at', 'desc').execute()
  // Ages of one to nine half-lives: posts popular last week against posts with few views today. The last five: none.
  const viewed = posts.slice(0, 25).map(({ id, slug }, index) => ({
    id: String(id),
    slug,
    history: [
      { quarter: nowQuarter - ((index * 37) % 11), views: 1 + ((index * 7) % 13) },
      { quarter: nowQuarter - 96 * (1 + ((index * 5) % 9)), views: 40 * (1 + ((index * 11) % 17)) },
      { quarter: nowQuarter - 96 * 365, views: 10_000 * (30 - index) },
    ],
  }))
  const count = (views: readonly { id: string; history: readonly { quarter: number; views: number }[] }[]) => {
    const buckets = views.flatMap(({ id, history }) =>
      history.map(({ quarter, views }) => ({ postId: id, bucketStartMs: quarter * QUARTER_MS, views })),
    )
    return db.transaction().execute((trx) => addViews(trx, { timeZone: 'UTC', nowMs, buckets }))
  }
  await count(viewed)
  const expected = [
    ...viewed.toSorted((a, b) => (decayedViews(a.history) < decayedViews(b.history) ? 1 : -1)).map(({ slug }) => slug),
    ...posts.slice(25).map(({ slug }) => slug),
  ]

  const app = await createService(t, url)
  const list = async (query: string) => {
    const response = await app.inject(`/posts/popular?sort=trending&${query}`)
    t.equal(response.statusCode, 200)
    return response.json<PopularPost[]>()
  }
  const slugs = async (query: string) => (await list(query)).map(({ slug }) => slug)

  await t.test('is in the order of decayed views for every window', async (t) => {
    for (const days of [0, 1, 30]) t.same(await slugs(`limit=50&days=${days}`), expected, `days=${days}`)
    t.same(await slugs('limit=5'), expected.slice(0, 5))
    t.not(expected[0], 'post-1', 'neither the newest nor the most viewed of all time')
  })

  await t.test('has the views of the window, and can be filtered', async (t) => {
    const [first] = await list('days=0&limit=1')
    const history = viewed.find(({ slug }) => slug === first?.slug)?.history ?? []
    const total = history.reduce((sum, { views }) => sum + views, 0)
    t.match(first, { views: total, totalViews: total })
    const odd = expected.filter((slug) => Number(slug.slice('post-'.length)) % 2 === 1)
    t.same(await slugs('category=odd&limit=50'), odd)
  })

  await t.test('has new views after a refresh', async (t) => {
    const last = posts.at(-1)
    await count([{ id: String(last?.id), history: [{ quarter: nowQuarter, views: 100_000 }] }])
    await app.popularPosts.invalidate('hard')
    t.same(await slugs('limit=3'), [last?.slug, ...expected.slice(0, 2)])
  })
})
