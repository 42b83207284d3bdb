import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import popularPosts, { type PopularPostsOptions } from '../../index.ts'
import { createSharedSlugs } from '../../views/shared-slugs.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { redisUrl, startRedis } from '../helpers/redis.ts'
import { clusterUrl } from '../helpers/redis-cluster.ts'
import { until } from '../helpers/services/until.ts'
import { deferred } from '../helpers/virtual-clock.ts'

// Live posts are remembered in Redis for all processes.

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

/** Starts processes that share one Redis and one database. */
async function startFleet(t: Test, size: number, options: PopularPostsOptions) {
  const redisPrefix = randomUUID()
  const apps = await Promise.all(
    Array.from({ length: size }, async () => {
      const app = Fastify()
      t.teardown(() => app.close())
      await app.register(popularPosts, { redisPrefix, viewFlushSeconds: 0, viewsPerMinute: 0, ...options })
      await until(() => !app.popularPosts.backend().isDown, 'Redis is there')
      return app
    }),
  )
  return async (process: number, slug: string) => {
    const url = `/posts/${encodeURIComponent(slug)}/views`
    return (await apps[process]?.inject({ method: 'POST', url, headers: { 'user-agent': FIREFOX } }))?.statusCode
  }
}

for (const [name, start] of [
  ['a single Redis', async () => ({ redisUrl: await redisUrl() })],
  ['a Cluster', async (t: Test) => ({ redisUrl: await clusterUrl(t) })],
] as const)
  t.test(`${name}: one look-up of each post for all processes, with and without background work`, async (t) => {
    const { db, url: databaseUrl, countStatements, resetStatements } = await createTestDatabase(t)
    await fillBlog(db, 10)
    const lookUps = () => countStatements(/from "posts" where posts\.slug = any/)
    const options = { databaseUrl, ...(await start(t)) }
    for (const backgroundWork of [false, true]) {
      const view = await startFleet(t, 4, { ...options, backgroundWork })
      await resetStatements()
      for (let post = 1; post <= 10; post += 1)
        for (let time = 0; time < 6; time += 1) t.equal(await view(time % 4, `post-${post}`), 204)
      t.equal(await lookUps(), 10)
      t.equal(await view(0, 'none'), 404)
      t.equal(await view(1, 'none'), 404)
      t.equal(await lookUps(), 12, 'a slug without a post is not remembered')
    }
  })

t.test('a post that is withdrawn counts no more at once, on every process that hears of changes', async (t) => {
  const { pool, url: databaseUrl } = await createTestDatabase(t)
  const view = await startFleet(t, 2, { databaseUrl, redisUrl: await redisUrl() })
  const statuses = (slug: string) => Promise.all([view(0, slug), view(1, slug)])
  for (const [slug, withdraw] of [
    ['deleted', `delete from posts where slug = 'deleted'`],
    ['renamed', `update posts set slug = 'other', title = 'Other' where slug = 'renamed'`],
    ['hidden', `update posts set is_private = true where slug = 'hidden'`],
  ] as const) {
    t.same(await statuses(slug), [404, 404])
    await pool.query(`insert into posts (slug, title, url, published_at) values ($1, '', '', now())`, [slug])
    t.same(await statuses(slug), [204, 204], `${slug} counts at once`)
    await pool.query(withdraw)
    // A post is remembered for ten seconds.
    const startedAtMs = performance.now()
    const isOver = async () => (await statuses(slug)).every((status) => status === (slug === 'renamed' ? 204 : 404))
    await until(isOver, `${slug} counts no more`)
    t.ok(performance.now() - startedAtMs < 6_000, slug)
  }
})

