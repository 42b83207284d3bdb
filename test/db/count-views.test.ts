import { randomUUID } from 'node:crypto'
import t from 'tap'
import { addViews, bucketStart, countBatch, type ViewBucket } from '../../db/count-views.ts'
import { findPopularPosts } from '../../db/ranking.ts'
import { prune } from '../../db/retention.ts'
import { materializeWindow } from '../../db/store-rollups.ts'
import { codeOf } from '../../lib/errors.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

const nowMs = Date.parse('2026-03-29T12:34:56Z')
const HOUR_MS = 3_600_000

async function setUp(t: Parameters<typeof createTestDatabase>[0]) {
  const { db, pool } = await createTestDatabase(t)
  const rows = [1, 2, 3].map((number) => ({
    slug: `p${number}`,
    title: `P${number}`,
    url: `/p${number}`,
    published_at: new Date(0),
    ...(number === 1 ? { image_url: '/p1.svg', image_width: 4, image_height: 3, image_alt: 'a hat' } : {}),
  }))
  const ids = await db.insertInto('posts').values(rows).returning('id').execute()
  const [first = 0, second = 0, third = 0] = ids.map(({ id }) => Number(id))
  const count = (id: string, buckets: ViewBucket[], timeZone = 'UTC') =>
    countBatch(db, { id, timeZone, nowMs, buckets })
  const totals = async () =>
    (await db.selectFrom('post_views_total').select(['post_id', 'views']).orderBy('post_id').execute()).map((row) => [
      Number(row.post_id),
      Number(row.views),
    ])
  const days = async () =>
    (
      await db
        .selectFrom('post_views_daily')
        .select((row) => [row.cast<string>('day', 'text').as('day'), 'views'])
        .orderBy('day')
        .execute()
    ).map((row) => [row.day, Number(row.views)])
  return { db, pool, first, second, third, count, totals, days }
}

t.test('a batch that is sent several times, also in parallel, counts once', async (t) => {
  const { first, second, count, totals } = await setUp(t)
  const buckets = [
    { postId: second, bucketStartMs: bucketStart(nowMs), views: 2 },
    { postId: first, bucketStartMs: bucketStart(nowMs), views: 1 },
  ]
  const counted = await Promise.all(Array.from({ length: 10 }, () => count('batch', buckets)))
  t.equal(counted.filter((how) => how === 'counted').length, 1)
  t.equal(await count('batch', buckets), 'before')
  t.equal(await count('empty', []), 'counted')
  t.same(await totals(), [
    [first, 1],
    [second, 2],
  ])
})

t.test('while the views of a batch are read no connection is held: the database may end all of them', async (t) => {
  const { db, pool, first, totals } = await setUp(t)
  const buckets = async () => {
    await pool.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()').then(
      () => t.fail('it ends its own connection, too'),
      () => undefined,
    )
    // The error of a held connection would be an event without a listener, and end this process.
    await new Promise((resolve) => setTimeout(resolve, 100))
    return [{ postId: first, bucketStartMs: bucketStart(nowMs), views: 3 }]
  }
  t.equal(await countBatch(db, { id: 'batch', timeZone: 'UTC', nowMs, buckets }), 'counted')
  t.equal(await countBatch(db, { id: 'batch', timeZone: 'UTC', nowMs, buckets: [] }), 'before')
  t.same(await totals(), [[first, 3]])
})

t.test('views that are too old are not counted, because the id of their batch may be pruned', async (t) => {
  const { db, first, totals } = await setUp(t)
  const batch = { id: 'batch', timeZone: 'UTC', nowMs }
  const buckets = [{ postId: first, bucketStartMs: bucketStart(nowMs), views: 3 }]
  const frozen = async () => {
    await new Promise((resolve) => setTimeout(resolve, 50))
    return buckets
  }
  t.equal(await countBatch(db, { ...batch, buckets: frozen, maxReadAgeSeconds: 0.04 }), 'late')
  t.same(await totals(), [])
  t.equal(await countBatch(db, { ...batch, buckets }), 'counted')
  t.same(await totals(), [[first, 3]])
})

