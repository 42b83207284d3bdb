import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import Fastify, { type FastifyInstance } from 'fastify'
import { CamelCasePlugin, Kysely, PostgresDialect } from 'kysely'
import t, { type Test } from 'tap'
import { invalidateOnChange } from '../../changes/invalidate-on-change.ts'
import { recordChange } from '../../changes/revision.ts'
import popularPosts, { type ListQuery, popularPosts as named, type PopularPostsOptions } from '../../index.ts'
import { backgroundClock } from '../../lib/clock.ts'
import { createLoaders } from '../../lists/loaders.ts'
import { servicesOf } from '../../plugins/popular-posts.ts'
import health from '../../routes/health.ts'
import { checkOptions } from '../../settings/check-options.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { until } from '../helpers/services/until.ts'

/** An app with the plugin, and its log. */
async function createHost(t: Test, options: PopularPostsOptions) {
  const lines: Record<string, unknown>[] = []
  const stream = { write: (line: string) => lines.push(JSON.parse(line)) }
  const app: FastifyInstance = Fastify({ logger: { level: 'debug', stream } })
  t.teardown(() => app.close())
  await app.register(popularPosts, options)
  return { app, lines, logged: (msg: string) => lines.filter((line) => line['msg'] === `popular posts: ${msg}`) }
}

/** Tables of a host, unrelated to ours. */
interface HostTables {
  articles: { id: string; headline: string }
}

t.test('a host passes its own Kysely instance with plugins, and the plugin does not close it', async (t) => {
  const { db, pool } = await createTestDatabase(t)
  await fillBlog(db, 3)
  const own = new Kysely<HostTables>({ dialect: new PostgresDialect({ pool }), plugins: [new CamelCasePlugin()] })
  const { app } = await createHost(t, { db: own })
  t.match((await app.inject('/posts/popular?limit=1')).json(), [
    { slug: 'post-1', publishedAt: String, readingMinutes: 1, commentCount: 0 },
  ])
  t.match((await app.inject('/categories')).json(), [{ slug: 'odd', postCount: 2 }])
  t.equal((await app.inject('/posts/popular?category=odd&limit=1')).json().length, 1)
  await app.close()
  t.equal((await pool.query('select 1 as one')).rows[0].one, 1, 'the pool is still open')
})

t.test('with a database URL the plugin opens a pool, and closes it with the app', async (t) => {
  const { db, url, pool } = await createTestDatabase(t)
  await fillBlog(db, 1)
  const { app } = await createHost(t, { databaseUrl: url, redisPrefix: 'mine', ttlSeconds: 60 })
  t.equal((await app.popularPosts.get()).length, 1)
  await app.close()
  await t.rejects(app.popularPosts.get({ days: 1 }), { code: 'PP_LOAD_FAILED' })
  const sql =
    "select from pg_stat_activity where datname = current_database() and application_name like 'popular-posts%'"
  // A server process ends shortly after its client disconnects.
  await until(async () => (await pool.query(sql)).rowCount === 0, 'nobody is connected, or listening')
})

