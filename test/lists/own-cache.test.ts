import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { type Cache, type CreateCacheOptions, createCache, type HostRedis } from '../../composition/create-cache.ts'
import { MAX_ENTRY_BYTES } from '../../lists/encode-json.ts'
import { redisUrl } from '../helpers/redis.ts'
import { startRedisCluster } from '../helpers/redis-cluster.ts'
import { until } from '../helpers/services/until.ts'

const url = await redisUrl()
const cluster = await startRedisCluster()
const nodes = new Cluster(cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })))
t.teardown(async () => {
  nodes.disconnect()
  await cluster.stop()
})

const HOUR = { ttlSeconds: 3600 }

/** Where values are stored: `open` creates a cache with a prefix of its own, and a second one that shares its values. */
const STORES: Record<string, CreateCacheOptions> = {
  'in memory': {},
  'on Redis': { redisUrl: url },
  'on a Cluster': { redis: nodes as HostRedis },
}

async function open(t: Test, options: CreateCacheOptions): Promise<Cache> {
  const cache = await createCache({ redisPrefix: `own-${randomUUID()}`, ...options })
  t.teardown(() => cache.close())
  return cache
}

/** Two caches with the same values, as two processes have them. */
async function openTwo(t: Test, options: CreateCacheOptions = STORES['on Redis'] ?? {}) {
  const prefix = `own-${randomUUID()}`
  return [
    await open(t, { ...options, redisPrefix: prefix }),
    await open(t, { ...options, redisPrefix: prefix }),
  ] as const
}

/** A load that counts its calls, and returns `value 1`, `value 2`, … unless it gets values. */
function counted(value?: (count: number) => unknown) {
  const load = async () => {
    load.count += 1
    return value === undefined ? `value ${load.count}` : value(load.count)
  }
  load.count = 0
  return load
}

/** A load that ends when the test says so. */
function held() {
  let end: (value: string) => void = () => {}
  const value = new Promise<string>((resolve) => {
    end = resolve
  })
  const load = () => {
    load.isCalled = true
    return value
  }
  load.isCalled = false
  return { load, end, isCalled: async () => until(async () => load.isCalled, 'it loads') }
}

const never = () => Promise.reject(new Error('expected no load'))

class Point {
  x = 1
  toJSON() {
    return { x: this.x }
  }
}

/** Values, and what comes out of JSON, if it is not the same. */
const VALUES: [unknown, unknown?][] = [
  [null],
  [undefined],
  [0],
  [-1.5],
  [''],
  [false],
  [[]],
  [{}],
  ['text with "quotes" and \u2028 and 😀'],
  ['\u0000'],
  [{ deep: [{ er: [null, { x: 1 }] }] }],
  [
    [1, undefined, Number.NaN],
    [1, null, null],
  ],
  [{ a: undefined, b: () => 1 }, {}],
  [new Date(0), '1970-01-01T00:00:00.000Z'],
  [{ at: new Date(0) }, { at: '1970-01-01T00:00:00.000Z' }],
  [new Point(), { x: 1 }],
  [{ toJSON: () => null }, null],
]

/** Keys that are easily mixed up. */
const KEYS = [
  '',
  ' ',
  'tags',
  'Tags',
  'tags:lease',
  'tags%3Alease',
  '{tags}',
  'a/b',
  'a:b',
  'a\nb',
  'a\u0000b',
  '../a',
  '*',
  'ключ',
  'é',
  'e\u0301',
  '😀',
  '\ud83d',
  '\ude00',
  '\ufffd',
  'x'.repeat(200),
  'x'.repeat(201),
  'x'.repeat(10_000),
  `${'x'.repeat(9_999)}y`,
  'ж'.repeat(10_000),
]

