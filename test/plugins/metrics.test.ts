import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import popularPosts, { type PopularPostsOptions } from '../../index.ts'
import metrics from '../../plugins/metrics.ts'
import { servicesOf } from '../../plugins/popular-posts.ts'
import { Durations } from '../../telemetry/duration-histogram.ts'
import { createService, fillBlog } from '../helpers/blog.ts'
import { readExposition } from '../helpers/exposition.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { redisUrl, startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/services/until.ts'
import { deferred } from '../helpers/virtual-clock.ts'

/** An app with the plugin and its metrics. */
async function createHost(t: Test, options: PopularPostsOptions) {
  const register = new Registry()
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(popularPosts, options)
  await app.register(metrics, { register })
  const read = async () => readExposition(await register.metrics())
  const sample = async (name: string, of = '') => (await read()).get(`popular_posts_${name}`)?.samples.get(of)
  return { app, register, read, sample }
}

/** A service on real servers, after requests of all kinds. */
async function busyService(t: Test) {
  const { db, url } = await createTestDatabase(t)
  await fillBlog(db, 3)
  const app = await createService(t, url, {
    REDIS_URL: await redisUrl(),
    CACHE_PREFIX: `metrics-${process.pid}-${Date.now()}`,
  })
  const get = (path: string) => app.inject(path)
  for (const path of ['/posts/popular', '/posts/popular?limit=1', '/categories', '/posts/popular?category=odd'])
    await get(path)
  await get('/posts/popular?days=x')
  await get('/wherever/<script>')
  const view = {
    method: 'POST',
    url: '/posts/post-1/views',
    headers: { 'user-agent': 'Mozilla/5.0 Firefox/130.0' },
  } as const
  await app.inject(view)
  await app.inject({ ...view, url: '/posts/secret-slug/views' })
  await until(() => app.postViews.stats().counted === 1, 'the view is recorded')
  await app.postViews.flush()
  await app.popularPosts.invalidate('soft')
  return { app, text: async () => (await get('/metrics')).body }
}

t.test('GET /metrics', async (t) => {
  const { app, text } = await busyService(t)
  const all = readExposition(await text())
  const ours = [...all].filter(([name]) => name.startsWith('popular_posts_'))

  await t.test('counts reads, loads and invalidations', async (t) => {
    const sample = (name: string, of = '') => all.get(`popular_posts_${name}`)?.samples.get(of)
    t.equal(sample('reads_total', '{outcome="hit"}'), 1)
    t.equal(sample('reads_total', '{outcome="miss"}'), 4, 'two lists, the categories, the filters')
    t.equal(sample('read_duration_seconds', '_count{outcome="miss"}'), 4)
    t.equal(sample('read_duration_seconds', '_bucket{outcome="miss",le="+Inf"}'), 4)
    t.ok(Number(sample('read_duration_seconds', '_sum{outcome="miss"}')) > 0)
    t.equal(sample('loads_total', '{outcome="loaded"}'), 4)
    t.equal(sample('load_duration_seconds', '_count{list="posts",outcome="loaded"}'), 2)
    t.equal(sample('load_duration_seconds', '_count{list="categories",outcome="loaded"}'), 1)
    t.equal(sample('load_duration_seconds', '_count{list="filters",outcome="loaded"}'), 1)
    t.equal(sample('invalidations_total', '{mode="soft"}'), 1)
    t.equal(sample('redis_up'), 1)
    t.equal(sample('views_total', '{outcome="counted"}'), 1)
    t.equal(sample('views_flushed_total'), 1)
    const route = (method: string, path: string, status: number) =>
      sample('http_request_duration_seconds', `_count{method="${method}",route="${path}",status="${status}"}`)
    t.equal(route('GET', '/posts/popular', 200), 3)
    t.equal(route('GET', '/posts/popular', 400), 1)
    t.equal(route('POST', '/posts/:slug/views', 204), 1)
    t.equal(route('POST', '/posts/:slug/views', 404), 1)
  })

  await t.test('is uncacheable text, with the metrics of the process', async (t) => {
    const { headers } = await app.inject('/metrics')
    t.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
    t.equal(headers['cache-control'], 'no-store')
    t.ok(all.has('process_resident_memory_bytes') && all.has('nodejs_eventloop_lag_p99_seconds'))
  })

  await t.test('follows the naming conventions of Prometheus', async (t) => {
    for (const [name, { type, help }] of ours) {
      t.match(help, /^[0-9A-Z].*\.$/, `${name}: a sentence`)
      if (type === 'counter') t.match(name, /_total$/)
      else if (type === 'histogram') t.match(name, /_duration_seconds$/)
      else t.match(name, /_(?:up|entries|bytes)$/)
    }
  })

  await t.test('has no label with a value from clients', async (t) => {
    const values = [...all.values()].flatMap(({ labels }) => [...labels.values()].flatMap((set) => [...set]))
    t.ok(values.includes('/posts/:slug/views'))
    t.notMatch(values.join('\n'), /secret-slug|wherever|script|post-1|127\.0\.0\.1|Firefox/)
  })

  await t.test('has the metrics of docs/metrics.md', async (t) => {
    const document = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8')
    const rows = [...document.matchAll(/^\| `(popular_posts_\w+)` \| (\w+) \|([^|]*)\|/gm)]
    t.same(
      rows.map(([, name, type, labels = '']) => [name, type, labels.match(/\w+/g) ?? []]).sort(),
      ours.map(([name, { type, labels }]) => [name, type, [...labels.keys()]]).sort(),
    )
  })
})

