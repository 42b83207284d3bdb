import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { createService, fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/services/until.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

async function setUp(t: Test, variables: NodeJS.ProcessEnv = {}) {
  const database = await createTestDatabase(t)
  await fillBlog(database.db, 3)
  const app = await createService(t, database.url, { TRUST_PROXY: 'loopback', ...variables })
  const totals = async () => {
    const rows = await database.db
      .selectFrom('posts')
      .innerJoin('post_views_total as total', 'total.post_id', 'posts.id')
      .select(['slug', 'views'])
      .execute()
    // fillBlog gives post-N 1,000 - N views.
    return Object.fromEntries(rows.map(({ slug, views }) => [slug, Number(views) - 1000 + Number(slug.slice(-1))]))
  }
  return {
    ...database,
    app,
    totals,
    view: (...args: Parameters<typeof viewOn> extends [unknown, ...infer R] ? R : never) => viewOn(app, ...args),
  }
}

function viewOn(app: FastifyInstance, slug: string, from = '203.0.113.1', headers: Record<string, string> = {}) {
  return app.inject({
    method: 'POST' as const,
    url: `/posts/${encodeURIComponent(slug)}/views`,
    headers: { 'user-agent': FIREFOX, 'x-forwarded-for': from, ...headers },
  })
}

t.test('POST /posts/:slug/views', async (t) => {
  const { app, db, view, totals, countStatements } = await setUp(t)

  await t.test('a view gets 204 at once, and the next flush counts it', async (t) => {
    const response = await view('post-2')
    t.equal(response.statusCode, 204)
    t.equal(response.body, '')
    t.equal(response.headers['cache-control'], 'no-store')
    t.same(await app.postViews.flush(), { batches: 1, views: 1, waiting: 0, aside: 0 })
    t.same(await totals(), { 'post-1': 0, 'post-2': 1, 'post-3': 0 })
  })

  await t.test('readers, repeats, bots and prefetches get the same reply', async (t) => {
    const shown = async (answer: ReturnType<typeof view>) => {
      const { statusCode, headers, body } = await answer
      const { date: _date, ...rest } = headers
      return { statusCode, headers: rest, body }
    }
    const reader = await shown(view('post-3', '203.0.113.7'))
    t.same(await shown(view('post-3', '203.0.113.7')), reader)
    t.same(await shown(view('post-3', '203.0.113.8', { 'user-agent': 'Googlebot/2.1' })), reader)
    t.same(await shown(view('post-3', '203.0.113.9', { 'sec-purpose': 'prefetch' })), reader)
    await app.postViews.flush()
    t.equal((await totals())['post-3'], 1)
    t.match(app.postViews.stats(), { counted: 2, repeat: 1, bot: 1, prefetch: 1, dropped: 0, flushed: 2, batches: 2 })
  })

  await t.test('two parallel views of one visitor count once', async (t) => {
    await Promise.all(Array.from({ length: 10 }, () => view('post-1', '203.0.113.20')))
    await app.postViews.flush()
    t.equal((await totals())['post-1'], 1)
  })

  await t.test('without a trusted proxy, the address of the client is that of its connection', async (t) => {
    for (const fake of ['198.51.100.1', '198.51.100.2']) await view('post-1', `${fake}, 203.0.113.30`)
    await app.postViews.flush()
    t.equal((await totals())['post-1'], 2, 'the address that the proxy saw, not the one that the client claims')
    const { app: direct, totals: directTotals } = await setUp(t, { TRUST_PROXY: '' })
    for (const fake of ['198.51.100.1', '198.51.100.2']) await viewOn(direct, 'post-1', fake)
    await direct.postViews.flush()
    t.equal((await directTotals())['post-1'], 1)
  })

  await t.test('works as a beacon from any origin, with any body, which is ignored', async (t) => {
    const types = [
      'text/plain;charset=UTF-8',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/json',
      'application/octet-stream',
      '',
      ' ',
      ';',
      'text',
      'text/',
      '/plain',
      'text/plain/more',
      'text plain',
      '; charset=utf-8',
      'multipart/form-data',
      'undefined',
      '*/*',
      'é',
      'x'.repeat(8_000),
    ]
    for (const [index, type] of [...types, undefined].entries()) {
      for (const payload of ['{"odd', '', undefined]) {
        const response = await app.inject({
          method: 'POST',
          url: '/posts/post-1/views',
          ...(payload === undefined ? {} : { payload }),
          headers: {
            'user-agent': FIREFOX,
            'x-forwarded-for': `203.0.113.${40 + index}`,
            origin: 'https://blog.example',
            ...(type === undefined ? {} : { 'content-type': type }),
          },
        })
        t.equal(response.statusCode, 204, `${type?.slice(0, 50)} with ${payload}`)
      }
    }
    const tooLong = await app.inject({ method: 'POST', url: '/posts/post-1/views', payload: 'x'.repeat(1025) })
    t.equal(tooLong.statusCode, 413)
  })

  await t.test('a slash at the end changes nothing', async (t) => {
    const before = (await totals())['post-2'] ?? 0
    const slashed = (slug: string, from: string, headers = {}) =>
      app.inject({
        method: 'POST',
        url: `/posts/${slug}/views/`,
        headers: { 'user-agent': FIREFOX, 'x-forwarded-for': from, ...headers },
      })
    t.equal((await slashed('post-2', '203.0.113.101')).statusCode, 204)
    t.equal((await slashed('post-2', '203.0.113.102', { 'content-type': '' })).statusCode, 204)
    t.equal((await view('post-2', '203.0.113.101')).statusCode, 204, 'the same visitor, without it')
    t.match((await slashed('none', '203.0.113.101')).json(), { statusCode: 404, code: 'PP_NO_SUCH_POST' })
    await app.postViews.flush()
    t.equal((await totals())['post-2'], before + 2)
  })

  await t.test('an image records a view by the same rules, and no cache stores it', async (t) => {
    const before = (await totals())['post-3'] ?? 0
    const image = (slug: string, from: string, headers = {}, method: 'GET' | 'HEAD' = 'GET') =>
      app.inject({
        method,
        url: `/posts/${encodeURIComponent(slug)}/views.gif?random=${from}`,
        headers: { 'user-agent': FIREFOX, 'x-forwarded-for': from, ...headers },
      })
    const response = await image('post-3', '203.0.113.111')
    t.equal(response.statusCode, 200)
    t.match(response.headers, {
      'content-type': 'image/gif',
      'cache-control': 'no-store',
      'cross-origin-resource-policy': 'cross-origin',
      etag: undefined,
      'last-modified': undefined,
    })
    t.equal(response.rawPayload.length, 42)
    t.equal(response.rawPayload.toString('latin1', 0, 10), 'GIF89a\x01\0\x01\0', 'one pixel')
    const others = [
      await image('post-3', '203.0.113.111'),
      await image('post-3', '203.0.113.112', { 'user-agent': 'Googlebot/2.1' }),
      await image('post-3', '203.0.113.113', { 'sec-purpose': 'prefetch;prerender' }),
      await image('post-3', '203.0.113.114', { 'if-none-match': '*', 'if-modified-since': new Date().toUTCString() }),
    ]
    for (const other of others) {
      t.equal(other.statusCode, 200)
      t.same(other.rawPayload, response.rawPayload)
      t.same({ ...other.headers, date: '' }, { ...response.headers, date: '' })
    }
    t.match(await image('post-3', '203.0.113.115', {}, 'HEAD'), { statusCode: 200, body: '' })
    t.equal((await view('post-3', '203.0.113.111')).statusCode, 204, 'a beacon of the same visitor')
    t.match((await image('none', '203.0.113.116')).json(), { statusCode: 404, code: 'PP_NO_SUCH_POST' })
    t.equal((await image('x'.repeat(501), '203.0.113.116')).statusCode, 400)
    await app.postViews.flush()
    t.equal((await totals())['post-3'], before + 2, 'that of the first request, and that with conditions')
  })

  await t.test('a post that is not live gets 404, with two statements at most for many requests', async (t) => {
    await db
      .insertInto('posts')
      .values([
        { slug: 'draft', title: 'Draft', url: '/draft' },
        { slug: 'private', title: 'P', url: '/p', published_at: new Date(0), is_private: true },
        { slug: 'later', title: 'L', url: '/l', published_at: new Date(Date.now() + 3_600_000) },
      ])
      .execute()
    for (const slug of ['draft', 'private', 'later', 'no such', '\0', '../x', `ü'"--`]) {
      const response = await view(slug)
      t.equal(response.statusCode, 404, slug)
      t.match(response.json(), { code: 'PP_NO_SUCH_POST', statusCode: 404 })
    }
    t.equal((await view('x'.repeat(501))).statusCode, 400)
    t.equal((await view('ü'.repeat(500))).statusCode, 404, 'as long as slugs may be')
    const asked = () => countStatements(/from posts\s+where posts\.slug = any/)
    const before = await asked()
    await Promise.all(Array.from({ length: 50 }, (_none, index) => view('nowhere', `203.0.113.${index}`)))
    t.ok((await asked()) - before <= 2)
  })

  await t.test('the database has no data about the visitor', async (t) => {
    await view('post-1', '203.0.113.99', { 'user-agent': `${FIREFOX} secret-agent` })
    await app.postViews.flush()
    for (const table of ['post_views_hourly', 'post_views_daily', 'post_views_total', 'post_views_batch'] as const) {
      const rows = await db.selectFrom(table).selectAll().execute()
      t.notMatch(JSON.stringify(rows), /203\.0\.113|secret-agent/, table)
    }
  })
})

t.test('too many views from one address are refused until the window ends', async (t) => {
  const { view, app } = await setUp(t)
  const headers = { 'user-agent': FIREFOX, 'x-forwarded-for': '203.0.113.1' }
  const image = () => app.inject({ url: '/posts/post-1/views.gif', headers })
  const slashed = () => app.inject({ method: 'POST', url: '/posts/post-1/views/', headers })
  for (let index = 0; index < 40; index += 1) {
    const statuses = [await view('post-1'), await slashed(), await image()].map(({ statusCode }) => statusCode)
    if (String(statuses) !== '204,204,200') t.fail(`${index}: ${statuses}`)
  }
  for (const refused of [await slashed(), await image()]) t.match(refused.json(), { code: 'PP_TOO_MANY_VIEWS' })
  const refused = await view('post-1')
  t.equal(refused.statusCode, 429)
  t.match(refused.json(), { statusCode: 429, code: 'PP_TOO_MANY_VIEWS', error: 'Too Many Requests' })
  t.ok(Number(refused.headers['retry-after']) >= 1 && Number(refused.headers['retry-after']) <= 60)
  t.equal((await view('post-1', '2001:db8::1')).statusCode, 204, 'others are not concerned')
  t.equal((await view('post-1', '203.0.113.2')).statusCode, 204)
})

t.test('a server that renders pages records views itself', async (t) => {
  const { app, totals } = await setUp(t)
  const outcomes: unknown[] = []
  const page = await createPage(app, outcomes)
  t.teardown(() => page.close())
  const visit = (method: 'GET' | 'HEAD', headers: Record<string, string> = {}) =>
    page.inject({ method, url: '/blog/post-1', headers: { 'user-agent': FIREFOX, ...headers } })
  await visit('GET')
  await visit('HEAD')
  await visit('GET', { 'x-user': 'ann' })
  await visit('GET', { 'x-user': 'ann', 'user-agent': `${FIREFOX} on a phone` })
  t.same(outcomes, ['counted', 'prefetch', 'counted', 'repeat'])
  t.equal(await app.postViews.record({ slug: 'nowhere', request: { method: 'GET', ip: '', headers: {} } }), undefined)
  await app.postViews.flush()
  t.equal((await totals())['post-1'], 2)
})

async function createPage(app: FastifyInstance, outcomes: unknown[]): Promise<FastifyInstance> {
  const { default: Fastify } = await import('fastify')
  const page = Fastify()
  page.get<{ Params: { slug: string } }>('/blog/:slug', async (request) => {
    const userId = request.headers['x-user']
    const { slug } = request.params
    outcomes.push(await app.postViews.record({ slug, request, ...(typeof userId === 'string' ? { userId } : {}) }))
    return 'a page'
  })
  return page
}

t.test('a cold list has all views that were recorded before its request', async (t) => {
  const { app, view } = await setUp(t)
  for (let index = 0; index < 3; index += 1) await view('post-3', `203.0.113.${index}`)
  const list = (await app.inject('/posts/popular')).json<{ slug: string; views: number }[]>()
  t.match(
    list.find(({ slug }) => slug === 'post-3'),
    { views: 1000 },
  )
})

t.test('recorded views are counted by the timer, and when the app closes', async (t) => {
  const { db, url } = await createTestDatabase(t)
  await fillBlog(db, 1)
  const views = async () => Number((await db.selectFrom('post_views_total').select('views').executeTakeFirst())?.views)
  const app = await createService(t, url)
  await viewOn(app, 'post-1')
  await app.close()
  t.equal(await views(), 1000)
  const { default: Fastify } = await import('fastify')
  const { default: popularPosts } = await import('../../index.ts')
  const host = Fastify()
  t.teardown(() => host.close())
  await host.register(popularPosts, { db, viewFlushSeconds: 1 })
  await viewOn(host, 'post-1')
  await until(async () => (await views()) === 1001, 'the timer has flushed')
})

t.test('without Redis views are kept in memory until the database is up', async (t) => {
  const { app, pool, totals, view } = await setUp(t)
  await view('post-1')
  await pool.query('alter table post_views_batch rename to away')
  await t.rejects(app.postViews.flush(), { code: '42P01' })
  await t.rejects(app.postViews.flush())
  t.equal((await view('post-1', '203.0.113.2')).statusCode, 204)
  await pool.query('alter table away rename to post_views_batch')
  t.same(await app.postViews.flush(), { batches: 2, views: 2, waiting: 0, aside: 0 })
  t.equal((await totals())['post-1'], 2)
  t.match(app.postViews.stats(), { flushesFailed: 2 })
})

t.test('a failure to delete old counters is logged, and retried', async (t) => {
  const { app, pool } = await setUp(t)
  t.match(await app.postViews.prune(), { hours: 0, days: 0, hasMore: false })
  await pool.query('alter table post_views_daily rename to away')
  await t.rejects(app.postViews.prune(), { code: '42P01' })
  await pool.query('alter table away rename to post_views_daily')
  t.match(await app.postViews.prune(), { hasMore: false })
})

t.test('while the database is down views of known posts are recorded, those of unknown posts get 503', async (t) => {
  const { app, pool, view } = await setUp(t)
  t.equal((await view('post-1')).statusCode, 204)
  await pool.query('alter table posts rename to away')
  const response = await view('post-2')
  t.equal(response.statusCode, 503)
  t.match(response.json(), { code: 'PP_LOOKUP_FAILED' })
  t.equal(response.headers['retry-after'], '1')
  t.equal((await view('post-1', '203.0.113.2')).statusCode, 204)
  t.equal(await app.postViews.record({ slug: 'post-2', request: { method: 'GET', ip: '', headers: {} } }), 'dropped')
  await pool.query('alter table away rename to posts')
  t.equal((await view('post-2')).statusCode, 204)
})

t.test(
  'with Redis: processes share visitors and the buffer; while Redis hangs views are kept, and no answer waits',
  async (t) => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const variables = { REDIS_URL: redis.url, TRUST_PROXY: 'loopback' }
    const { app: one, url, view, totals } = await setUp(t, variables)
    const two = await createService(t, url, variables)
    await view('post-1')
    await viewOn(two, 'post-1')
    await viewOn(two, 'post-2')
    await until(async () => one.postViews.stats().counted + two.postViews.stats().counted === 2, 'two have counted')
    t.same(await one.postViews.flush(), { batches: 1, views: 2, waiting: 0, aside: 0 })
    t.same(await totals(), { 'post-1': 1, 'post-2': 1, 'post-3': 0 })

    await viewOn(two, 'post-3')
    await until(async () => two.postViews.stats().counted > 0, 'it is in Redis')
    const { counted } = one.postViews.stats()
    await redis.kill('SIGSTOP')
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_none, index) => view('post-2', `203.0.113.${index + 50}`)),
    )
    t.ok(answers.every(({ statusCode }) => statusCode === 204))
    await until(async () => one.postViews.stats().counted === counted + 20, 'they are kept')
    await t.rejects(one.postViews.flush())
    await redis.kill('SIGCONT')
    // The first flush that works again may come while the connection that hung still holds these views.
    await until(async () => {
      await one.postViews.flush().catch(() => {})
      return (await totals())['post-2'] === 21
    }, 'they are counted')
    t.same(await totals(), { 'post-1': 1, 'post-2': 21, 'post-3': 1 })
    t.equal(one.postViews.stats().dropped, 0)
  },
)

t.test('a Redis that is too slow for lists still records views', async (t) => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const { app, view } = await setUp(t, { REDIS_URL: redis.url, TRUST_PROXY: 'loopback' })
  await view('post-1')
  await until(async () => app.postViews.stats().counted === 1, 'the salt is known')
  await redis.kill('SIGSTOP')
  await view('post-2')
  await app.popularPosts.get()
  t.equal(app.popularPosts.stats().isStoreDown, true)
  await redis.kill('SIGCONT')
  await until(async () => app.postViews.stats().counted === 2, 'the view is counted')
  t.match(app.postViews.stats(), { dropped: 0, flushesFailed: 0 }, 'and no list waits for views to be counted')
})