t.test('a host passes its own query', async (t) => {
  const queries: ListQuery[] = []
  const { app } = await createHost(t, {
    maxLimit: 3,
    defaultLimit: 2,
    maxDays: 7,
    defaultDays: 7,
    async load(query) {
      queries.push(query)
      return [1, 2, 3].map((number) => ({ slug: `own-${number}`, at: query.category ?? 'all' }))
    },
    loadFilters: async () => ({ categories: ['news'], tags: [], authors: [], languages: ['pt_BR'] }),
  })
  t.same((await app.inject('/posts/popular')).json(), [
    { slug: 'own-1', at: 'all' },
    { slug: 'own-2', at: 'all' },
  ])
  t.same((await app.inject('/posts/popular?limit=9&exclude=own-1')).json(), [
    { slug: 'own-2', at: 'all' },
    { slug: 'own-3', at: 'all' },
  ])
  t.match((await app.inject('/posts/popular?category=news&limit=1&days=1&sort=trending')).json(), [{ at: 'news' }])
  t.equal((await app.inject('/posts/popular?category=sports')).body, '[]')
  t.same((await app.inject('/posts/popular?language=PT&limit=1')).json(), [{ slug: 'own-1', at: 'all' }])
  t.equal((await app.inject('/posts/popular?language=p')).body, '[]')
  t.same(queries, [
    { sort: 'views', days: 7, limit: 3 },
    { sort: 'views', days: 7, limit: 53 },
    { sort: 'trending', days: 1, limit: 3, category: 'news' },
    { sort: 'views', days: 7, limit: 3, language: 'pt' },
  ])
  for (const [name, value] of Object.entries({ excludeCategory: 'news', publishedWithin: 7 })) {
    const message = `Expected no ${name}, because the lists of this site come from a load of its own, which does not know it.`
    t.match((await app.inject(`/posts/popular?${name}=${value}`)).json(), {
      statusCode: 400,
      code: 'PP_BAD_QUERY',
      message,
    })
    await t.rejects(app.popularPosts.get({ [name]: value }), { code: 'PP_BAD_QUERY', message })
  }
  t.equal((await app.inject('/posts/popular?minViews=1')).body, '[]', 'its items have no views')
  t.same((await app.inject('/posts/popular?offset=2')).json(), [{ slug: 'own-3', at: 'all' }])
  t.match((await app.inject('/posts/popular?offset=4')).json(), { statusCode: 400, message: /from 0 to 3/ })
  t.match((await app.inject('/posts/popular?days=8')).json(), {
    message: 'Expected days to be an integer from 0 to 7 (0 is all time), got 8.',
  })
  t.equal((await app.inject('/categories')).statusCode, 404, 'there is no list of categories')
  t.equal(app.popularPosts.isDatabaseUp, undefined)
})

t.test('an own query without filters has no filtered lists; own categories are served', async (t) => {
  const { app } = await createHost(t, {
    load: async () => [{ slug: 'a' }],
    loadCategories: async ({ days }) => [{ slug: 'c', days }],
    routes: '/api/v1',
  })
  t.equal((await app.inject('/api/v1/posts/popular?tag=x')).body, '[]')
  t.same((await app.inject('/api/v1/categories?days=3')).json(), [{ slug: 'c', days: 3 }])
  t.equal((await app.inject('/posts/popular')).statusCode, 404, 'only below the prefix')
})

t.test('without routes there is only the decorator', async (t) => {
  const { app } = await createHost(t, { load: async () => [{ slug: 'a' }], routes: false })
  t.equal((await app.inject('/posts/popular')).statusCode, 404)
  t.same(await app.popularPosts.get(), [{ slug: 'a' }])
  t.equal(named, popularPosts)
})

t.test('queries by the decorator are validated like those of clients', async (t) => {
  const { app } = await createHost(t, { load: async () => [] })
  const wrong: [object, string][] = [
    [{ limit: 0 }, 'Expected limit to be an integer of 1 or more (more than 50 gives 50), got 0.'],
    [{ limit: 1.5 }, 'got 1.5.'],
    [{ limit: '5' }, 'got "5".'],
    [{ days: -1 }, 'Expected days to be an integer from 0 to 365 (0 is all time), got -1.'],
    [{ sort: 'new' }, 'Expected sort to be views or trending, got "new".'],
    [{ category: 7 }, 'Expected category to be the slug of one category, got 7.'],
    [{ tag: ['a', 7] }, "Expected tag to be the slug of one tag, got [ 'a', 7 ]."],
    [{ tag: [] }, 'Expected tag to be the slug of one tag, got [].'],
    [{ author: null }, 'Expected author to be the slug of one author, got null.'],
    [{ language: null }, 'Expected language to be a language tag such as en or pt-BR, got null.'],
    [{ offset: -1 }, 'Expected offset to be an integer from 0 to 50, where every list ends, got -1.'],
    [{ offset: 51 }, 'got 51.'],
    [{ offset: null }, 'got null.'],
    [{ minViews: 0.5 }, 'Expected minViews to be an integer of 0 or more, got 0.5.'],
    [{ minViews: -1 }, 'got -1.'],
    [
      { minViews: 1, sort: 'trending' },
      'Expected minViews with sort=views, whose order it follows, got sort=trending.',
    ],
  ]
  for (const [query, message] of wrong) {
    await t.rejects(app.popularPosts.get(query), {
      code: 'PP_BAD_QUERY',
      statusCode: 400,
      message: new RegExp(message.replace(/[()[\]]/g, '\\$&')),
    })
  }
  t.equal(await app.popularPosts.readCategories({ days: 1.5 }), undefined, 'there are none to ask for')
})

