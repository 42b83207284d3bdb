import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { WaitTimeoutError } from '../../cache/errors.ts'
import type { CacheEvent } from '../../cache/events.ts'
import { createMemoryStore } from '../../cache/memory-store.ts'
import { createReadThroughCache } from '../../cache/read-through-cache.ts'
import { popularPosts } from '../../index.ts'
import { redisUrl } from '../helpers/redis.ts'
import { createNames, createVirtualClock, deferred } from '../helpers/virtual-clock.ts'
import { policy } from './policy.ts'

function setUp(t: Test) {
  const clock = createVirtualClock()
  const events: CacheEvent[] = []
  const nonce = createNames()
  const store = createMemoryStore({ clock, nonce })
  const createProcess = (backgroundWork = true) =>
    createReadThroughCache({
      store,
      clock,
      random: () => 0.5,
      nonce,
      policy: { ...policy, waitTimeoutMs: 5_000 },
      backgroundWork,
      observe: (event) => void events.push(event),
    })
  const cache = createProcess()
  t.teardown(() => cache.settle())
  const loading = deferred<Uint8Array>()
  /** What became of a read, so far. */
  const watch = (read: Promise<{ value: Uint8Array; outcome: string }>) => {
    const seen = { state: 'waits' }
    read.then(
      ({ value, outcome }) => {
        seen.state = `${outcome} ${Buffer.from(value)}`
      },
      (error: { code: string }) => {
        seen.state = error.code
      },
    )
    return seen
  }
  return { clock, events, cache, createProcess, load: () => loading.promise, loading, watch }
}
const never = () => Promise.reject(new Error('there is a lease'))

t.test('a reader waits at most for waitTimeoutMs: its own load, a joined one, that of another process', async (t) => {
  const { clock, cache, createProcess, load, loading, watch } = setUp(t)
  const own = watch(cache.read('a', load))
  const joined = watch(cache.read('a', never))
  const other = watch(createProcess().read('a', never))
  await clock.advance(3_000)
  const late = watch(cache.read('a', never))
  await clock.advance(1_900)
  t.same([own.state, joined.state, other.state], ['waits', 'waits', 'waits'])
  await clock.advance(400)
  t.same([own.state, joined.state, other.state], ['PP_WAIT_TIMEOUT', 'PP_WAIT_TIMEOUT', 'PP_WAIT_TIMEOUT'])
  t.equal(late.state, 'waits', 'each reader has its own time')
  loading.resolve(Buffer.from('v1'))
  await clock.advance(10)
  t.equal(late.state, 'collapsed v1')
  t.match(await cache.read('a', never), { outcome: 'hit' }, 'the load went on, and its value is stored')
  t.equal(new WaitTimeoutError().retryAfterMs, 1_000)
})

t.test('a reader that began to wait before has less time; endWaits ends all waits', async (t) => {
  const { clock, cache, load, watch, events } = setUp(t)
  await clock.advance(4_000)
  const reader = watch(cache.read('a', load, 0, 0))
  await clock.advance(1_100)
  t.equal(reader.state, 'PP_WAIT_TIMEOUT')
  const closing = watch(cache.read('b', load))
  await clock.advance(10)
  cache.endWaits()
  await clock.advance(10)
  t.equal(closing.state, 'PP_WAIT_TIMEOUT')
  const late = watch(cache.read('c', load))
  await clock.advance(600_000)
  t.equal(late.state, 'PP_WAIT_TIMEOUT')
  t.match(
    events.filter(({ type }) => type === 'wait-timeout'),
    [
      { key: 'a', isFirst: true },
      { key: 'b', isFirst: false },
      { key: 'c', isFirst: false },
    ],
  )
  const next = watch(cache.read('d', load))
  await clock.advance(6_000)
  t.equal(next.state, 'PP_WAIT_TIMEOUT')
  t.match(events.filter(({ type }) => type === 'wait-timeout').at(-1), { key: 'd', isFirst: true })
})

