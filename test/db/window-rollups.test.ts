import fc from 'fast-check'
import Fastify from 'fastify'
import { Kysely, PostgresDialect, sql } from 'kysely'
import { Pool } from 'pg'
import t from 'tap'
import { bucketStart, countBatch } from '../../db/count-views.ts'
import { findPopularPosts } from '../../db/ranking.ts'
import { prune } from '../../db/retention.ts'
import type { Database } from '../../db/schema.ts'
import { materializeWindow } from '../../db/store-rollups.ts'
import { ROLLUP } from '../../db/window.ts'
import { compactDayVersions, rollup, viewsOfDays, WHOLE } from '../../db/window-rollups.ts'
import popularPosts from '../../index.ts'
import { createLoaders } from '../../lists/loaders.ts'
import { checkOptions } from '../../settings/check-options.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { until } from '../helpers/services/until.ts'

const DAY_MS = 86_400_000
const nowMs = Date.parse('2026-06-15T12:00:00Z')
const timeZone = 'UTC'
const NOTHING = async () => {}

async function setUp(t: Parameters<typeof createTestDatabase>[0], posts = 3) {
  const { db, pool, url } = await createTestDatabase(t)
  const rows = Array.from({ length: posts }, (_none, index) => ({
    slug: `p${index}`,
    title: 'P',
    url: '/p',
    published_at: new Date(0),
  }))
  const ids = (await db.insertInto('posts').values(rows).returning('id').execute()).map(({ id }) => String(id))
  let batches = 0
  const count = (views: { post: number; age: number; views: number }[], atMs = nowMs) => {
    batches += 1
    const buckets = views.map(({ post, age, views }) => ({
      postId: ids[post] ?? '',
      bucketStartMs: bucketStart(atMs - age * DAY_MS),
      views,
    }))
    return countBatch(db, { id: `batch ${batches}`, timeZone, nowMs: atMs, buckets })
  }
  return { db, pool, url, ids, count, list: (days: number, atMs = nowMs) => listOf(db, days, atMs) }
}

/** The views of each post in a window, and the sums of its days, in one snapshot. */
async function listOf(db: Kysely<Database>, days: number, atMs = nowMs) {
  const moment = { days, nowMs: atMs, timeZone }
  const plain = sql`(
    select post_id, sum(views) as views from post_views_daily
    where day between ${new Date(atMs)}::date - ${days}::integer and ${new Date(atMs)}::date group by post_id)`
  const shown = (of: unknown) => sql`(select coalesce(json_object_agg(post_id, views), '{}') from ${of} as lists)`
  const { rows } = await sql<{ ours: Record<string, number>; plain: Record<string, number> }>`
    with ${sql.raw(ROLLUP)} as materialized ${rollup(moment)}
    select ${shown(sql`(select * from ${viewsOfDays(moment)} as all_posts where views <> 0)`)} as ours, ${shown(plain)} as plain`.execute(
    db,
  )
  return rows[0] ?? { ours: {}, plain: {} }
}

/** The whole rollups. */
async function sums(db: Kysely<Database>) {
  const heads = await sql<{ days: number; touches: string }>`
    select (-1 - days) / 2 as days, touches from post_views_window where days % 2 <> 0 and views = ${WHOLE} order by 1, 2`.execute(
    db,
  )
  return heads.rows
}

t.test('a stored sum is used until a closed day changes', async (t) => {
  const { db, pool, count, list } = await setUp(t)
  const check = async (what: string, atMs = nowMs) => {
    for (const days of [2, 3, 7, 30]) {
      const { ours, plain } = await list(days, atMs)
      t.same(ours, plain, `${what}: ${days} days`)
    }
  }
  await count([0, 1, 2, 3, 7, 8, 29, 30, 31].map((age) => ({ post: age % 3, age, views: 2 ** age })))
  await check('none kept')
  for (const days of [2, 3, 7, 30]) await materializeWindow(db, { days, nowMs, timeZone })
  await check('kept')
  t.equal((await sums(db)).length, 4)
  await count([{ post: 0, age: 0, views: 1 }])
  await count([{ post: 1, age: 1, views: 1 }])
  await check('views of today and yesterday')
  const kept = await sums(db)
  for (const days of [2, 3, 7, 30]) await materializeWindow(db, { days, nowMs, timeZone })
  t.same(await sums(db), kept, 'nothing is to be done')

  await count([{ post: 2, age: 5, views: 1000 }])
  await check('an old view')
  await pool.query(`update post_views_daily set views = views + 5 where day = '2026-06-08'`)
  await check('somebody works on the table')
  await pool.query(`delete from post_views_daily where day = '2026-06-12'`)
  await check('and deletes')
  for (const days of [2, 3, 7, 30]) await materializeWindow(db, { days, nowMs, timeZone })
  await check('kept anew')
  t.equal((await sums(db)).length, 4, 'one sum a window')

  for (const later of [1, 2, 5, 40]) await check(`${later} days later`, nowMs + later * DAY_MS)
  for (const days of [7, 30]) await materializeWindow(db, { days, nowMs: nowMs + DAY_MS, timeZone })
  await check('kept the next day', nowMs + DAY_MS)
  await check('by a process that is a day behind')
})

