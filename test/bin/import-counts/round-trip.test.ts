import fc from 'fast-check'
import { type Kysely, sql } from 'kysely'
import t from 'tap'
import { undoCounts } from '../../../bin/import-counts/import-counts.ts'
import { addViews } from '../../../db/count-views.ts'
import { migrateToLatest, POST_ID_TYPES } from '../../../db/migrate.ts'
import { openDatabase } from '../../../db/open-database.ts'
import { findPopularPosts } from '../../../db/ranking.ts'
import { prune } from '../../../db/retention.ts'
import type { Database } from '../../../db/schema.ts'
import { importTexts, readAllCounters, readHeats, runCounts } from '../../helpers/counter-exports.ts'
import { createTestDatabase } from '../../helpers/postgres.ts'

const HOUR_MS = 3_600_000
const SLUGS = ['a', 'b,"c"', 'd e', '-', 'ü']
const ZONES = ['UTC', 'Europe/Berlin', 'America/St_Johns', 'Pacific/Auckland']
const COUNTERS = [
  'post_views_hourly',
  'post_views_daily',
  'post_views_total',
  'post_views_import',
  'post_views_import_count',
]

/** Views of the last hours, days and years, and all-time totals that are older than any day. */
const histories = fc.record({
  zone: fc.constantFrom(...ZONES),
  format: fc.constantFrom('csv', 'json'),
  views: fc.array(
    fc.record({
      slug: fc.constantFrom(...SLUGS),
      hoursAgo: fc.oneof(fc.nat(23), fc.nat(60), fc.nat(24 * 500)),
      views: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 2 ** 31 })),
    }),
    { maxLength: 12 },
  ),
  older: fc.dictionary(fc.constantFrom(...SLUGS), fc.bigInt({ min: 1n, max: 2n ** 60n })),
  isPruned: fc.boolean(),
})

async function empty(db: Kysely<Database>): Promise<void> {
  await sql`truncate ${sql.join(COUNTERS.map((table) => sql.table(table)))}`.execute(db)
}

/** The counters that a list or a page can show: hours older than 25 hours are read by none. */
async function readCounters(db: Kysely<Database>, isWithHours: boolean) {
  const newest = new Date(Date.now() - 24 * HOUR_MS).toISOString().slice(0, 13).replace('T', ' ')
  const all = Object.entries(await readAllCounters(db))
  return all.filter(([key]) => {
    const [, hour] = / (\d{4}-\d\d-\d\d \d\d)$/.exec(key) ?? []
    return hour === undefined || (isWithHours && hour > newest)
  })
}

t.test('an export gives the same counters, heats and lists in an empty database', async (t) => {
  const source = (await createTestDatabase(t)).db
  const target = (await createTestDatabase(t)).db
  for (const db of [source, target]) {
    const posts = SLUGS.map((slug) => ({ slug, title: slug, url: '/', published_at: new Date(0) }))
    await db.insertInto('posts').values(posts).execute()
  }
  const ids = new Map(
    (await source.selectFrom('posts').select(['slug', 'id']).execute()).map((post) => [post.slug, post.id]),
  )
  await fc.assert(
    fc.asyncProperty(histories, async ({ zone: timeZone, format, views, older, isPruned }) => {
      const nowMs = Date.now()
      await empty(source)
      await empty(target)
      const buckets = views.map((view) => ({
        postId: ids.get(view.slug) ?? 0,
        bucketStartMs: Math.floor(nowMs / HOUR_MS - view.hoursAgo) * HOUR_MS,
        views: view.views,
      }))
      if (buckets.length > 0) await source.transaction().execute((trx) => addViews(trx, { timeZone, nowMs, buckets }))
      const totals = Object.entries(older).map(([slug, total]) => `${slug.replace(/.*[",].*/, 'a')},${total}`)
      if (totals.length > 0) await importTexts(source, ['slug,total', ...totals, ''].join('\n'), { timeZone })
      if (isPruned) await prune(source, { nowMs, timeZone })
      const { stdout } = await runCounts(['export-counts', '--format', format], { db: source, timeZone })
      // An hour that a midnight of the zone divides is in its day.
      const isWithHours = timeZone !== 'America/St_Johns'
      const wanted = await readCounters(source, isWithHours)
      if (wanted.length > 0) {
        const { id } = await importTexts(target, stdout, { timeZone, nowMs })
        t.strictSame(await readCounters(target, isWithHours), wanted)
        const [heats, found] = [await readHeats(source), await readHeats(target)]
        for (const [slug, heat] of Object.entries(heats))
          if (heat !== found[slug] && !(Math.abs(heat - (found[slug] ?? 0)) < 1e-9))
            t.equal(found[slug], heat, `heat of ${slug}`)
        for (const days of [0, 7, 365])
          for (const sort of ['views', 'trending'] as const) {
            const query = { days, sort, limit: 10, nowMs, timeZone }
            const lists = [source, target].map((db) => findPopularPosts(db, query))
            const [of, was] = (await Promise.all(lists)).map((list) =>
              list.map((post) => [post.slug, post.views, post.totalViews]),
            )
            t.strictSame(of, was)
          }
        const again = await importTexts(target, stdout, { timeZone, nowMs })
        t.equal(again.outcome, 'nothing new')
        await undoCounts(target, { id, timeZone, nowMs })
        t.same(await readAllCounters(target), {}, 'undone')
      }
    }),
    { numRuns: 40 },
  )
})