t.test('batches in any order of posts and hours do not deadlock', async (t) => {
  const { db, first, second, third, count, totals } = await setUp(t)
  const posts = [first, second, third]
  await Promise.all(
    Array.from({ length: 40 }, (_none, nth) => {
      const buckets = (nth % 2 === 0 ? posts : posts.toReversed()).map((postId) => ({
        postId,
        bucketStartMs: bucketStart(nowMs - (nth % 3) * HOUR_MS),
        views: 1,
      }))
      // In the order of a log import.
      if (nth % 4 === 0) return db.transaction().execute((trx) => addViews(trx, { timeZone: 'UTC', nowMs, buckets }))
      return count(`batch ${nth}`, buckets)
    }),
  )
  t.same(
    await totals(),
    posts.map((postId) => [postId, 40]),
  )
})

t.test('views of posts that do not exist are left out, the others count', async (t) => {
  const { first, count, totals } = await setUp(t)
  t.equal(
    await count(
      'mixed',
      [first, 999_999].map((postId) => ({ postId, bucketStartMs: 0, views: 5 })),
    ),
    'counted',
  )
  t.same(await totals(), [[first, 5]])
})

t.test('views with invalid ids are left out and reported, the others count', async (t) => {
  const { db, first, second, totals } = await setUp(t)
  const bucketStartMs = bucketStart(nowMs)
  const odd = ['x', '', '9'.repeat(30), '1.5', 'a "b\\', randomUUID(), 'NULL']
  const buckets = [String(first), ...odd, String(second)].map((postId) => ({ postId, bucketStartMs, views: 2 }))
  const told: unknown[] = []
  const batch = {
    id: 'odd',
    timeZone: 'UTC',
    nowMs,
    buckets,
    onDataException: (error: Error) => told.push(codeOf(error)),
  }
  t.equal(await countBatch(db, batch), 'counted')
  t.equal(await countBatch(db, batch), 'before')
  t.same(told, ['22P02'])
  t.same(await totals(), [
    [first, 2],
    [second, 2],
  ])
})

t.test('a counter at its maximum does not overflow, and the others count', async (t) => {
  const { db, first, second, count, totals } = await setUp(t)
  const most = 9_223_372_036_854_775_807n
  const bucketStartMs = bucketStart(nowMs)
  await count('first', [{ postId: first, bucketStartMs, views: 1 }])
  for (const table of ['post_views_total', 'post_views_daily', 'post_views_hourly'] as const)
    await db
      .updateTable(table)
      .set({ views: most - 1n })
      .execute()
  const huge = { bucketStartMs, views: Number.MAX_SAFE_INTEGER }
  const buckets = [
    { postId: first, bucketStartMs, views: 3 },
    { postId: second, ...huge },
    ...Array.from({ length: 2_000 }, () => ({ postId: second, ...huge })),
  ]
  t.equal(await count('second', buckets), 'counted')
  t.same(await totals(), [
    [first, Number(most)],
    [second, Number(most)],
  ])
})

t.test('counters that were written by hand do not stop the counting: others count, and they are mended', async (t) => {
  const { db, first, second, count, totals } = await setUp(t)
  const bucketStartMs = bucketStart(nowMs)
  const both = [first, second].map((postId) => ({ postId, bucketStartMs, views: 2 }))
  const tables = ['post_views_total', 'post_views_daily', 'post_views_hourly'] as const
  await count('first', both)
  const heatOf = async (postId: number) =>
    Number((await db.selectFrom('post_views_total').select('heat').where('post_id', '=', postId).execute())[0]?.heat)
  const usual = await heatOf(second)
  let expected = 2
  for (const [views, heat] of [
    [-1n, 'NaN'],
    [-9_223_372_036_854_775_808n, 'Infinity'],
    [0n, '-Infinity'],
    [9_223_372_036_854_775_807n, '1e308'],
  ] as const) {
    for (const table of tables) await db.updateTable(table).set({ views }).where('post_id', '=', first).execute()
    await db
      .updateTable('post_views_total')
      .set({ heat: Number(heat) })
      .where('post_id', '=', first)
      .execute()
    t.equal(await count(`with ${views}`, both), 'counted')
    expected += 2
    t.same(await totals(), [
      [first, views < 0 ? 2 : Number(views > 0 ? views : 2n)],
      [second, expected],
    ])
    if (heat !== '1e308') t.equal(await heatOf(first), usual, heat)
  }
})

