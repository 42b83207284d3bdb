import { metrics } from '@opentelemetry/api'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import Fastify from 'fastify'
import t from 'tap'
import popularPosts from '../../index.ts'
import { servicesOf } from '../../plugins/popular-posts.ts'
import { watchWithOpenTelemetry } from '../../telemetry/opentelemetry.ts'
import { redisUrl } from '../helpers/redis.ts'
import { until } from '../helpers/services/until.ts'
import { deferred } from '../helpers/virtual-clock.ts'

t.test('a meter gets reads, loads and waits until reports are stopped', async (t) => {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const provider = new MeterProvider({ readers: [reader] })
  metrics.setGlobalMeterProvider(provider)
  const stop = watchWithOpenTelemetry(metrics.getMeter('popular-posts'))
  t.teardown(async () => {
    await provider.shutdown()
    metrics.disable()
  })
  /** The values of each set of attributes by name; for histograms the count. */
  const exported = async () => {
    exporter.reset()
    await provider.forceFlush()
    const all = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
    return new Map(
      all.map(({ descriptor: { name, unit }, dataPoints }) => [
        `${name} ${unit}`,
        dataPoints.map(({ attributes, value }) => [
          attributes['outcome'] ?? '',
          typeof value === 'object' ? ('count' in value ? value.count : undefined) : value,
        ]),
      ]),
    )
  }

  const options = { redisUrl: await redisUrl(), redisPrefix: `otel-${process.pid}-${Date.now()}` }
  const loading = deferred<object[]>()
  let isDown = false
  const [one, other] = [Fastify(), Fastify()]
  t.teardown(() => Promise.all([one.close(), other.close()]))
  const load = () => (isDown ? Promise.reject(new Error('down')) : loading.promise)
  await one.register(popularPosts, { ...options, load })
  await other.register(popularPosts, { ...options, load: async () => [] })

  const first = one.popularPosts.get()
  await until(async () => (await servicesOf(one).backend.store.generation()) !== undefined, 'there is a generation')
  const second = other.popularPosts.get()
  await until(() => other.popularPosts.stats().waits === 1, 'it waits')
  loading.resolve([])
  await Promise.all([first, second])
  await one.popularPosts.get()
  isDown = true
  await one.popularPosts.get({ days: 1 }).catch(() => undefined)
  await one.popularPosts.invalidate('soft')

  const before = await exported()
  t.same(before.get('popular_posts.reads {read}'), [
    ['hit', 1],
    ['stale', 0],
    ['miss', 2],
  ])
  t.same(before.get('popular_posts.loads {load}'), [
    ['loaded', 1],
    ['failed', 1],
  ])
  t.same(before.get('popular_posts.load.duration s'), [
    ['loaded', 1],
    ['failed', 1],
  ])
  t.same(before.get('popular_posts.wait.duration s'), [['', 1]])
  t.same(before.get('popular_posts.invalidations {invalidation}'), [['', 1]])
  for (const name of [
    'loads_refused {load}',
    'wait_timeouts {read}',
    'fail_safe_answers {answer}',
    'takeovers {load}',
    'redis_failures {failure}',
    'redis_refusals {command}',
    'redis_evicted_keys {key}',
  ])
    t.same(before.get(`popular_posts.${name}`), [['', 0]], name)

  stop()
  await other.popularPosts.get()
  t.same((await exported()).get('popular_posts.reads {read}'), before.get('popular_posts.reads {read}'))
})

t.test('several watchers of one meter report each event once, also after all have been stopped', async (t) => {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const provider = new MeterProvider({ readers: [reader] })
  t.teardown(() => provider.shutdown())
  const meterOf = () => provider.getMeter('blog')
  const values = async (name: string) => {
    exporter.reset()
    await provider.forceFlush()
    const all = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
    const found = all.filter(({ descriptor }) => descriptor.name === `popular_posts.${name}`)
    t.equal(found.length, 1, `${name} is one metric`)
    return found.flatMap(({ dataPoints }) =>
      dataPoints.map(({ value }) => (typeof value === 'object' && 'count' in value ? value.count : value)),
    )
  }
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(popularPosts, { load: async () => [] })
  const read = (days: number) => app.popularPosts.get({ days })

  const stop = watchWithOpenTelemetry(meterOf())
  await read(1)
  const stopSecond = watchWithOpenTelemetry(meterOf())
  await read(2)
  t.same(await values('reads'), [0, 0, 2])
  t.same(await values('load.duration'), [2])
  stop()
  stop()
  await read(3)
  t.same(await values('reads'), [0, 0, 3], 'one of two is left')
  stopSecond()
  await read(4)
  t.same(await values('reads'), [0, 0, 3])
  t.teardown(watchWithOpenTelemetry(meterOf()))
  await read(5)
  t.same(await values('reads'), [0, 0, 4], 'the counters do not go back')
  t.same(await values('load.duration'), [4])
})