t.test('invalid options are refused at registration, each by name, without secrets, and are not changed', async (t) => {
  const load = async () => []
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{}, /db: expected a Kysely instance, or a databaseUrl, or a load function, got none of them/],
    [{ load, ttlSeconds: 0 }, /ttlSeconds: expected an integer from 1 to 31536000, got 0/],
    [{ load, ttlSeconds: '60' }, /ttlSeconds: .*got "60"/],
    [{ load, maxLimit: 20, defaultLimit: 30 }, /defaultLimit: expected at most maxLimit \(20\), got 30/],
    [{ load, maxDays: 7 }, /defaultDays: expected at most maxDays \(7\), got 30/],
    [{ load, days: [1, 7] }, /days: expected defaultDays \(30\) among them, got \[ 1, 7 \]/],
    [{ load, days: [7], defaultDays: 14 }, /days: expected defaultDays \(14\) among them, got \[ 7 \]/],
    [{ load, days: [30, 366] }, /days: expected at most maxDays \(365\), got 366/],
    [{ load, days: [] }, /days: expected a list of windows in days, .*, none twice, got \[\]/],
    [{ load, days: [30, 7, 30] }, /days: expected a list of windows in days, .*, none twice, got \[ 30, 7, 30 \]/],
    [{ load, days: [30, 3651] }, /days: expected a list of windows in days, .*, got 3651/],
    [{ load, days: [30, -1] }, /days: .*, got -1/],
    [{ load, days: [30, 1.5] }, /days: .*, got 1.5/],
    [{ load, days: [30, '7'] }, /days: .*, got "7"/],
    [{ load, days: 30 }, /days: .*, got 30/],
    [{ load, days: '7,30' }, /days: .*, got "7,30"/],
    [{ load, timeZone: '+05:30' }, /timeZone: expected the name of an IANA time zone/],
    [{ load, redisPrefix: 'a b' }, /redisPrefix: expected 1 to 100 characters/],
    [{ load, routes: true }, /routes: expected false or a prefix such as \/api, got true/],
    [{ load, routes: 'api' }, /routes: .*got "api"/],
    [{ load: 'select 1' }, /load: expected a function, got "select 1"/],
    [{ load, loadFilters: {} }, /loadFilters: expected a function, got \{\}/],
    [{ db: {} }, /db: expected a Kysely instance, got something else/],
    [{ db: 'postgres://u:secret@h' }, /db: expected a Kysely instance, got something else/],
    [
      { databaseUrl: 'mysql://u:secret@h' },
      /databaseUrl: expected a URL that begins with postgres:\/\/ or postgresql:\/\/, got something else/,
    ],
    [{ databaseUrl: 'postgres://h', db: { getExecutor() {} } }, /databaseUrl: expected none beside db, got both/],
    [{ load, redis: '', redisUrl: 'redis://h' }, /redisUrl: expected none beside redis, got both/],
    [{ load, redisUrl: 'h:6379' }, /redisUrl: expected a URL that begins with redis:/],
    [
      { load, adminToken: 'secret' },
      /adminToken: expected at least 16 printable ASCII characters, .* got something else/,
    ],
    [{ load, ttl: 60, maxAge: 1 }, /ttl: expected no such name; .*maxAge: expected no such name/],
    [
      { load, ttlSeconds: 1.5, staleSeconds: () => 1 },
      /ttlSeconds: .*got 1.5; staleSeconds: .*got \[Function: staleSeconds\]/,
    ],
  ]
  for (const [options, message] of wrong) {
    const before = { ...options }
    const app = Fastify()
    const error = await Promise.resolve(app.register(popularPosts, options as PopularPostsOptions)).then(
      () => undefined,
      (reason: Error & { code: string }) => reason,
    )
    t.equal(error?.code, 'PP_INVALID_OPTIONS')
    t.match(error?.message, message)
    t.notMatch(error?.message, 'secret')
    t.same(options, before)
    await app.close().catch(() => {})
  }
})