for (const [where, options] of Object.entries(STORES)) {
  t.test(`${where}: each JSON value is loaded once, and comes back as JSON has it`, async (t) => {
    const cache = await open(t, options)
    for (const [index, [value, expected = value]] of VALUES.entries()) {
      const load = counted(() => value)
      for (let call = 0; call < 3; call += 1)
        t.strictSame(await cache.getOrSet(`value ${index}`, load, HOUR), expected, `value ${index}`)
      t.equal(load.count, 1, `value ${index}`)
    }
    t.equal(await cache.getOrSet('no promise', () => 5, HOUR), 5)
  })

  t.test(`${where}: any two keys have values of their own`, async (t) => {
    const cache = await open(t, options)
    for (const [index, key] of KEYS.entries()) t.equal(await cache.getOrSet(key, () => index, HOUR), index)
    for (const [index, key] of KEYS.entries()) t.equal(await cache.getOrSet(key, never, HOUR), index)
    for (const [index, key] of KEYS.entries()) {
      await cache.invalidate(key)
      t.equal(await cache.getOrSet(key, () => `new ${index}`, HOUR), `new ${index}`)
    }
    for (const [index, key] of KEYS.entries()) t.equal(await cache.getOrSet(key, never, HOUR), `new ${index}`)
    await cache.invalidateAll()
    const load = counted()
    for (const key of KEYS) await cache.getOrSet(key, load, HOUR)
    t.equal(load.count, KEYS.length)
  })

  t.test(`${where}: a caller may change its value, and the next one gets another`, async (t) => {
    const cache = await open(t, options)
    const load = counted(() => ({ tags: ['a'] }))
    const [first, second] = await Promise.all([
      cache.getOrSet('tags', () => ({ tags: ['a'] }), HOUR),
      cache.getOrSet('tags', () => ({ tags: ['a'] }), HOUR),
    ])
    first.tags.push('mine')
    t.same(second, { tags: ['a'] })
    t.same(await cache.getOrSet('tags', load, HOUR), { tags: ['a'] })
  })

  t.test(`${where}: a thundering herd makes one load, and its error reaches all callers`, async (t) => {
    const caches = where === 'in memory' ? [await open(t, options)] : await openTwo(t, options)
    const all = (key: string, load: () => unknown) =>
      Promise.allSettled(caches.flatMap((cache) => Array.from({ length: 200 }, () => cache.getOrSet(key, load, HOUR))))
    // On a busy machine a command may time out: then a process loads for itself.
    const mostLoads = () => (caches.some((cache) => cache.stats().storeFailures > 0) ? 2 : 1)
    const slow = counted(() => sleep(100, 'slow'))
    const values = await all('slow', slow)
    t.ok(values.every((result) => result.status === 'fulfilled' && result.value === 'slow'))
    t.ok(slow.count <= mostLoads(), `${slow.count} loads`)
    const cause = new Error('the shop is closed')
    const failing = counted(() => sleep(100).then(() => Promise.reject(cause)))
    const errors = await all('failing', failing)
    const codes = errors.map((result) => result.status === 'rejected' && result.reason.code)
    t.same([...new Set(codes)], ['PP_LOAD_FAILED'])
    t.ok(errors.some((result) => result.status === 'rejected' && result.reason.cause === cause))
    t.ok(failing.count <= mostLoads(), `${failing.count} loads`)
  })

  t.test(
    `${where}: an error is not cached; the next load begins after a cool-down, or after an invalidation`,
    async (t) => {
      const cache = await open(t, options)
      const fails = counted(() => Promise.reject(new Error('no')))
      await t.rejects(cache.getOrSet('a', fails, HOUR), { code: 'PP_LOAD_FAILED', cause: { message: 'no' } })
      await t.rejects(cache.getOrSet('a', fails, HOUR), { code: 'PP_LOAD_FAILED', retryAfterMs: Number })
      t.equal(fails.count, 1)
      await cache.invalidate('a')
      t.equal(await cache.getOrSet('a', () => 'good', HOUR), 'good')
      await t.rejects(
        cache.getOrSet(
          'b',
          () => {
            throw new Error('at once')
          },
          HOUR,
        ),
        { code: 'PP_LOAD_FAILED', cause: { message: 'at once' } },
      )
      await sleep(600)
      t.equal(await cache.getOrSet('b', () => 'good', HOUR), 'good')
    },
  )

  t.test(`${where}: a value that cannot be JSON is refused by the name of its key, and not stored`, async (t) => {
    const cache = await open(t, options)
    const circular: Record<string, unknown> = {}
    circular['self'] = circular
    const refused: [unknown, RegExp][] = [
      [5n, /^Expected the value of "bad \d+" to be JSON, got a BigInt\.$/],
      [{ id: 5n }, /got a BigInt in its property "id"/],
      [circular, /^Expected the value of "bad \d+" to be JSON, but it cannot be encoded: .*circular/],
      [() => 1, /got a function/],
      [Symbol('a'), /got a symbol/],
      [new Map([[1, 2]]), /got a Map/],
      [{ all: new Set() }, /got a Set in its property "all"/],
      [[Promise.resolve(1)], /got a promise in its property "0"/],
      ['x'.repeat(MAX_ENTRY_BYTES), /^Expected the value of "bad \d+" to have at most 16777216 bytes, got 16777218\.$/],
    ]
    for (const [index, [value, message]] of refused.entries()) {
      const key = `bad ${index}`
      await t.rejects(
        cache.getOrSet(key, () => value, HOUR),
        { code: 'PP_LOAD_FAILED', cause: { message } },
      )
      await cache.invalidate(key)
      t.equal(await cache.getOrSet(key, () => 'good', HOUR), 'good')
    }
    const long = 'k'.repeat(10_000)
    const { cause } = await cache.getOrSet(long, () => 5n, HOUR).catch((error: { cause: Error }) => error)
    t.equal(cause.message, `Expected the value of "${'k'.repeat(60)}…" to be JSON, got a BigInt.`)
  })

  t.test(`${where}: a value of 10 MB is stored`, async (t) => {
    const cache = await open(t, options)
    const value = Array.from({ length: 100_000 }, (_none, index) => `${index} ${'ж'.repeat(45)}`)
    t.same(await cache.getOrSet('large', () => value, HOUR), value)
    // Redis may need longer for it than the timeout of a command on a busy machine: then it is loaded again.
    t.same(await cache.getOrSet('large', () => value, HOUR), value)
  })

  t.test(`${where}: an expired value is returned while one refresh runs, or when its load fails`, async (t) => {
    const cache = await open(t, options)
    const short = { ttlSeconds: 0.1, staleSeconds: 60 }
    t.equal(await cache.getOrSet('a', () => 'old', short), 'old')
    await sleep(150)
    const { load, end, isCalled } = held()
    const [first, second] = await Promise.all([cache.getOrSet('a', load, HOUR), cache.getOrSet('a', never, HOUR)])
    t.same([first, second], ['old', 'old'], 'no caller waits')
    await isCalled()
    end('new')
    await until(async () => (await cache.getOrSet('a', never, HOUR)) === 'new', 'it is refreshed')

    const strict = { ttlSeconds: 0.1, staleSeconds: 0 }
    await cache.getOrSet('b', () => 'old', strict)
    await sleep(150)
    t.equal(await cache.getOrSet('b', () => 'new', strict), 'new', 'without a stale time a caller waits')
    await sleep(150)
    t.equal(await cache.getOrSet('b', () => Promise.reject(new Error('no')), strict), 'new', 'fail-safe')
    t.equal(await cache.getOrSet('b', never, strict), 'new', 'and during the cool-down')
    const brittle = { ttlSeconds: 0.1, staleSeconds: 0, failSafeSeconds: 0 }
    await cache.getOrSet('c', () => 'old', brittle)
    await sleep(150)
    await t.rejects(
      cache.getOrSet('c', () => Promise.reject(new Error('no')), brittle),
      { code: 'PP_LOAD_FAILED' },
    )
  })

  t.test(
    `${where}: a load that was overtaken by an invalidation is repeated, and reaches no later caller`,
    async (t) => {
      const [cache, other] =
        where === 'in memory' ? [await open(t, options)].flatMap((one) => [one, one]) : await openTwo(t, options)
      if (cache === undefined || other === undefined) throw new Error('expected two')
      for (const [how, invalidate] of [
        ['one key', () => other.invalidate('a')],
        ['all keys', () => other.invalidateAll()],
      ] as const) {
        await other.invalidateAll()
        const loads = [held(), held(), held(), held()]
        let count = 0
        const load = () => {
          count += 1
          return loads[count - 1]?.load()
        }
        const early = cache.getOrSet('a', load, HOUR)
        await loads[0]?.isCalled()
        await invalidate()
        const late = cache.getOrSet('a', load, HOUR)
        loads[0]?.end('old')
        loads[1]?.end('new')
        loads[2]?.end('newer')
        t.match(await late, /^new/, how)
        t.match(await early, /^new/, how)
        t.match(await other.getOrSet('a', never, HOUR), /^new/, how)
      }

      await other.invalidateAll()
      const overtaken = async () => {
        await other.invalidate('b')
        return 'old'
      }
      await t.rejects(cache.getOrSet('b', overtaken, HOUR), { code: 'PP_UNSETTLED' }, 'each of three loads')
      t.equal(await cache.getOrSet('b', () => 'new', HOUR), 'new')
    },
  )
}

