import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { type PopularPostsOptions, popularPosts } from '../../index.ts'
import { servicesOf } from '../../plugins/popular-posts.ts'
import { createFleetRate } from '../../views/fleet-rate.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { redisUrl, startRedis } from '../helpers/redis.ts'
import { clusterUrl } from '../helpers/redis-cluster.ts'
import { until } from '../helpers/services/until.ts'

// `viewsPerMinute` limits the views of one address to all processes that share a Redis.

const { db, url: databaseUrl } = await createTestDatabase(t)
await fillBlog(db, 10)
let browsers = 0

interface View {
  how?: 'POST' | 'GET'
  headers?: Record<string, string>
  slug?: string
}

/** Starts two processes, and returns how to send views to them, each of another reader. */
async function startTwo(t: Test, options: PopularPostsOptions) {
  const redisPrefix = randomUUID()
  const apps = await Promise.all(
    [0, 1].map(async () => {
      const app = Fastify()
      t.teardown(() => app.close())
      await app.register(popularPosts, {
        databaseUrl,
        redisPrefix,
        viewFlushSeconds: 0,
        viewsPerMinute: 4,
        readersPerAddress: 0,
        ...options,
      })
      await until(() => !app.popularPosts.backend().isDown, 'Redis is there')
      return app
    }),
  )
  const [first, second] = apps as [FastifyInstance, FastifyInstance]
  /** Sends a view of another reader, and waits until it is recorded. */
  async function view(app: FastifyInstance, from: string, { how = 'POST', headers = {}, slug = 'post-1' }: View = {}) {
    browsers += 1
    const agent = `Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/${browsers}.0`
    const reply = await app.inject({
      method: how,
      url: `/posts/${slug}/views${how === 'GET' ? '.gif' : ''}`,
      remoteAddress: from,
      headers: { 'user-agent': agent, ...headers },
    })
    await servicesOf(app).idle()
    return reply
  }
  const statuses = async (app: FastifyInstance, from: string, times: number, how: View = {}) => {
    const found: number[] = []
    for (let time = 0; time < times; time += 1) found.push((await view(app, from, how)).statusCode)
    return found
  }
  const counted = () => first.postViews.stats().counted + second.postViews.stats().counted
  return { first, second, redisPrefix, view, statuses, counted }
}

for (const [name, start] of [
  ['a single Redis', async () => ({ redisUrl: await redisUrl() })],
  ['a single Redis, without background work', async () => ({ redisUrl: await redisUrl(), backgroundWork: false })],
  ['a Cluster', async (t: Test) => ({ redisUrl: await clusterUrl(t) })],
] as const)
  t.test(`${name}: no view beyond viewsPerMinute counts, and both processes refuse the address`, async (t) => {
    const { first, second, view, statuses, counted } = await startTwo(t, await start(t))
    t.same(await statuses(first, '203.0.113.9', 3), [204, 204, 204])
    t.same(await statuses(second, '203.0.113.9', 2), [204, 204], 'the last one does not count')
    t.equal(counted(), 4)
    t.same(await statuses(second, '203.0.113.9', 1), [429])
    t.same(await statuses(first, '203.0.113.9', 2), [204, 429], 'a process hears of it with its next view')
    t.equal(counted(), 4)
    const refused = await view(second, '203.0.113.9', { how: 'GET' })
    t.match(refused.json(), {
      code: 'PP_TOO_MANY_VIEWS',
      message: 'Expected at most 4 views a minute from one address.',
    })
    t.match(refused.headers, { 'retry-after': /^[1-9]\d?$/ })
    t.same(await statuses(second, '203.0.113.10', 1), [204], 'another address')
    t.same(await statuses(first, '2001:db8::1', 3, { how: 'GET' }), [200, 200, 200])
    t.same(await statuses(second, '2001:db8::2:3', 3, { slug: 'post-2' }), [204, 204, 429], 'one /64, another post')
    t.equal(counted(), 4 + 1 + 4)
  })

