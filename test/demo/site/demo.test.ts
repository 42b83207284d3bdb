import t from 'tap'
import { createLiveRefresh } from '../../../demo/site/live-refresh.ts'
import { createTestDatabase } from '../../helpers/postgres.ts'
import { until } from '../../helpers/services/until.ts'
import { createSite, fillWithDemo } from '../../helpers/site.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

async function setUp(t: Parameters<typeof createSite>[0]) {
  const { db, url } = await createTestDatabase(t)
  await fillWithDemo(db)
  return { db, app: await createSite(t, { db, url }) }
}

t.test('views change the ranking within seconds, without an expiry', async (t) => {
  const { app } = await setUp(t)
  const first = async () => (await app.popularPosts.get({ days: 1, limit: 1 }))[0]
  const [leader] = await app.popularPosts.get({ days: 1, limit: 1 })
  const last = (await app.popularPosts.get({ days: 1, limit: 50 })).at(-1)
  const rounds = Math.ceil((Number(leader?.views) + 1) / 25)
  for (let round = 0; round < rounds; round += 1) {
    const response = await app.inject({ method: 'POST', url: `/demo/readers/${last?.slug}` })
    t.same(response.json(), { readers: 25 })
  }
  await until(async () => (await first())?.slug === last?.slug, 'the last has become the first')
  t.ok(app.popularPosts.stats().hits > 0)
  t.ok((await app.inject('/demo/stats')).json().loads >= 2, 'pages see that lists were loaded')
  t.same((await app.inject({ method: 'POST', url: '/demo/readers/nobody-wrote-this' })).json(), { readers: 0 })
})

t.test('the panel shows requests, queries and saved queries', async (t) => {
  const { app } = await setUp(t)
  t.match((await app.inject('/demo/stats')).json(), { requests: 0, queries: 0, saved: 0, loads: 0, invalidations: 0 })
  await Promise.all(Array.from({ length: 20 }, () => app.inject('/posts/popular')))
  const before = (await app.inject('/demo/stats')).json()
  t.match(before, { requests: 20, queries: 1, saved: 19, loads: 1, invalidations: 0 })
  t.equal((await app.inject({ method: 'POST', url: '/demo/invalidate' })).statusCode, 204)
  for (let request = 0; request < 80; request += 1) await app.inject('/posts/popular')
  const { headers, ...after } = await app.inject('/demo/stats')
  t.equal(headers['cache-control'], 'no-store')
  t.match(JSON.parse(after.body), { requests: 100, queries: 2, saved: 98, hitRate: 79, loads: 2, invalidations: 1 })
  await until(async () => {
    const { lastMinute } = (await app.inject('/demo/stats')).json()
    const sum = (counts: number[]) => counts.reduce((total, count) => total + count, 0)
    return lastMinute.requests.length === 60 && sum(lastMinute.requests) === 100 && sum(lastMinute.queries) === 2
  }, 'the last minute holds them')
})

t.test('after the first real post of any source, visitors cannot change the demo', async (t) => {
  const { db, app } = await setUp(t)
  const statuses = async () => {
    const responses = [
      await app.inject({ method: 'POST', url: '/demo/invalidate' }),
      await app.inject({ method: 'POST', url: '/demo/readers/stile-etiquette' }),
    ]
    return responses.map(({ statusCode }) => statusCode)
  }
  t.same(await statuses(), [204, 200])
  const real = { slug: 'real', title: 'Real', url: '/real' }
  // A draft counts as a real post.
  for (const published_at of [new Date(), null]) {
    await db
      .insertInto('posts')
      .values({ ...real, published_at })
      .execute()
    t.same(await statuses(), [404, 404], 'in the very next request')
    await db.deleteFrom('posts').where('slug', '=', 'real').execute()
    t.same(await statuses(), [204, 200])
  }
  await db.updateTable('posts').set(real).where('slug', '=', 'stile-etiquette').execute()
  t.same(await statuses(), [404, 404], 'a post of the demo was made a real one')
  await db.updateTable('posts').set({ slug: 'stile-etiquette' }).where('slug', '=', 'real').execute()
  t.same(await statuses(), [204, 200])
  await db.schema.dropTable('site_facts').execute()
  t.same(await statuses(), [404, 404], 'the database does not say')
})

t.test('requests to the demo controls are rate limited', async (t) => {
  const { app } = await setUp(t)
  const statuses = new Map<number, number>()
  for (let request = 0; request < 61; request += 1) {
    const { statusCode } = await app.inject({ method: 'POST', url: '/demo/readers/stile-etiquette' })
    statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1)
  }
  t.same(
    [...statuses],
    [
      [200, 60],
      [429, 1],
    ],
  )
})

t.test(
  'the demo refresh runs one at a time, only after views, only when enabled, and continues after failures',
  async (t) => {
    const { app } = await setUp(t)
    const view = () =>
      app.postViews.record({
        slug: 'stile-etiquette',
        request: { method: 'POST', ip: '192.0.2.1', headers: { 'user-agent': FIREFOX } },
        userId: `${Math.random()}`,
      })
    let asked = 0
    let answer: () => Promise<boolean> = async () => false
    const isWanted = () => {
      asked += 1
      return answer()
    }
    const beat = createLiveRefresh(app, { lists: () => [{ days: 7 }], isWanted })
    const loads = () => app.popularPosts.stats().loads
    await beat()
    t.equal(asked, 0, 'nothing was read')
    await view()
    await beat()
    t.same([asked, loads()], [1, 0], 'not wanted')
    answer = async () => {
      throw new Error('the database is down')
    }
    await beat()
    t.equal(loads(), 0)
    answer = async () => true
    await Promise.all([beat(), beat()])
    t.equal(loads(), 1)
    await beat()
    t.equal(loads(), 1)
  },
)