t.test('arguments that are wrong are refused with what was expected and what came', async (t) => {
  const cache = await open(t, {})
  const wrong: [unknown, unknown, unknown, string][] = [
    [5, never, HOUR, 'Expected the key to be a string, got number.'],
    [undefined, never, HOUR, 'Expected the key to be a string, got undefined.'],
    ['a', 'load', HOUR, 'Expected a load function for "a", got string.'],
    ['a', never, undefined, 'Expected ttlSeconds of "a" to be more than 0 and at most 31536000, got 0.'],
    ['a', never, { ttl: 5 }, 'Expected ttlSeconds of "a" to be more than 0 and at most 31536000, got 0.'],
    ['a', never, { ttlSeconds: 0 }, 'Expected ttlSeconds of "a" to be more than 0 and at most 31536000, got 0.'],
    ['a', never, { ttlSeconds: -1 }, 'Expected ttlSeconds of "a" to be more than 0 and at most 31536000, got -1.'],
    ['a', never, { ttlSeconds: '60' }, `Expected ttlSeconds of "a" to be more than 0 and at most 31536000, got '60'.`],
    [
      'a',
      never,
      { ttlSeconds: Number.NaN },
      'Expected ttlSeconds of "a" to be more than 0 and at most 31536000, got NaN.',
    ],
    [
      'a',
      never,
      { ttlSeconds: 1e9 },
      'Expected ttlSeconds of "a" to be more than 0 and at most 31536000, got 1000000000.',
    ],
    [
      'a',
      never,
      { ttlSeconds: 1, staleSeconds: -1 },
      'Expected staleSeconds of "a" to be from 0 and at most 31536000, got -1.',
    ],
    [
      'a',
      never,
      { ttlSeconds: 1, failSafeSeconds: Number.POSITIVE_INFINITY },
      'Expected failSafeSeconds of "a" to be from 0 and at most 31536000, got Infinity.',
    ],
  ]
  const getOrSet = cache.getOrSet as (...all: unknown[]) => Promise<unknown>
  for (const [key, load, options, message] of wrong)
    await t.rejects(getOrSet(key, load, options), { name: 'TypeError', message }, message)
  await t.rejects((cache.invalidate as (key?: string) => Promise<void>)(), { name: 'TypeError' }, 'not all keys')
  await t.rejects(createCache({ redisUrl: url, redis: nodes as HostRedis }), /got both/)
  await t.rejects(createCache({ redisUrl: 'http://127.0.0.1' }))
  await t.rejects(createCache({ redis: {} as HostRedis }), { code: 'PP_NO_SUCH_REDIS' })
  for (const prefix of ['', 'a b', '{}', 'a{b', '{a}{b}', 'x'.repeat(121)])
    await t.rejects(createCache({ redisPrefix: prefix }), {
      name: 'TypeError',
      message: /^Expected redisPrefix to be 1 to 120 characters/,
    })
})