/** Posts in a database that the test writes, and processes that remember them in one Redis. */
async function setUp(t: Test, { url, ttlMs = 10_000 }: { url?: string; ttlMs?: number } = {}) {
  const client = new Redis(url ?? (await redisUrl()), { commandTimeout: 500, maxRetriesPerRequest: 1 })
  client.on('error', () => {})
  t.teardown(async () => client.disconnect())
  const prefix = randomUUID()
  const posts = new Map([['a', { id: '1', slug: 'a' }]])
  const asked: string[] = []
  let hold: Promise<void> | undefined
  const createProcess = () =>
    createSharedSlugs({
      redis: { client, ask: (work) => work() },
      prefix,
      ttlMs,
      async find(slugs) {
        asked.push(...slugs)
        const found = new Map([...posts].filter(([slug]) => slugs.includes(slug)))
        await hold
        return found
      },
    })
  return {
    client,
    posts,
    asked,
    createProcess,
    holdQueries(until: Promise<void> | undefined) {
      hold = until
    },
  }
}

t.test('a post is remembered for as long as the result of its query is valid, and no longer', async (t) => {
  const { createProcess, asked } = await setUp(t, { ttlMs: 300 })
  const [first, second] = [createProcess(), createProcess()]
  t.same(await first.find(['a', 'none']), new Map([['a', { id: '1', leftMs: 300 }]]))
  await sleep(50)
  const known = (await second.find(['a'])).get('a')
  t.ok(known !== undefined && known.leftMs > 0 && known.leftMs <= 250, `${known?.leftMs} ms are left`)
  t.same(asked, ['a', 'none'])
  await sleep(300)
  t.match((await second.find(['a'])).get('a'), { id: '1' })
  t.same(asked, ['a', 'none', 'a'])
})

t.test('only slugs as the database has them are remembered', async (t) => {
  const { createProcess, asked, posts, client } = await setUp(t)
  for (const form of ['A', 'earlier']) posts.set(form, { id: '1', slug: 'a' })
  for (let time = 0; time < 2; time += 1) t.equal((await createProcess().find(['A', 'earlier', 'none'])).size, 2)
  t.equal(asked.length, 6)
  t.same(await client.keys('*:slugs:of:A'), [])
})

t.test('a process that forgets uses no result of a query that began before', async (t) => {
  const { createProcess, asked, posts, holdQueries } = await setUp(t)
  const [slow, hears] = [createProcess(), createProcess()]
  const query = deferred<void>()
  holdQueries(query.promise)
  const before = slow.find(['a'])
  await until(() => asked.length === 1, 'the query of the slow process has begun')
  holdQueries(undefined)
  posts.delete('a')
  hears.forget()
  t.same(await hears.find(['a']), new Map())
  query.resolve()
  t.equal((await before).size, 1)
  t.same(await hears.find(['a']), new Map(), 'the slow process has stored an old result')
  posts.set('a', { id: '2', slug: 'a' })
  t.match(await hears.find(['a']), new Map([['a', { id: '2' }]]))
  const { length } = asked
  t.match(await createProcess().find(['a']), new Map([['a', { id: '2' }]]), 'the new result is for all')
  t.equal(asked.length, length)
})

t.test('when Redis does not reply, is full, or has lost its memory, the database is asked', async (t) => {
  const server = await startRedis()
  t.teardown(() => server.stop())
  const { createProcess, client, asked, posts } = await setUp(t, { url: server.url })
  posts.set('b', { id: '2', slug: 'b' })
  const process = createProcess()
  t.equal((await process.find(['a'])).size, 1)
  await client.config('SET', 'maxmemory', '1')
  t.match(await process.find(['a', 'b']), new Map(Object.entries({ a: { id: '1' }, b: { id: '2' } })), 'full')
  t.same(asked, ['a', 'b'])
  await client.config('SET', 'maxmemory', '0')
  await client.flushall()
  t.equal((await process.find(['a'])).size, 1, 'empty')
  await server.stop()
  process.forget()
  t.equal((await process.find(['a'])).size, 1, 'stopped')
  t.same(asked, ['a', 'b', 'a', 'a'])
})