t.test('an app without a database has no metrics of views, and without Redis none of Redis', async (t) => {
  const { app, read, sample } = await createHost(t, { load: async () => [{ slug: 'a' }] })
  await app.popularPosts.get()
  await app.popularPosts.get({ days: 1 })
  t.same(
    [...(await read()).keys()].filter((name) => /redis_up|views|flush|http|process/.test(name)),
    [],
  )
  t.equal(await sample('memory_entries'), 2)
  t.equal(await sample('memory_bytes'), 24 + '{blog:popular}:v2:50:30'.length + '{blog:popular}:v2:50:1'.length)
})

t.test('two apps in a process have separate metrics, and a host may merge them', async (t) => {
  const options = { load: async () => [] }
  const [one, other] = [await createHost(t, options), await createHost(t, options)]
  await one.app.popularPosts.get()
  t.equal(await one.sample('reads_total', '{outcome="miss"}'), 1)
  t.equal(await other.sample('reads_total', '{outcome="miss"}'), 0)
  for (const { register } of [one, other]) {
    const [histogram] = (await register.getMetricsAsJSON()).filter(({ name }) => name.endsWith('wait_duration_seconds'))
    t.match(histogram?.values.at(-1), { value: 0, labels: {} }, 'as JSON, too')
  }
})

t.test('failures are counted: loads, expired lists, Redis', async (t) => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  let isDown = false
  const { app, sample } = await createHost(t, {
    redisUrl: redis.url,
    load: async () => (isDown ? Promise.reject(new Error('down')) : [{ slug: 'a' }]),
  })
  await app.popularPosts.get()
  isDown = true
  await app.popularPosts.invalidate('soft')
  await app.popularPosts.get()
  await until(async () => Number(await sample('loads_total', '{outcome="failed"}')) >= 1, 'the load fails')
  // On a busy machine Redis may miss its deadline, and the process loads once more for itself.
  t.ok(Number(await sample('load_duration_seconds', '_count{list="posts",outcome="failed"}')) >= 1)
  t.ok(Number(await sample('fail_safe_answers_total')) > 0)
  await redis.kill()
  await until(async () => {
    await app.popularPosts.get().catch(() => undefined)
    return (await sample('redis_up')) === 0
  }, 'a read finds Redis down')
  t.ok(Number(await sample('redis_failures_total')) >= 1)
})

