import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { type CacheEvent, createCounts } from '../../cache/events.ts'
import { createReadThroughCache } from '../../cache/read-through-cache.ts'
import { createRedisStore } from '../../cache/redis-store.ts'
import type { Logger } from '../../lib/logger.ts'
import { watchEvictions } from '../../lists/eviction-watch.ts'
import { logEvent } from '../../telemetry/log-event.ts'
import { createRedisViewBuffer } from '../../views/redis-view-buffer.ts'
import { startLoggedApp } from '../helpers/logged-app.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/services/until.ts'
import { createVirtualClock } from '../helpers/virtual-clock.ts'
import { policy } from './policy.ts'

const LIFETIME = { ttlMs: 1_800_000, keepForMs: 7_200_000, unreadForMs: 120_000 }
const LEASES = 10
const bytes = Buffer.alloc(20_000, 'x')

/** What is left of a lease and of a visitor when lists that are read once fill Redis. */
async function fill(t: Test, policy: string) {
  const redis = await startRedis({
    args: ['--maxmemory', '8mb', '--maxmemory-policy', policy, '--maxmemory-samples', '64'],
  })
  t.teardown(redis.stop)
  const client = new Redis(redis.url)
  t.teardown(() => client.disconnect())
  const store = createRedisStore({ client, prefix: 'blog', nonce: randomUUID })
  const buffer = createRedisViewBuffer({ client, prefix: 'blog', dedupSeconds: 900 })
  let lists = 0
  const load = async (count: number) => {
    for (const end = lists + count; lists < end; lists += 1) {
      const key = `{blog}:v2:50:${lists}`
      const acquired = await store.acquire(key, { token: randomUUID(), leaseMs: 3_000 })
      if (acquired.state === 'lease') await store.commit(key, acquired.lease, bytes, LIFETIME)
    }
  }
  const isEvicting = async () => !(await client.info('stats')).includes('evicted_keys:0\r')
  while (!(await isEvicting())) await load(20)
  // The clock of LRU counts seconds.
  await sleep(2_100)
  const view = () => buffer.add({ visitors: ['ann 1'], postId: '1', bucketStartMs: 900_000, timeMs: 900_000 })
  await view()
  const [visitor = ''] = await client.keys('*:seen:*')
  const isVisitorNew = Number(await client.object('IDLETIME', visitor)) < 2
  const leases = Array.from({ length: LEASES }, (_none, index) => `{blog}:v2:50:mine ${index}`)
  for (const key of leases) await store.acquire(key, { token: 'mine', leaseMs: 3_000 })
  const generation = await store.generation()
  // As if all were renewed until the end.
  const renew = () => Promise.all(leases.map((key) => client.pexpire(`${key}:lease`, 3_000)))
  await renew()
  await load(60)
  return {
    leases: (await renew()).filter((isThere) => isThere === 1).length,
    isVisitorNew,
    isRepeatKnown: (await view()) === 'repeat',
    areViewsKept: (await client.hlen('{blog}:views:buffer')) > 0,
    isGenerationKept: (await store.generation()) === generation,
  }
}

t.test('the policy of compose.yml and of the documents keeps leases, visitors and views', async (t) => {
  const [, policy = ''] = /--maxmemory-policy, ([\w-]+)/.exec(await readFile('compose.yml', 'utf8')) ?? []
  t.match(await readFile('docs/operating.md', 'utf8'), `The right policy is \`${policy}\``)
  t.same(await fill(t, policy), {
    leases: LEASES,
    isVisitorNew: true,
    isRepeatKnown: true,
    areViewsKept: true,
    isGenerationKept: true,
  })
})

t.test('volatile-ttl does not: it evicts leases first', async (t) => {
  const { leases } = await fill(t, 'volatile-ttl')
  t.ok(leases < LEASES, `${leases} of ${LEASES} are left`)
})

t.test('a full Redis, and a key of another type: Redis stays in use, and the log says it once', async (t) => {
  const redis = await startRedis({ args: ['--maxmemory-policy', 'noeviction'] })
  t.teardown(redis.stop)
  const admin = new Redis(redis.url)
  t.teardown(() => admin.disconnect())
  const { app, lines } = await startLoggedApp(t, { redisUrl: redis.url, load: async () => [{ slug: 'a' }] })
  const read = (days: number) => app.inject(`/posts/popular?days=${days}`)
  const refusals = (code: string) =>
    lines.filter(({ msg, err }) => msg === 'popular posts: store-refused' && err?.code === code).length
  await read(1)
  const { cache } = app.popularPosts
  await cache.getOrSet('kept', () => 'kept', { ttlSeconds: 3600 })
  await admin.sadd('{blog:popular}:v2:50:7', 'not ours')
  for (let attempt = 0; attempt < 3; attempt += 1) t.equal((await read(7)).statusCode, 200)
  t.equal(refusals('WRONGTYPE'), 1)
  await admin.config('SET', 'maxmemory', '1')
  for (const days of [2, 3, 4]) t.equal((await read(days)).statusCode, 200)
  t.equal(refusals('OOM'), 1)
  const { storeRefusals, storeFailures, isStoreDown } = app.popularPosts.stats()
  t.ok(storeRefusals >= 4)
  t.same({ storeFailures, isStoreDown }, { storeFailures: 0, isStoreDown: false })
  t.match((await read(1)).headers['cache-status'], /hit/, 'another list is served')
  await app.popularPosts.invalidate()
  const never = () => Promise.reject(new Error('expected no load'))
  t.equal(await cache.getOrSet('kept', never, { ttlSeconds: 3600 }), 'kept', 'so is a value of the host')
  t.equal(await cache.getOrSet('other', () => 'other', { ttlSeconds: 3600 }), 'other')
  await cache.invalidate('kept')
  t.equal(await cache.getOrSet('kept', () => 'new', { ttlSeconds: 3600 }), 'new')
})

