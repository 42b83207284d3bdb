import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { type PopularPostsOptions, popularPosts } from '../../index.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { startRedis } from '../helpers/redis.ts'
import { startProxy } from '../helpers/tcp-proxy.ts'

// One Redis, one prefix, two blogs.

async function createBlog(t: Test, id: string, posts: number) {
  const { db, url } = await createTestDatabase(t)
  await fillBlog(db, posts)
  // Databases of tests are copies of one template.
  await sql`update popular_posts_migration set timestamp = ${id}`.execute(db)
  return { db, url }
}

async function startApp(t: Test, options: PopularPostsOptions) {
  const warnings: string[] = []
  const stream = { write: (line: string) => void warnings.push(line) }
  const app = Fastify({ logger: { level: 'warn', stream } })
  t.teardown(() => app.close())
  await app.register(popularPosts, { viewFlushSeconds: 0, ...options })
  const posts = async () => (await app.popularPosts.get({ limit: 50 })).length
  return { app, warnings, posts }
}

t.test('a second blog with the same prefix neither reads nor writes what is the first one’s', async (t) => {
  const redis = await startRedis()
  t.teardown(redis.stop)
  const client = new Redis(redis.url)
  t.teardown(() => client.disconnect())
  const [one, two] = [await createBlog(t, 'one', 3), await createBlog(t, 'two', 5)]
  const first = await startApp(t, { databaseUrl: one.url, redisUrl: redis.url })
  const again = await startApp(t, { databaseUrl: one.url, redis: client })
  const second = await startApp(t, { databaseUrl: two.url, redisUrl: redis.url })

  t.equal(await first.posts(), 3)
  t.equal(await second.posts(), 5)
  t.equal(await again.posts(), 3)
  t.strictSame([first.warnings, again.warnings], [[], []])
  t.match(second.warnings, [/another blog uses the same prefix in Redis.*set another redisPrefix/])
  t.match(second.warnings.join(), '{blog:popular}:owner')
  t.same(
    [first, again, second].map(({ app }) => app.popularPosts.backend().kind),
    ['redis', 'redis', 'memory'],
  )

  const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' }
  const slug = String((await second.app.popularPosts.get({ limit: 1 }))[0]?.slug)
  t.equal(await second.app.postViews.record({ slug, request: { method: 'POST', ip: '10.0.0.1', headers } }), 'counted')
  t.match(await first.app.postViews.flush(), { views: 0 })
  t.match(await second.app.postViews.flush(), { views: 1 })

  const other = await startApp(t, { databaseUrl: two.url, redisUrl: redis.url, redisPrefix: 'other' })
  t.equal(await other.posts(), 5)
  t.match(other.app.popularPosts.backend(), { kind: 'redis' })
  t.same(other.warnings, [])
  await client.del('{blog:popular}:owner')
  const moved = await startApp(t, { databaseUrl: two.url, redisUrl: redis.url })
  t.match(moved.app.popularPosts.backend(), { kind: 'redis' }, 'as the warning says, when the other blog is gone')
})

t.test(
  'without background work: Redis knows the blog at an address, so later starts do not ask the database',
  async (t) => {
    const redis = await startRedis()
    t.teardown(redis.stop)
    const client = new Redis(redis.url)
    t.teardown(() => client.disconnect())
    const [one, two] = [await createBlog(t, 'one', 3), await createBlog(t, 'two', 5)]
    const wires = await Promise.all([one, two].map(({ url }) => startProxy(t, Number(new URL(url).port))))
    const start = (blog: 0 | 1) => {
      const { port } = wires[blog] ?? {}
      const url = new URL((blog === 0 ? one : two).url)
      url.port = String(port)
      return startApp(t, { databaseUrl: url.href, redisUrl: redis.url, backgroundWork: false })
    }
    const kinds = (...apps: Awaited<ReturnType<typeof start>>[]) =>
      apps.map(({ app }) => app.popularPosts.backend().kind)
    const [first, second] = [await start(0), await start(1)]
    t.same(kinds(first, second), ['redis', 'memory'])
    t.same([await first.posts(), await second.posts()], [3, 5])
    t.match(second.warnings, [/another blog uses the same prefix in Redis/])
    for (const { app } of [first, second]) await app.close()

    for (const wire of wires) await wire.stop()
    const [again, other] = [await start(0), await start(1)]
    t.same(kinds(again, other), ['redis', 'memory'], 'the databases are away')
    t.equal(await again.posts(), 3, 'from the cache')
    t.equal((await other.app.inject('/posts/popular')).statusCode, 503, 'not the list of the other blog')

    const places = (await client.keys('*:owner:*')).length
    t.equal(places, 2)
    await client.del('{blog:popular}:owner')
    t.same(kinds(await start(1)), ['redis'], 'the owner is not known, and the database neither')
  },
)

t.test('where the blog is not known, nothing is refused', async (t) => {
  const redis = await startRedis()
  t.teardown(redis.stop)
  const { url } = await createBlog(t, 'one', 3)
  const first = await startApp(t, { databaseUrl: url, redisUrl: redis.url })
  const { url: unmigrated } = await createTestDatabase(t, { migrate: false })
  const second = await startApp(t, { databaseUrl: unmigrated, redisUrl: redis.url, load: async () => [] })
  const third = await startApp(t, { load: async () => [], redisUrl: redis.url })
  const fourth = await startApp(t, {
    databaseUrl: 'postgres://x@127.0.0.1:1/x',
    redisUrl: redis.url,
    load: async () => [],
  })
  for (const { app } of [first, second, third, fourth]) t.match(app.popularPosts.backend(), { kind: 'redis' })
})
