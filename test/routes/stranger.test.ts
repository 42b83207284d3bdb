import { randomUUID } from 'node:crypto'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import type { Pool } from 'pg'
import t, { type Test } from 'tap'
import { MAX_BOUNDED_BYTES } from '../../cache/protocol.ts'
import popularPosts from '../../index.ts'
import { servicesOf } from '../../plugins/popular-posts.ts'
import { createService, fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { redisUrl, startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/services/until.ts'

const READER = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' }
/** The numbers of filtered and other lists that a process loads at once: see `createLoadSlots`. */
const AT_ONCE = { filtered: 2, all: 4 }

interface Readiness {
  status: string
  checks: { database: { status: string } }
}

/** Different paths of filtered lists. */
const listsOf = (count: number) =>
  Array.from({ length: count }, (_none, index) => {
    const filter = ['category=odd', 'tag=start', 'author=ann'][index % 3]
    return `/posts/popular?${filter}&days=${4 + (index % 360)}&sort=${index % 2 === 0 ? 'views' : 'trending'}`
  })

/** Makes every ranking statement wait until the returned function is called: the test sets the cost of a list. */
async function holdLists(t: Test, pool: Pool): Promise<() => Promise<void>> {
  // Only lists read each row of this table.
  const client = await pool.connect()
  await client.query('begin')
  await client.query('lock table comments in access exclusive mode')
  let isHeld = true
  const release = async () => {
    if (isHeld) await client.query('rollback')
    if (isHeld) client.release()
    isHeld = false
  }
  t.teardown(release)
  return release
}

t.test('a client that requests any number of lists does not slow down readers', async (t) => {
  const { db, pool, url, countStatements, resetStatements } = await createTestDatabase(t)
  await fillBlog(db, 20)
  const app = await createService(t, url, { LOAD_TIMEOUT_SECONDS: '300', WAIT_TIMEOUT_SECONDS: '120' })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const get = (path: string) => fetch(`${address}${path}`)
  const status = async (path: string, options = {}) => (await fetch(`${address}${path}`, options)).status
  const ranking = async () => {
    const { rows } = await pool.query(
      `select count(*)::int as running from pg_stat_activity
       where datname = current_database() and state = 'active' and query like 'with "category_tree"%' and pid <> pg_backend_pid()`,
    )
    return rows[0].running as number
  }

  t.equal(await status('/posts/popular'), 200)
  t.equal(await status('/posts/popular?category=odd&days=1'), 200, 'the filters are known')
  await resetStatements()
  const release = await holdLists(t, pool)
  const wanted = listsOf(300)
  const answers = wanted.map(async (path) => {
    const response = await get(path)
    const { code } = (await response.json()) as { code?: string }
    return { statusCode: response.status, refusal: `${code} ${response.headers.get('retry-after')}` }
  })
  let most = 0
  await until(async () => {
    most = Math.max(most, await ranking())
    return app.popularPosts.stats().loadsRefused >= wanted.length - AT_ONCE.filtered
  }, 'all but the bound are refused')
  t.equal(most, AT_ONCE.filtered, 'statements at once, of filtered lists')

  await t.test('hits, views and probes get replies during that load', async (t) => {
    const view = { method: 'POST', headers: READER }
    const asked = Array.from({ length: 20 }, (_none, index) => [
      status('/posts/popular'),
      status(`/posts/post-${index + 1}/views`, view),
      status('/health/ready'),
    ])
    t.same([...new Set(await Promise.all(asked.flat()))].sort(), [200, 204])
    await until(async () => {
      const { status, checks } = (await (await get('/health/ready')).json()) as Readiness
      return status === 'ok' && checks.database.status === 'up'
    }, 'it is ready')
  })

  await t.test('lists without a filter have free slots, while any number of filtered lists waits', async (t) => {
    const plain = get('/posts/popular?days=7')
    await until(async () => (await ranking()) === AT_ONCE.filtered + 1, 'it is being loaded')
    await app.popularPosts.invalidate('soft', { wait: false })
    t.equal(await status('/posts/popular'), 200, 'stale, while it is refreshed')
    await until(async () => (await ranking()) === AT_ONCE.all, 'also the list of every page')
    await release()
    t.equal((await plain).status, 200)
  })

  const outcomes = await Promise.all(answers)
  const refused = outcomes.filter(({ statusCode }) => statusCode === 503)
  t.equal(refused.length, wanted.length - AT_ONCE.filtered)
  t.same([...new Set(refused.map(({ refusal }) => refusal))], ['PP_TOO_MANY_LOADS 1'])
  await servicesOf(app).idle()
  t.match(app.popularPosts.stats(), { loadsFailed: 0 })
  // The invalidation may overtake each running load, which then loads again.
  t.ok((await countStatements(/from "ranked"/)) <= 2 * AT_ONCE.all)
  for (const path of wanted.slice(0, 10)) t.equal(await status(path), 200, 'there is no cool-down')
})

t.test('Redis keeps a list that was read once for minutes, not for a day', async (t) => {
  const { db, url } = await createTestDatabase(t)
  await fillBlog(db, 5)
  const prefix = `stranger-${randomUUID()}`
  const redis = new Redis(await redisUrl())
  t.teardown(() => redis.disconnect())
  const app = await createService(t, url, { REDIS_URL: await redisUrl(), CACHE_PREFIX: prefix })
  const wanted = listsOf(60)
  for (const path of [...wanted, '/categories?days=5']) t.equal((await app.inject(path)).statusCode, 200)
  const lifeMs = (key: string) => redis.pttl(`{${prefix}}:v2:${key}`)
  const DAY_MS = 86_400_000
  // On a shared machine Redis sometimes counts as down, and the list is not stored.
  const lasts = async (path: string, key: string) =>
    until(async () => {
      await app.inject(path)
      return (await lifeMs(key)) > DAY_MS
    }, `${path} is kept`)
  await lasts('/posts/popular', '50:30')
  await lasts('/posts/popular?days=3&category=odd', '50:3:category:odd')
  await servicesOf(app).idle()
  const keys = (await redis.keys(`{${prefix}}:*`)).filter(
    (key) => !/:(?:gen|lease|cool|index|index-bytes)$|:cause:/.test(key),
  )
  const brief: string[] = []
  const lasting: string[] = []
  for (const key of keys) {
    const ms = await redis.pttl(key)
    if (ms > 120_000) lasting.push(key.replace(`{${prefix}}:v2:`, ''))
    else if (ms > 0) brief.push(key)
  }
  t.same(lasting.sort(), ['50:30', '50:3:category:odd', 'filters'])
  t.ok(brief.length > wanted.length / 2, `${brief.length} lists go soon`)
})

t.test("loads by a host's own function are limited, too", async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  let running = 0
  let most = 0
  const waiting: (() => void)[] = []
  await app.register(popularPosts, {
    loadFilters: async () => ({ categories: [], tags: ['a'], authors: [] }),
    async load() {
      running += 1
      most = Math.max(most, running)
      await new Promise<void>((resolve) => waiting.push(resolve))
      running -= 1
      return []
    },
  })
  await app.ready()
  const paths = Array.from(
    { length: 300 },
    (_none, days) => `/posts/popular?days=${days}${days % 2 === 0 ? '' : '&tag=a'}`,
  )
  const answers = Promise.all(paths.map(async (path) => (await app.inject(path)).statusCode))
  await until(() => app.popularPosts.stats().loadsRefused > 290, 'all but a few are refused')
  for (const resolve of waiting) resolve()
  const statuses = await answers
  t.same([...new Set(statuses)].sort(), [200, 503])
  t.ok(most >= 2 && most <= AT_ONCE.all, `${most} at once`)
})

t.test('a client that requests all lists again and again does not fill Redis', async (t) => {
  const server = await startRedis()
  t.teardown(() => server.stop())
  const redis = new Redis(server.url)
  t.teardown(() => redis.disconnect())
  const usedBytes = async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1])
  const app = Fastify()
  t.teardown(() => app.close())
  // Lists of two megabytes, so that few of them are more than the bound.
  const posts = Array.from({ length: 10 }, (_none, index) => ({ slug: `post-${index}`, text: 'x'.repeat(200_000) }))
  const tags = Array.from({ length: 20 }, (_none, index) => `tag-${index}`)
  await app.register(popularPosts, {
    redisUrl: server.url,
    loadFilters: async () => ({ categories: [], tags, authors: [] }),
    load: async () => posts,
  })
  await app.inject('/posts/popular')
  const before = await usedBytes()
  let most = 0
  let sent = 0
  for (let round = 0; round < 2; round += 1)
    for (let index = 0; index < 60; index += 1) {
      const path = `/posts/popular?tag=tag-${index % 20}&days=${index % 7}&sort=${index % 3 === 0 ? 'trending' : 'views'}`
      // The second request makes Redis keep a list for a day.
      for (const _time of [1, 2]) sent += (await app.inject(`${path}&limit=${1 + round}`)).statusCode === 200 ? 1 : 0
      most = Math.max(most, (await usedBytes()) - before)
    }
  t.equal(sent, 240)
  t.ok(most > 0.8 * MAX_BOUNDED_BYTES, 'the client has reached the bound')
  t.ok(most < 1.05 * MAX_BOUNDED_BYTES, `${Math.round(most / 2 ** 20)} MiB`)
  t.match((await app.inject('/posts/popular')).headers['cache-status'], /hit/, 'the list of every page is still there')
})