t.test('a Redis that evicts the generation during each load fails no read', async (t) => {
  const redis = await startRedis()
  t.teardown(redis.stop)
  const client = new Redis(redis.url)
  t.teardown(() => client.disconnect())
  const counts = createCounts()
  const cache = createReadThroughCache({
    store: createRedisStore({ client, prefix: 'blog', nonce: randomUUID }),
    clock: createVirtualClock(),
    random: () => 0.5,
    nonce: randomUUID,
    policy,
    observe: counts.count,
  })
  let loads = 0
  const load = async () => {
    loads += 1
    await client.del('{blog}:gen')
    return Buffer.from(`load ${loads}`)
  }
  for (const last of [3, 6]) {
    const { outcome, value, ttlMs } = await cache.read('{blog}:list', load)
    t.same([outcome, String(value), ttlMs], ['loaded', `load ${last}`, 0])
  }
  t.match(counts.read(), { loads: 6, commitsRefused: 6 })
})

t.test('a Redis that evicts is logged once in ten minutes, and its evicted keys are counted', async (t) => {
  const redis = await startRedis({ args: ['--maxmemory-policy', 'volatile-lru'] })
  t.teardown(redis.stop)
  const client = new Redis(redis.url)
  t.teardown(() => client.disconnect())
  const clock = createVirtualClock()
  const events: CacheEvent[] = []
  const asked = { times: 0 }
  const ask = <T>(work: () => Promise<T>): Promise<T> => {
    asked.times += 1
    return work()
  }
  const end = watchEvictions({ client, key: '{blog}', ask, clock, observe: (event) => events.push(event) })
  t.teardown(end)
  /** A minute later, with the evictions that Redis has made in it. */
  const minute = async (evict: boolean) => {
    const before = asked.times
    if (evict) {
      for (let key = 0; key < 100; key += 1) await client.set(`other ${key}`, Buffer.alloc(1_000), 'EX', 60)
      await client.config('SET', 'maxmemory', '1')
      await client.set('one more', '').catch(() => undefined)
      await client.config('SET', 'maxmemory', '0')
    }
    await until(async () => {
      // The time until the next question begins with the last reply.
      await clock.advance(60_000)
      return asked.times > before
    }, 'Redis is asked')
  }
  await minute(false)
  t.same(events, [])
  await minute(true)
  await until(() => events.length === 1, 'the watch reports the evictions')
  t.match(events, [{ type: 'store-evicted', keys: 100, isFirst: true }])
  await minute(true)
  await until(() => events.length === 2, 'the watch reports the next evictions')
  t.match(events[1], { keys: 100, isFirst: false })
  for (let time = 0; time < 11; time += 1) await minute(false)
  await client.call('CONFIG', 'RESETSTAT')
  await minute(false)
  t.equal(events.length, 2, 'a restart is no eviction')
  await minute(true)
  await until(() => events.length === 3, 'it is told after a restart')
  t.match(events[2], { isFirst: true })
  await client.call('ACL', 'SETUSER', 'default', '-info')
  await minute(true)
  await minute(true)
  t.equal(events.length, 3, 'a user without INFO is not told')
  client.disconnect()
  await minute(false)
  end()
  const last = asked.times
  await clock.advance(600_000)
  t.equal(asked.times, last, 'it has ended')

  const lines: unknown[][] = []
  const log = { warn: (...line: unknown[]) => lines.push(line) } as unknown as Logger
  const counts = createCounts()
  for (const event of events) {
    logEvent(log, event)
    counts.count(event)
  }
  t.equal(counts.read().storeEvictions, 300)
  t.strictSame(lines, [
    [{ keys: 100 }, 'popular posts: store-evicted'],
    [{ keys: 100 }, 'popular posts: store-evicted'],
  ])
})

t.test('an ended watch asks no more, also when a question is under way', async (t) => {
  const clock = createVirtualClock()
  let reply = (_evicted: unknown) => {}
  let asked = 0
  const client = { callBuffer: () => new Promise((resolve) => (reply = resolve)) }
  const ask = <T>(work: () => Promise<T>): Promise<T> => {
    asked += 1
    return work()
  }
  watchEvictions({ client, key: '{blog}', ask, clock, observe: t.fail })()
  reply(5)
  await clock.advance(600_000)
  t.equal(asked, 1)
})