t.test('ids of any type, in a schema of their own', async (t) => {
  const { pool, url } = await createTestDatabase(t, { migrate: false })
  const types = { bigint: 'bigint', uuid: 'uuid', text: 'text' }
  for (const postId of POST_ID_TYPES) {
    const schema = `own_${postId}`
    const db = openDatabase(
      url,
      () => {},
      {},
      () => schema,
    )
    t.teardown(() => db.destroy())
    await migrateToLatest(db, { adopt: { postId }, schema })
    await pool.query(`
      create table ${schema}.articles (id ${types[postId]} primary key, slug text, title text);
      create view ${schema}.posts as select id, slug, title, null::timestamptz as published_at from ${schema}.articles`)
    const ids = {
      bigint: ['7', '8'],
      uuid: [1, 2].map((n) => `00000000-0000-4000-8000-00000000000${n}`),
      text: ['x"y', 'z,\\'],
    }[postId]
    await pool.query(`insert into ${schema}.articles values ($1, 'a', 'A'), ($2, 'b', null), ($3, null, 'No slug')`, [
      ...ids,
      { bigint: '9', uuid: '00000000-0000-4000-8000-000000000009', text: '' }[postId],
    ])
    const text = 'slug,day,views\na,2024-01-01,5\na,2024-01-02,1\nb,2024-01-01,2\n'
    t.match(
      await importTexts(db, text),
      {
        views: 8n,
        top: [
          { slug: 'a', title: 'A' },
          { slug: 'b', title: 'b' },
        ],
      },
      postId,
    )
    const rows = [
      ['id', 'views'],
      [ids[0], '9'],
      ['nothing', '1'],
    ].map((row) => row.map((field) => `"${field?.replaceAll('"', '""')}"`).join())
    const byId = await importTexts(db, `${rows.join('\n')}\n`, { ids: 'same', source: 'ids' })
    t.match(byId, { views: 9n, unknown: 1n, addedTotals: 1 })
    const { stdout } = await runCounts(['export-counts'], { db })
    t.equal(
      stdout.replace(/,[\d.]+\n/g, ',heat\n'),
      'slug,day,hour,views,heat\na,2024-01-01,,5,\nb,2024-01-01,,2,\na,2024-01-02,,1,\na,,,15,heat\nb,,,2,heat\n',
    )
    await undoCounts(db, { id: byId.id, timeZone: 'UTC', nowMs: Date.now() })
    t.match(await importTexts(db, text.replaceAll(',5', ',6')), { views: 1n })
    for (const id of ['1', '3']) await undoCounts(db, { id, timeZone: 'UTC', nowMs: Date.now() })
    t.same(await readAllCounters(db), {})
  }
})

t.test('more rows than one statement takes', async (t) => {
  const { db, pool } = await createTestDatabase(t)
  await pool.query(`
    insert into posts (slug, title, url, published_at) select 'p' || n, 'P', '/', '2020-01-01' from generate_series(1, 2500) n`)
  const day = (n: number) => new Date(Date.UTC(2024, 0, 1 + n)).toISOString().slice(0, 10)
  const rows = Array.from({ length: 2500 * 9 }, (_, n) => `p${1 + (n % 2500)},${day(n % 9)},${1 + (n % 5)}`)
  const text = `slug,day,views\n${rows.join('\n')}\n`
  const views = rows.reduce((sum, row) => sum + BigInt(row.at(-1) ?? 0), 0n)
  const { id, ...imported } = await importTexts(db, text)
  t.match(imported, { views, posts: 2500 })
  t.equal(imported.top.length, 10)
  const { stdout } = await runCounts(['export-counts'], { db })
  t.equal(stdout.split('\n').length, 2500 * 10 + 2)
  t.equal((await importTexts(db, text)).outcome, 'nothing new')
  t.equal((await undoCounts(db, { id, timeZone: 'UTC', nowMs: Date.now() })).views, views)
  t.same(await readAllCounters(db), {})
})

t.test('an export waits for a slow pipe', async (t) => {
  const { db, pool } = await createTestDatabase(t)
  await pool.query(`
    insert into posts (slug, title, url, published_at) select 'p' || n, 'P', '/', '2020-01-01' from generate_series(1, 3000) n;
    insert into post_views_total select id, 1, 'infinity' from posts;
    insert into post_views_total values (-1, 5, 1)`)
  const { stdout } = await runCounts(['export-counts', '--format', 'json'], { db })
  const lines = stdout.trim().split('\n')
  t.equal(lines.length, 3000, 'without posts that were deleted')
  t.same(JSON.parse(lines[0] ?? ''), { slug: 'p1', day: null, hour: null, views: 1, heat: null })
  await pool.query(
    'update post_views_total set views = 9223372036854775807 where post_id = (select min(id) from posts)',
  )
  const [first = ''] = (await runCounts(['export-counts', '--format', 'json'], { db })).stdout.split('\n')
  t.match(JSON.parse(first), { slug: 'p1', views: '9223372036854775807' }, 'a number above 2^53 is a text')
})