t.test('a load may read other keys of the cache, and is refused its own', async (t) => {
  const cache = await open(t, { redisUrl: url })
  const tag = (name: string) => cache.getOrSet(`tag ${name}`, async () => name.toUpperCase(), HOUR)
  const names = Array.from({ length: 30 }, (_none, index) => `t${index}`)
  const cloud = (key: string) => cache.getOrSet(key, () => Promise.all(names.map(tag)), HOUR)
  const clouds = await Promise.all(names.map((name) => cloud(`cloud ${name}`)))
  t.equal(clouds.length, 30, 'thirty loads that each wait for the same thirty do not block each other')
  t.same(clouds[29]?.[29], 'T29')

  const message = 'Expected the load of "self" not to read its own key: it would wait for itself.'
  const self = cache.getOrSet('self', () => cache.getOrSet('self', never, HOUR), HOUR)
  await t.rejects(self, { code: 'PP_LOAD_FAILED', cause: { name: 'TypeError', message } })
  const one = (): Promise<unknown> => cache.getOrSet('one', two, HOUR)
  const two = (): Promise<unknown> => cache.getOrSet('two', one, HOUR)
  const error = (await one().catch((error: unknown) => error)) as { cause: { cause: Error } }
  t.match(error.cause.cause.message, 'Expected the load of "one" not to read its own key')

  let later: Promise<unknown> | undefined
  const start = () => {
    // Calls this load again if Redis replied too late to store its value.
    later = sleep(50).then(() => cache.getOrSet('starts', start, HOUR))
    return 'started'
  }
  t.equal(await cache.getOrSet('starts', start, HOUR), 'started')
  t.equal(await later, 'started', 'work that outlives its load may read the key')
})