t.test('the sum of full counters is stored, and other posts too', async (t) => {
  const { db, pool, first, second, count } = await setUp(t)
  const days = [3, 4, 5].map((day) => bucketStart(nowMs - day * 24 * HOUR_MS))
  await count(
    'first',
    days.flatMap((bucketStartMs) => [first, second].map((postId) => ({ postId, bucketStartMs, views: 1 }))),
  )
  await db
    .updateTable('post_views_daily')
    .set({ views: 9_223_372_036_854_775_807n })
    .where('post_id', '=', first)
    .execute()
  await pool.query(`insert into post_views_touch values ('2026-03-25', 9223372036854775807)`)
  await materializeWindow(db, { days: 7, nowMs, timeZone: 'UTC' })
  await pool.query(`delete from post_views_touch where times > 9`)
  await materializeWindow(db, { days: 7, nowMs, timeZone: 'UTC' })
  t.equal((await pool.query('select from post_views_window')).rowCount, 3, 'two sums and a head')
  const posts = await findPopularPosts(db, { sort: 'views', days: 7, limit: 3, nowMs, timeZone: 'UTC' })
  t.match(posts, [
    { slug: 'p1', views: 2 ** 63 },
    { slug: 'p2', views: 3 },
    { slug: 'p3', views: 0 },
  ])
  await pool.query(`insert into post_views_touch values ('2026-03-25', 9223372036854775807)`)
  await prune(db, { nowMs, timeZone: 'UTC' })
})

t.test('a view belongs to the day of its quarter of an hour, in the time zone of the site', async (t) => {
  for (const [timeZone, moments] of [
    ['UTC', ['2026-03-28T23:59:59Z', '2026-03-29T00:00:00Z']],
    ['Asia/Kolkata', ['2026-03-28T18:29:59Z', '2026-03-28T18:30:00Z']],
    ['Asia/Kathmandu', ['2026-03-28T18:14:59Z', '2026-03-28T18:15:00Z']],
    ['America/New_York', ['2026-03-29T03:59:59Z', '2026-03-29T04:00:00Z']],
    ['Europe/Berlin', ['2026-03-28T22:59:59Z', '2026-03-28T23:00:00Z']],
  ] as const) {
    const { first, count, days } = await setUp(t)
    await count(
      'b',
      moments.map((moment) => ({ postId: first, bucketStartMs: bucketStart(Date.parse(moment)), views: 1 })),
      timeZone,
    )
    t.same(
      await days(),
      [
        ['2026-03-28', 1],
        ['2026-03-29', 1],
      ],
      timeZone,
    )
  }
})

t.test('hours are kept for views of the last two days only', async (t) => {
  const { db, first, count } = await setUp(t)
  await count(
    'b',
    [0, 24, 47, 49, 5000].map((hours) => ({
      postId: first,
      bucketStartMs: bucketStart(nowMs - hours * HOUR_MS),
      views: 1,
    })),
  )
  t.equal((await db.selectFrom('post_views_hourly').selectAll().execute()).length, 3)
})

t.test('heat follows the decayed views, over any distance in time', async (t) => {
  const { db, first, second, third, count } = await setUp(t)
  await count('old', [
    { postId: first, bucketStartMs: 0, views: 1_000_000 },
    { postId: second, bucketStartMs: bucketStart(nowMs - 24 * HOUR_MS), views: 10 },
  ])
  await count('new', [
    { postId: third, bucketStartMs: bucketStart(nowMs), views: 6 },
    { postId: first, bucketStartMs: bucketStart(nowMs - 48 * HOUR_MS), views: 12 },
  ])
  const posts = await findPopularPosts(db, { sort: 'trending', days: 0, limit: 3, nowMs, timeZone: 'UTC' })
  t.same(
    posts.map(({ slug }) => slug),
    ['p3', 'p2', 'p1'],
    '6 of now, 5 of yesterday’s 10, 3 of 12',
  )
  t.same(posts[2]?.image, { url: '/p1.svg', width: 4, height: 3, alt: 'a hat' })
})