t.test('with a stored sum, no closed day is read', async (t) => {
  const { db, pool, count } = await setUp(t)
  await count(Array.from({ length: 31 }, (_none, age) => ({ post: age % 3, age, views: 1 })))
  await pool.query('analyze')
  const rowsRead = async () => {
    const { rows } = await sql<{ 'QUERY PLAN': string }>`
      explain (analyze, costs off, timing off, summary off)
      with ${sql.raw(ROLLUP)} as materialized ${rollup({ days: 30, nowMs, timeZone })}
      select * from ${viewsOfDays({ days: 30, nowMs, timeZone })} as list`.execute(db)
    return rows
      .map((row) => row['QUERY PLAN'])
      .filter((line) => line.includes('post_views_daily'))
      .map((line) => Number(/rows=([\d.]+) loops/.exec(line)?.[1] ?? 0))
      .reduce((all, some) => all + some, 0)
  }
  t.equal(await rowsRead(), 31)
  await materializeWindow(db, { days: 30, nowMs, timeZone })
  t.equal(await rowsRead(), 2)
})

t.test('during parallel counting, storing and pruning, each list is that of its snapshot', async (t) => {
  const { db, count } = await setUp(t)
  const view = fc.record({ post: fc.nat(2), age: fc.nat(12), views: fc.integer({ min: 1, max: 9 }) })
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant('count' as const), views: fc.array(view, { maxLength: 4 }) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('keep' as const), days: fc.constantFrom(3, 7, 10) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('read' as const), days: fc.constantFrom(3, 7, 10) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('fold' as const, 'prune' as const) }) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 40 }), async (steps) => {
      await Promise.all(
        steps.map(async (step) => {
          if (step.do === 'count') await count(step.views)
          if (step.do === 'keep') await materializeWindow(db, { days: step.days, nowMs, timeZone })
          if (step.do === 'fold') await compactDayVersions(db, 10)
          if (step.do === 'prune') await prune(db, { nowMs, timeZone })
          if (step.do !== 'read') return
          const { ours, plain } = await listOf(db, step.days)
          if (JSON.stringify(ours) !== JSON.stringify(plain))
            throw new Error(`expected ${JSON.stringify(plain)}, got ${JSON.stringify(ours)}`)
        }),
      )
    }),
    { numRuns: 40 },
  )
  t.pass('40 histories')
})

t.test('counts of changes are merged to one row a day, and pruned with their days', async (t) => {
  const { db, count } = await setUp(t)
  for (let time = 0; time < 5; time += 1) await count([0, 3, 401].map((age) => ({ post: 0, age, views: 1 })))
  const touched = () => db.selectFrom('post_views_touch').selectAll().orderBy('day').execute()
  t.ok((await touched()).length > 3)
  await materializeWindow(db, { days: 7, nowMs, timeZone })
  const kept = await sums(db)
  await prune(db, { nowMs, timeZone })
  const days = await touched()
  t.equal(days.length, 2)
  t.match(days, [{ times: '5' }, { times: '5' }])
  await materializeWindow(db, { days: 7, nowMs, timeZone })
  t.same(await sums(db), kept, 'the sum still holds')
})