t.test(
  'the log has hits at debug, loads and invalidations with their duration at info, failures at warn',
  async (t) => {
    let isDown = false
    const { app, lines, logged } = await createHost(t, {
      async load() {
        if (isDown) throw Object.assign(new Error('connect to 10.0.0.1 as admin'), { code: 'ECONNREFUSED' })
        return [{ slug: 'a' }]
      },
    })
    await app.popularPosts.get()
    await app.popularPosts.get()
    await app.popularPosts.invalidate('soft')
    isDown = true
    await app.popularPosts.get()
    await app.close()
    t.match(logged('miss'), [{ level: 20, key: '{blog:popular}:v2:50:30', durationMs: Number }])
    t.match(logged('hit'), [{ level: 20 }])
    t.match(logged('stale-hit'), [{ level: 20 }])
    t.match(logged('loaded'), [{ level: 30, why: 'load', durationMs: Number, bytes: 12, committed: 'stored' }])
    t.match(logged('invalidated'), [{ level: 30, mode: 'soft', durationMs: Number }])
    t.match(logged('load-failed'), [
      { level: 40, why: 'refresh', isServedStale: true, err: { type: 'Error', code: 'ECONNREFUSED' } },
    ])
    t.notMatch(JSON.stringify(lines), /10\.0\.0\.1|admin/)
  },
)

t.test('readiness of an app without a database depends on its lists', async (t) => {
  let isDown = true
  const { app } = await createHost(t, {
    load: async () => (isDown ? Promise.reject(new Error('down')) : []),
  })
  await app.register(health, servicesOf(app))
  t.match((await app.inject('/health/ready')).json(), { status: 'unavailable' })
  isDown = false
  await until(async () => (await app.inject('/health/ready')).json().status === 'ok', 'it is ready')
})

t.test('a change that cannot be applied to the cache is logged', async (t) => {
  const { url, db } = await createTestDatabase(t)
  const { app, lines } = await createHost(t, { load: async () => [] })
  const changes = invalidateOnChange({
    db,
    databaseUrl: url,
    clock: backgroundClock,
    log: app.log,
    invalidate: () => Promise.reject(Object.assign(new Error('no store'), { code: 'ESTORE' })),
    onHeard() {},
    onHardChange() {},
  })
  t.teardown(changes.close)
  await changes.ready()
  await until(async () => {
    await recordChange(db, 'soft')
    return lines.some(({ level, err }) => level === 40 && (err as { code: string }).code === 'ESTORE')
  }, 'a warning')
  t.pass()
})

t.test('without a load function and a database, loaders cannot be created', async (t) => {
  t.throws(
    () => createLoaders(checkOptions({ databaseUrl: 'postgres://localhost' }), undefined, async () => {}),
    TypeError,
  )
})

t.test('every event is published on the diagnostics channel', async (t) => {
  const seen: unknown[] = []
  const watch = (event: unknown) => seen.push(event)
  subscribe('fastify-popular-posts', watch)
  t.teardown(() => unsubscribe('fastify-popular-posts', watch))
  const { app } = await createHost(t, { load: async () => [] })
  await app.popularPosts.get()
  t.match(seen, [
    { type: 'loaded', key: '{blog:popular}:v2:50:30', committed: 'stored' },
    { type: 'miss', durationMs: Number },
  ])
})