t.test('an older value, though it is past its stale time, is served instead of an error', async (t) => {
  const { clock, cache, createProcess, load, watch } = setUp(t)
  await cache.read('a', async () => Buffer.from('old'))
  await clock.advance(policy.ttlMs + policy.staleMs + 1_000)
  const readers = [watch(cache.read('a', load)), watch(createProcess().read('a', never))]
  await clock.advance(4_900)
  t.same(
    readers.map(({ state }) => state),
    ['waits', 'waits'],
  )
  await clock.advance(400)
  t.same(
    readers.map(({ state }) => state),
    ['stale old', 'stale old'],
  )
  const after = watch(cache.read('a', never))
  await cache.invalidate('hard')
  await clock.advance(6_000)
  t.equal(after.state, 'PP_WAIT_TIMEOUT', 'no value from before a hard invalidation')
  await clock.advance(60_000)
})

t.test('the holder dies in that moment: the last request gets the lease, and loads in the background', async (t) => {
  const { clock, cache, load, loading, watch } = setUp(t)
  const reader = watch(cache.read('a', load))
  await clock.advance(100)
  // The entry is free again, and the read in flight does not know it.
  await cache.invalidate('hard')
  const second = watch(cache.read('a', async () => Buffer.from('v2')))
  await clock.advance(100)
  t.equal(second.state, 'loaded v2')
  await cache.invalidate('hard')
  await clock.advance(5_000)
  t.equal(reader.state, 'PP_WAIT_TIMEOUT')
  loading.resolve(Buffer.from('v1'))
  await clock.advance(100)
  t.match(await cache.read('a', never), { outcome: 'hit' })
})

t.test('without background work: a waiter gives up, and the holder ends its load before its reply', async (t) => {
  const { clock, createProcess, load, loading, watch } = setUp(t)
  const [holder, waiter] = [createProcess(false), createProcess(false)]
  const own = watch(holder.read('a', load))
  await clock.advance(10)
  const other = watch(waiter.read('a', never))
  await clock.advance(5_300)
  t.same([own.state, other.state], ['waits', 'PP_WAIT_TIMEOUT'])
  loading.resolve(Buffer.from('v1'))
  await clock.advance(10)
  t.equal(own.state, 'loaded v1')
})

t.test(
  'over HTTP: 503 with Retry-After, also with filters, in this process and another; close ends waits',
  async (t) => {
    const prefix = `wait-${process.pid}-${Date.now()}`
    const loading = deferred<{ slug: string }[]>()
    const make = async () => {
      const lines: string[] = []
      const app = Fastify({ logger: { level: 'warn', stream: { write: (line) => void lines.push(line) } } })
      await app.register(popularPosts, {
        load: () => loading.promise,
        loadFilters: () =>
          new Promise((resolve) => setTimeout(resolve, 600, { categories: [], tags: ['a'], authors: [] })),
        redisUrl: await redisUrl(),
        redisPrefix: prefix,
        waitTimeoutSeconds: 1,
      })
      return { app, lines }
    }
    const apps = [await make(), await make()] as const
    const [one, other] = [apps[0].app, apps[1].app]
    t.teardown(() => Promise.all([one.close(), other.close()]))
    const startedAtMs = performance.now()
    const replies = await Promise.all(
      ['/posts/popular', '/posts/popular', '/posts/popular?tag=a'].flatMap((url) => [
        one.inject(url),
        other.inject(url),
      ]),
    )
    for (const reply of replies) {
      t.equal(reply.statusCode, 503)
      t.match(reply.json(), { code: 'PP_WAIT_TIMEOUT' })
      t.match(reply.headers, { 'retry-after': '1', 'cache-control': 'no-store' })
    }
    for (const { app, lines } of apps) {
      t.equal(app.popularPosts.stats().waitTimeouts, 3)
      t.match(
        lines.filter((line) => line.includes('wait-timeout')),
        [/"level":40,.*"key":"[^"]+","durationMs":\d+,.*popular posts: wait-timeout/],
        'it is logged once',
      )
    }
    t.ok(performance.now() - startedAtMs < 10_000)
    loading.resolve([{ slug: 'a' }])
    t.equal((await one.inject('/posts/popular')).statusCode, 200)
  },
)