t.test('repeats count towards the limit, and postViews.record has none', async (t) => {
  const { first, second, statuses, counted } = await startTwo(t, { redisUrl: await redisUrl() })
  const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' }
  t.same(await statuses(first, '203.0.113.9', 4, { headers }), [204, 204, 204, 204])
  t.equal(counted(), 1)
  t.same(await statuses(second, '203.0.113.9', 2), [204, 429])
  t.equal(counted(), 1)
  const request = { method: 'GET', ip: '203.0.113.9', headers: { 'user-agent': `${headers['user-agent']}.1` } }
  t.equal(await second.postViews.record({ slug: 'post-1', request }), 'counted')
})

t.test('a limit of the host takes the place of ours, and 0 is no limit', async (t) => {
  const shared = { redisUrl: await redisUrl() }
  const own = await startTwo(t, { ...shared, viewRateLimit: { max: 2 } })
  for (const app of [own.first, own.second])
    t.same(await own.statuses(app, '203.0.113.9', 3), [204, 204, 429], 'each process counts for itself')
  t.equal(own.counted(), 4)
  const none = await startTwo(t, { ...shared, viewsPerMinute: 0 })
  t.same(await none.statuses(none.first, '203.0.113.9', 6), [204, 204, 204, 204, 204, 204])
  t.equal(none.counted(), 6)
})

t.test('behind a proxy that is not trusted each process counts for itself', async (t) => {
  const { first, second, statuses, counted } = await startTwo(t, { redisUrl: await redisUrl() })
  const how = { headers: { 'x-forwarded-for': '198.51.100.1' } }
  t.same(await statuses(first, '10.0.0.1', 4, how), [204, 204, 204, 204])
  t.same(await statuses(second, '10.0.0.1', 5, how), [204, 204, 204, 204, 429])
  t.equal(counted(), 8)
})

t.test('the window ends a minute after its first view; its key holds no address, and always expires', async (t) => {
  const { first, second, redisPrefix, statuses, counted } = await startTwo(t, { redisUrl: await redisUrl() })
  const redis = new Redis(await redisUrl())
  t.teardown(() => redis.quit())
  t.same(await statuses(first, '203.0.113.9', 1), [204])
  const [key = '', ...others] = await redis.keys(`{${redisPrefix}}:views:client:*`)
  t.same(others, [])
  t.notMatch(key, /203/)
  const lifeMs = async () => redis.pttl(key)
  t.ok((await lifeMs()) > 0 && (await lifeMs()) <= 60_000)
  for (const spoil of [() => redis.persist(key), () => redis.pexpire(key, 600_000)]) {
    await spoil()
    t.same(await statuses(first, '203.0.113.9', 1), [204])
    t.ok((await lifeMs()) > 0 && (await lifeMs()) <= 60_000, 'without an end, or with one too late')
  }
  await redis.pexpire(key, 1_500)
  t.same(await statuses(second, '203.0.113.9', 3), [204, 204, 429])
  t.equal(counted(), 4)
  await sleep(1_600)
  t.same(await statuses(second, '203.0.113.9', 1), [204])
  t.equal(counted(), 5)
})

t.test('without a Redis that replies, each process counts for itself, and no request fails', async (t) => {
  const server = await startRedis()
  t.teardown(() => server.stop())
  const { first, second, statuses } = await startTwo(t, { redisUrl: server.url })
  t.same(await statuses(first, '203.0.113.9', 1), [204])
  await server.stop()
  t.same(await statuses(first, '203.0.113.9', 4), [204, 204, 204, 429])
  t.same(await statuses(second, '203.0.113.9', 5), [204, 204, 204, 204, 429])
})

t.test('a client is not refused for longer than a window when the clock goes back', (t) => {
  const realNow = Date.now
  t.teardown(() => {
    Date.now = realNow
  })
  const rate = createFleetRate(5)
  t.equal(rate.refusedForMs('203.0.113.9'), 0)
  Date.now = () => 1_000_000
  rate.of('203.0.113.9')?.onExceeded(60_000)
  t.equal(rate.refusedForMs('203.0.113.9:4711'), 60_000)
  t.equal(rate.refusedForMs('203.0.113.8'), 0)
  Date.now = () => 999_000
  t.equal(rate.refusedForMs('203.0.113.9'), 0)
  Date.now = () => 1_060_000
  t.equal(rate.refusedForMs('203.0.113.9'), 0)
  t.end()
})