t.test('a host that closes while a load runs gets no unhandled rejection, and its callers an answer', async (t) => {
  const cache = await createCache({ redisUrl: url, redisPrefix: `own-${randomUUID()}` })
  const { load, end, isCalled } = held()
  const reader = cache.getOrSet('a', load, HOUR)
  const answered = reader.then(String, (error: { code: string }) => error.code)
  await isCalled()
  await cache.close()
  t.equal(await answered, 'PP_WAIT_TIMEOUT')
  end('late')
  t.equal(await cache.getOrSet('b', () => 'b', HOUR), 'b', 'a closed cache loads for itself')
})

t.test('counts and loads are those of one cache', async (t) => {
  const lines: object[] = []
  const log = {
    debug: (details: object, message: string) => void lines.push({ level: 'debug', message, ...details }),
    info: (details: object, message: string) => void lines.push({ level: 'info', message, ...details }),
    warn: (details: object, message: string) => void lines.push({ level: 'warn', message, ...details }),
  }
  const prefix = `own-${randomUUID()}`
  const cache = await open(t, { redisUrl: url, redisPrefix: prefix, log })
  const other = await open(t, { redisUrl: url })
  await cache.getOrSet('a', () => 1, HOUR)
  await cache.getOrSet('a', never, HOUR)
  await cache.getOrSet('secret', () => Promise.reject(new Error('no')), HOUR).catch(() => {})
  await cache.invalidate('a')
  t.match(cache.stats(), { loads: 1, hits: 1, loadsFailed: 1, invalidations: 1 })
  t.match(other.stats(), { loads: 0, hits: 0 })
  t.same(
    lines
      .filter((line) => !('level' in line && line.level === 'debug'))
      .map((line) => 'message' in line && line.message),
    ['popular posts: load-failed'],
    'only failures are above debug',
  )
  t.match(lines, [{ message: 'popular posts: loaded', key: `{${prefix}}:key:a` }])
})

t.test('a client of the host stays open when the cache closes', async (t) => {
  const client = new Redis(url)
  t.teardown(() => client.disconnect())
  const cache = await createCache({ redis: client as HostRedis, redisPrefix: `own-${randomUUID()}` })
  t.equal(await cache.getOrSet('a', () => 1, HOUR), 1)
  await cache.close()
  t.equal(await client.ping(), 'PONG')
  t.equal(client.listenerCount('ready'), 0)
})
