import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import popularPosts, { type PopularPostsOptions } from '../../index.ts'
import { createService, fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { redisUrl } from '../helpers/redis.ts'
import { until } from '../helpers/services/until.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

async function setUp(t: Test, variables: NodeJS.ProcessEnv, processes = 1) {
  const database = await createTestDatabase(t)
  await fillBlog(database.db, 3)
  const apps: FastifyInstance[] = []
  while (apps.length < processes)
    apps.push(await createService(t, database.url, { TRUST_PROXY: 'loopback', ...variables }))
  const sum = () => {
    const total: Record<string, number> = {}
    for (const app of apps)
      for (const [name, count] of Object.entries(app.postViews.stats())) total[name] = (total[name] ?? 0) + count
    return total
  }
  return { ...database, apps, sum }
}

function send(app: FastifyInstance | undefined, from: string, headers: Record<string, string | string[]> = {}) {
  const all = { 'user-agent': FIREFOX, 'x-forwarded-for': from, ...headers }
  return app?.inject({ method: 'POST', url: '/posts/post-1/views', headers: all })
}

t.test('IGNORE: views do not count, over HTTP and by record(); the reply is the same', async (t) => {
  const { apps, sum, url } = await setUp(t, {
    IGNORE: '203.0.113.7, 2001:db8:7::/48, user-agent: StatusCheck, x-preview: *',
  })
  const [app] = apps
  const ignored: [string, Record<string, string>?][] = [
    ['203.0.113.7:4711'],
    ['[2001:db8:7:9::1]:443'],
    ['198.51.100.1', { 'user-agent': `${FIREFOX} statuscheck` }],
    ['198.51.100.2', { 'x-preview': 'yes' }],
  ]
  for (const [from, headers] of ignored) t.equal((await send(app, from, headers))?.statusCode, 204)
  await send(app, '198.51.100.1')
  await until(() => sum()['counted'] === 1, 'the reader counts')
  t.match(sum(), { ignored: 4, counted: 1, bot: 0, repeat: 0 })
  const { body } = (await app?.inject('/metrics')) ?? {}
  t.match(body, /popular_posts_views_total\{outcome="ignored"\} 4/)

  const host = Fastify()
  t.teardown(() => host.close())
  await host.register(popularPosts, { databaseUrl: url, ignore: ['10.0.0.0/8', 'cookie: staff='] })
  const record = (ip: string, headers = {}) =>
    host.postViews.record({
      slug: 'post-2',
      request: { method: 'GET', ip, headers: { 'user-agent': FIREFOX, ...headers } },
    })
  t.equal(await record('10.9.9.9'), 'ignored')
  t.equal(await record('203.0.113.7', { cookie: 'a=b; staff=1' }), 'ignored')
  t.equal(await record('203.0.113.7'), 'counted')
})

t.test('VIEW_ORIGINS: pages of other origins are refused', async (t) => {
  const { apps, sum } = await setUp(t, { VIEW_ORIGINS: 'https://blog.example, https://www.blog.example' })
  const [app] = apps
  const from = async (headers: Record<string, string>) => (await send(app, '198.51.100.1', headers))?.statusCode
  t.equal(await from({ origin: 'https://blog.example' }), 204)
  t.equal(await from({ referer: 'https://www.blog.example/a?b' }), 204)
  t.equal(await from({ origin: 'http://api.example', host: 'api.example' }), 204, 'a page of the service')
  for (const headers of [
    {},
    { origin: 'null' },
    { origin: 'https://evil.example' },
    { referer: 'https://evil.example/' },
  ])
    t.equal(await from(headers as Record<string, string>), 403, JSON.stringify(headers))
  const refused = await send(app, '198.51.100.1', { origin: 'https://evil.example' })
  t.match(refused?.json(), { code: 'PP_ORIGIN_REFUSED', statusCode: 403 })
  await until(() => Number(sum()['counted']) + Number(sum()['repeat']) === 3, 'they are recorded')
  const request = { method: 'GET', ip: '198.51.100.9', headers: { 'user-agent': FIREFOX } }
  t.equal(await app?.postViews.record({ slug: 'post-1', request }), 'counted', 'record() is of the server itself')
})

t.test('readers of one address are limited over all processes that share a Redis', async (t) => {
  const REDIS_URL = await redisUrl()
  const { apps, sum } = await setUp(t, { REDIS_URL, CACHE_PREFIX: `limit-${process.pid}` }, 2)
  const browsers = (from: (index: number) => string, count: number, offset = 0) =>
    Promise.all(
      Array.from({ length: count }, (_none, index) =>
        send(apps[index % 2], from(index), { 'user-agent': `${FIREFOX} ${offset + index}` }),
      ),
    )
  const replies = await browsers((index) => `203.0.113.9:${1000 + index}`, 100)
  t.ok(
    replies.every((reply) => reply?.statusCode === 204),
    'a client does not find out',
  )
  await until(() => Number(sum()['limited']) === 80, 'the address has 20 readers')
  t.match(sum(), { counted: 20, limited: 80 })
  // While Redis does not reply in time, no reader is limited. On a busy machine this may happen for the first network.
  let counted = 0
  for (let network = 1; network <= 8 && counted !== 100; network += 1) {
    const before = Number(sum()['counted'])
    // In parts, for the same reason.
    for (let from = 0; from < 140; from += 20)
      await browsers((index) => `2001:db8:${network}:${(from + index + 1).toString(16)}::1`, 20, 1_000 * network + from)
    const judged = 100 + 140 * network
    await until(() => Number(sum()['counted']) + Number(sum()['limited']) === judged, 'all are judged')
    counted = Number(sum()['counted']) - before
  }
  t.equal(counted, 100, 'a /48 has 100 readers')
})

t.test('wrong rules and origins are refused at registration', async (t) => {
  const wrong: [PopularPostsOptions, RegExp][] = [
    [
      { ignore: ['10.0.0.1', '10.0.0.0/33'] },
      /ignore: expected a list of addresses and networks such as .*, got "10.0.0.0\/33"/,
    ],
    [{ ignore: ['UptimeRobot'] }, /ignore: expected .* headers such as "user-agent: UptimeRobot".*, got "UptimeRobot"/],
    [{ ignore: '10.0.0.1' as unknown as string[] }, /ignore: expected a list .*, got "10.0.0.1"/],
    [{ ignore: [7] as unknown as string[] }, /ignore: expected a list .*, got 7/],
    [{ viewOrigins: ['blog.example'] }, /viewOrigins: expected a list of origins .*, got "blog.example"/],
    [{ viewOrigins: ['https://blog.example/'] }, /viewOrigins: /],
    [{ readersPerAddress: -1 }, /readersPerAddress: expected an integer from 0 to 1000000, got -1/],
  ]
  for (const [options, message] of wrong) {
    const app = Fastify()
    t.teardown(() => app.close())
    await t.rejects(async () => app.register(popularPosts, { load: async () => [], ...options }), {
      code: 'PP_INVALID_OPTIONS',
      message,
    })
  }
})

t.test('one of two processes has a clock that is ten years ahead: its views are of now', async (t) => {
  const REDIS_URL = await redisUrl()
  const { apps, db, sum } = await setUp(t, { REDIS_URL, CACHE_PREFIX: `clock-${process.pid}` }, 2)
  const rightNow = Date.now
  t.teardown(() => {
    Date.now = rightNow
  })
  const view = async (slug: string, ip: string, aheadMs: number) => {
    Date.now = () => rightNow() + aheadMs
    const request = { method: 'GET', ip, headers: { 'user-agent': FIREFOX } }
    const outcome = await apps[aheadMs === 0 ? 0 : 1]?.postViews.record({ slug, request })
    Date.now = rightNow
    t.equal(outcome, 'counted')
  }
  const before = await db.selectFrom('post_views_total').selectAll().orderBy('post_id').execute()
  await view('post-3', '203.0.113.1', 3650 * 86_400_000)
  await view('post-2', '203.0.113.1', 0)
  Date.now = () => rightNow() + 3650 * 86_400_000
  await apps[1]?.postViews.flush()
  Date.now = rightNow
  t.match(sum(), { flushed: 2 })
  const after = await db.selectFrom('post_views_total').selectAll().orderBy('post_id').execute()
  for (const [index, { heat, views }] of after.entries()) {
    const gained = heat - Number(before[index]?.heat)
    t.ok(gained < 0.01, `one view more of ${views}: ${gained}`)
  }
  const days = await db.selectFrom('post_views_daily').select('day').distinct().execute()
  t.equal(days.length, 1, 'all are of today')
  t.same(
    (await apps[0]?.popularPosts.get({ sort: 'trending' }))?.map(({ slug }) => slug),
    ['post-1', 'post-2', 'post-3'],
  )
})