t.test('truncated tables leave no stored sum', async (t) => {
  const { db, pool, count, list } = await setUp(t)
  const source = createLoaders(checkOptions({ db }), db, NOTHING)
  for (const tables of [
    ...['post_views_daily', 'post_views_hourly', 'post_views_total', 'post_views_touch'],
    'post_views_hourly, post_views_daily, post_views_total',
    'post_views_hourly, post_views_daily, post_views_total, post_views_touch, post_views_window, post_views_batch',
  ]) {
    await count([{ post: 1, age: 3, views: 7 }])
    await count([{ post: 1, age: 3, views: 7 }], Date.now())
    await materializeWindow(db, { days: 7, nowMs, timeZone })
    t.equal((await source.posts({ sort: 'views', days: 7, limit: 1 })).length, 1)
    await pool.query('begin; truncate post_views_daily; rollback')
    const before = await list(7)
    t.same(before.ours, before.plain)
    t.ok((await sums(db)).length > 0, 'taken back')
    await pool.query(`truncate ${tables}`)
    for (let times = 0; times < 3; times += 1) {
      const { ours, plain } = await list(7)
      t.same(ours, plain, tables)
      const [first] = await source.posts({ sort: 'views', days: 7, limit: 1 })
      const [expected] = await findPopularPosts(db, { sort: 'views', days: 7, limit: 1, timeZone })
      t.same(first, expected)
      if (tables.includes('daily') && times === 0) t.match(first, { views: 0 })
      // The number of changes is the same as before, but the sum is not.
      await count([{ post: 2, age: 3, views: 1 }])
    }
    await pool.query(
      'truncate post_views_daily, post_views_total, post_views_touch, post_views_window, post_views_batch',
    )
  }
})

t.test('a read-only user gets the same lists', async (t) => {
  const { url, count } = await setUp(t)
  await count([{ post: 1, age: 3, views: 7 }], Date.now())
  const options = '-c default_transaction_read_only=on'
  const pool = new Pool({ connectionString: url, options })
  // The database is dropped while the connection closes.
  pool.on('error', () => undefined)
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
  t.teardown(() => db.destroy())
  const source = createLoaders(checkOptions({ db }), db, NOTHING)
  t.match(await source.posts({ sort: 'views', days: 7, limit: 1 }), [{ slug: 'p1', views: 7 }])
  t.same(await sums(db), [])
})

t.test('a rollup of an earlier day is exact, and is what the next one is made of', async (t) => {
  const { db, pool, ids, count, list } = await setUp(t)
  await count(Array.from({ length: 80 }, (_none, age) => ({ post: age % 3, age: age - 35, views: 2 ** (age % 20) })))
  const later = Array.from({ length: 30 }, (_none, day) => nowMs + day * DAY_MS)
  await materializeWindow(db, { days: 7, nowMs, timeZone })
  await materializeWindow(db, { days: 30, nowMs, timeZone })
  for (const [day, atMs] of later.entries())
    for (const days of [7, 30]) {
      const { ours, plain } = await list(days, atMs)
      t.same(ours, plain, `${days} days, ${day} days later`)
    }
  for (const atMs of later) {
    // Only today counts, so that only the last rollup can be the source of the closed days.
    await materializeWindow(db, { days: 30, nowMs: atMs, timeZone })
    const { ours, plain } = await list(30, atMs)
    t.same(ours, plain)
    t.equal((await sums(db)).filter(({ days }) => days === 30).length, 1, 'one a window')
  }
  t.equal((await pool.query('select from post_views_window where days % 2 = 0 and views = 0')).rowCount, 0)
  await db
    .deleteFrom('posts')
    .where('id', '=', ids[1] ?? '')
    .execute()
  t.equal((await findPopularPosts(db, { sort: 'views', days: 30, limit: 5, nowMs, timeZone })).length, 2)
})

t.test('a rollup with a full counter is no source for the next one', async (t) => {
  const { db, pool, count, list } = await setUp(t)
  await count([3, 4, 29, 30].map((age) => ({ post: 0, age, views: 1 })))
  await pool.query(`update post_views_daily set views = 9223372036854775807 where day in ('2026-05-16', '2026-06-12')`)
  await materializeWindow(db, { days: 30, nowMs, timeZone })
  await materializeWindow(db, { days: 30, nowMs: nowMs + 2 * DAY_MS, timeZone })
  const { ours, plain } = await list(30, nowMs + 2 * DAY_MS)
  t.same(ours, plain)
})

t.test('of two processes that store the same rollup, one does', async (t) => {
  const { db, count } = await setUp(t)
  await count([{ post: 0, age: 3, views: 1 }])
  await Promise.all([1, 2, 3, 4].map(() => materializeWindow(db, { days: 7, nowMs, timeZone })))
  t.equal((await sums(db)).length, 1)
})