t.test('a wait for another process is measured, and published', async (t) => {
  const loading = deferred<object[]>()
  const options = { redisUrl: await redisUrl(), redisPrefix: `waits-${process.pid}-${Date.now()}` }
  const one = await createHost(t, { ...options, load: () => loading.promise })
  const other = await createHost(t, { ...options, load: async () => [] })
  const first = one.app.inject('/posts/popular')
  // The first process has the lease before the second one requests it.
  await until(async () => (await servicesOf(one.app).backend.store.generation()) !== undefined, 'there is a generation')
  const second = other.app.inject('/posts/popular')
  await until(() => other.app.popularPosts.stats().waits === 1, 'it waits')
  loading.resolve([])
  t.match((await first).headers['server-timing'], /^cache;desc=miss, load;dur=\d+$/)
  t.match((await second).headers['server-timing'], /^cache;desc=miss, wait;dur=\d+$/)
  t.equal(await other.sample('wait_duration_seconds', '_count'), 1)
  other.register.resetMetrics()
  t.equal(await other.sample('wait_duration_seconds', '_count'), 0, 'the registry may be reset')
  t.equal(await one.sample('wait_duration_seconds', '_count'), 0)
})

t.test('Server-Timing has hits and expired lists', async (t) => {
  const { app } = await createHost(t, { load: async () => [{ slug: 'a' }] })
  const timing = async (path = '/posts/popular') => (await app.inject(path)).headers['server-timing']
  await timing()
  t.equal(await timing(), 'cache;desc=hit')
  await app.popularPosts.invalidate('soft')
  t.equal(await timing(), 'cache;desc=stale')
  t.equal(await timing('/posts/popular?category=none'), 'cache;desc=bypass')
})

t.test('without a registry, or before the plugin, registration fails with an error', async (t) => {
  const app = Fastify()
  await app.register(popularPosts, { load: async () => [] })
  await t.rejects(Promise.resolve(app.register(metrics, {} as { register: Registry })), {
    code: 'PP_INVALID_OPTIONS',
    message: /register: expected a Registry of prom-client/,
  })
  const early = Fastify()
  await t.rejects(Promise.resolve(early.register(metrics, { register: new Registry() })), /fastify-popular-posts/)
})

t.test('a duration is counted in its smallest bucket', async (t) => {
  const durations = new Durations()
  for (const ms of [0, 0.5, 0.6, 30_000, 30_001]) durations.add(ms)
  t.same(
    durations.buckets.filter(({ count }) => count > 0).map(({ le, count }) => [le, count]),
    [
      [0.0005, 2],
      [0.001, 1],
      [30, 1],
      ['+Inf', 1],
    ],
  )
  t.equal(durations.sumMs, 60_002.1)
})

t.test('the plugin registered twice adds the metrics once; two instances need two registries', async (t) => {
  const register = new Registry()
  const [one, other] = [Fastify(), Fastify()]
  t.teardown(() => Promise.all([one.close(), other.close()]))
  for (const app of [one, other]) await app.register(popularPosts, { load: async () => [] })
  await one.register(metrics, { register })
  await one.register(metrics, { register })
  await one.popularPosts.get()
  t.match(await register.metrics(), /popular_posts_reads_total\{outcome="miss"\} 1\n/)
  t.match(await register.metrics(), /popular_posts_read_duration_seconds_count\{outcome="miss"\} 1\n/)
  const second = new Registry()
  await one.register(metrics, { register: second })
  await one.popularPosts.get()
  t.match(await second.metrics(), /popular_posts_reads_total\{outcome="hit"\} 1\n/)
  await t.rejects(Promise.resolve(other.register(metrics, { register })), {
    code: 'PP_INVALID_OPTIONS',
    message: /register: expected a Registry for each instance/,
  })
})