t.test('a load stores no sum; a flush stores those of the usual windows, once a minute', async (t) => {
  const { db, count, pool } = await setUp(t)
  await count([{ post: 1, age: 3, views: 7 }], Date.now())
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(popularPosts, { db, defaultDays: 14, maxDays: 60, viewFlushSeconds: 0 })
  t.match(await app.popularPosts.get({ days: 7, limit: 1 }), [{ slug: 'p1', views: 7 }])
  t.same(await sums(db), [], 'a load')
  const { postViews } = app
  await postViews.flush()
  await until(async () => (await sums(db)).length === 3, 'three windows')
  t.same(
    (await sums(db)).map(({ days }) => days),
    [7, 14, 30],
  )
  await pool.query('delete from post_views_window')
  await postViews.flush()
  t.same(await sums(db), [], 'not again in the same minute')
})

t.test('a flush stores no sums of windows that readers may not request', async (t) => {
  const { db, count } = await setUp(t)
  await count([{ post: 1, age: 3, views: 7 }], Date.now())
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(popularPosts, { db, defaultDays: 14, days: [1, 14, 0, 90], viewFlushSeconds: 0 })
  await app.postViews.flush()
  await until(async () => (await sums(db)).length === 2, 'two windows')
  t.same(
    (await sums(db)).map(({ days }) => days),
    [14, 90],
  )
})

t.test('an interrupted storing leaves lists exact, and is continued or deleted', async (t) => {
  const { db, pool, ids, count, list } = await setUp(t, 20)
  const stored = async (part: string) => (await pool.query(`select from post_views_window where ${part}`)).rowCount
  const check = async (what: string, atMs: number) => {
    const { ours, plain } = await list(7, atMs)
    t.same(ours, Object.fromEntries(Object.entries(plain).filter(([, views]) => Number(views) > 0)), what)
    const expected = ids.map((id) => Number(plain[id] ?? 0)).toSorted((a, b) => b - a)
    for (const reach of [0, 1, 5, 50]) {
      const posts = await findPopularPosts(db, { sort: 'views', days: 7, limit: 20, nowMs: atMs, timeZone }, reach)
      t.same(
        posts.map(({ views }) => views),
        expected,
        `${what}: reach ${reach}`,
      )
    }
  }
  /** Stores some slices of 3 posts, and is interrupted. */
  async function store(slices: number, atMs: number, slicePosts = 3) {
    let left = slices
    const isOver = () => left-- <= 0
    await materializeWindow(db, { days: 7, nowMs: atMs, timeZone }, { slicePosts, isOver })
  }
  await count(Array.from({ length: 200 }, (_none, n) => ({ post: n % 20, age: n % 12, views: 1 + (n % 17) })))
  // A post that the totals lack, after and between the others.
  await pool.query('delete from post_views_total where post_id in ($1, $2)', [ids[19], ids[4]])
  for (const slices of [1, 2, 3]) {
    await store(slices, nowMs)
    t.same(await sums(db), [], 'no whole one')
    await check(`after ${slices} slices more`, nowMs)
  }
  t.equal(await stored('days = -14'), 19, 'six slices of three, and the post between')
  await store(9, nowMs)
  t.equal((await sums(db)).length, 1)
  t.equal(await stored('days = -14'), 20)
  await check('whole', nowMs)

  const tomorrowMs = nowMs + DAY_MS
  await store(2, tomorrowMs)
  await check('the next one has begun', tomorrowMs)
  t.equal((await sums(db)).length, 1)
  await count([{ post: 3, age: 4, views: 100 }])
  await check('a closed day has changed in the middle', tomorrowMs)
  await store(1, tomorrowMs)
  t.equal(await stored('days = -15 and views = 2'), 1, 'the one that was begun is outdated')
  await check('a new one has begun', tomorrowMs)
  await store(3, tomorrowMs)
  t.equal(await stored('days = -15 and views = 2'), 0, 'and is deleted')
  await check('half', tomorrowMs)
  await store(99, tomorrowMs)
  await check('whole again', tomorrowMs)
  t.equal(await stored('days % 2 <> 0'), 1, 'one head')
  t.equal(await stored('days % 2 = 0'), 20, 'its sums')

  const laterMs = tomorrowMs + DAY_MS
  await Promise.all(Array.from({ length: 6 }, () => store(99, laterMs, 2)))
  await store(99, laterMs)
  await check('six processes', laterMs)
  t.equal(await stored('true'), 21)
  await pool.query('update post_views_daily set views = 0')
  await store(99, laterMs)
  await check('without views', laterMs)
  await pool.query('truncate post_views_daily')
  t.equal(await stored('true'), 0)
  await store(99, laterMs)
  t.equal(await stored('days % 2 = 0'), 0)
})
