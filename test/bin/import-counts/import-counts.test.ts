import { sql } from 'kysely'
import t from 'tap'
import { undoCounts } from '../../../bin/import-counts/import-counts.ts'
import { compilePostPattern } from '../../../bin/import-log/slug.ts'
import { addViews } from '../../../db/count-views.ts'
import { addPosts, readTotals } from '../../helpers/access-log.ts'
import { importTexts, readAllCounters, readHeats } from '../../helpers/counter-exports.ts'
import { createTestDatabase } from '../../helpers/postgres.ts'

const DAY_MS = 86_400_000
const NOON = Date.UTC(2024, 0, 1, 12)
const csv = (...rows: string[]) => ['slug,day,views', ...rows, ''].join('\n')

t.test('the views of days are in all counters, and the same export again counts nothing', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b')
  const text = csv(
    'a,2024-01-01,5',
    'a,2024-01-02,1',
    'b,2024-01-01,2',
    'a,2024-01-01,3',
    'c,2024-01-01,9',
    'a,2024-01-03,0',
  )
  t.match(await importTexts(db, text), {
    outcome: 'counted',
    source: 'counts',
    rows: 6,
    exported: 20n,
    views: 11n,
    undated: 0n,
    posts: 2,
    unknown: 9n,
    topUnknown: [{ name: '/c', views: 9n }],
    top: [
      { slug: 'a', title: 'A', views: 9n },
      { slug: 'b', title: 'B', views: 2n },
    ],
    firstDay: '2024-01-01',
    lastDay: '2024-01-03',
  })
  const counters = { a: '9', 'a 2024-01-01': '8', 'a 2024-01-02': '1', b: '2', 'b 2024-01-01': '2' }
  t.same(await readAllCounters(db), counters)
  const { a, b } = await readHeats(db)
  t.ok(Math.abs((b ?? 0) - (NOON / DAY_MS + 1)) < 1e-9, 'two views at noon')
  t.ok(Math.abs((a ?? 0) - (NOON / DAY_MS + Math.log2(8 + 2))) < 1e-9, 'eight views at noon, and one a day later')
  t.match(await importTexts(db, text), { outcome: 'nothing new', views: 0n })
  t.same(await readAllCounters(db), counters)
})

t.test('of a post and day a source has counted the greatest number of its exports, in any order', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a')
  const numbers = async () => (await readAllCounters(db))['a 2024-01-01']
  const undo = (id: string) => undoCounts(db, { id, timeZone: 'UTC', nowMs: Date.now() })
  const first = await importTexts(db, csv('a,2024-01-01,5'))
  const newer = await importTexts(db, csv('a,2024-01-01,8'))
  t.equal(newer.views, 3n, 'the difference')
  t.match(await importTexts(db, csv('a,2024-01-01,6')), { outcome: 'nothing new' }, 'an older export')
  t.equal(await numbers(), '8')
  t.equal((await undo(first.id)).views, 0n, 'the newer export has these views, too')
  t.equal(await numbers(), '8')
  t.equal((await importTexts(db, csv('a,2024-01-01,9'))).views, 1n)
  t.same(await undo(newer.id), { source: 'counts', views: 0n })
  await t.rejects(undo(newer.id), { message: /There is no import 2 to undo: there are 4 \(counts, \d{4}-/ })
  await undo('4')
  t.same(await readAllCounters(db), {}, 'as before the first import')
  await t.rejects(undo('4'), { message: 'There is no import 4 to undo: there are none.' })
})

t.test('totals count for all time only, and include the days of their source', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b', 'c')
  const totals = 'slug,total\na,100\nb,7\nb,1\n'
  const outcome = await importTexts(db, totals)
  t.match(outcome, { views: 108n, undated: 108n, firstDay: undefined, addedTotals: 0 })
  t.same(await readAllCounters(db), { a: '100', b: '8' })
  t.same(await readHeats(db), { a: Number.NEGATIVE_INFINITY, b: Number.NEGATIVE_INFINITY })
  t.match(await importTexts(db, csv('a,2024-01-01,30', 'b,2024-01-01,30', 'c,2024-01-01,1')), {
    views: 23n,
    undated: -38n,
  })
  t.same(await readTotals(db), { a: 100, b: 30, c: 1 }, 'the 30 views of a are in its total')
  t.ok(((await readHeats(db))['a'] ?? 0) > 19_000)
  t.match(await importTexts(db, 'slug,total\na,101\nb,29\n'), { views: 1n, addedTotals: 0 })
  t.match(await importTexts(db, 'slug,total\nc,5\n', { source: 'other' }), { views: 5n, addedTotals: 1 })
  t.same(await readTotals(db), { a: 101, b: 30, c: 6 })
  for (const id of ['4', '2', '1', '3']) await undoCounts(db, { id, timeZone: 'UTC', nowMs: Date.now() })
  t.same(await readAllCounters(db), {})
})

t.test('days of which the database has other views are refused', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b')
  const [a] = await db.selectFrom('posts').where('slug', '=', 'a').select('id').execute()
  const buckets = [{ postId: a?.id ?? 0, bucketStartMs: NOON, views: 4 }]
  await db.transaction().execute((trx) => addViews(trx, { timeZone: 'UTC', nowMs: Date.now(), buckets }))
  const text = csv('a,2023-12-31,1', 'a,2024-01-01,10', 'b,2024-01-01,3')
  const before = await readAllCounters(db)
  t.match(await importTexts(db, text), {
    outcome: 'refused',
    overlap: { days: 1, views: 10n, otherViews: 4n, first: '2024-01-01', last: '2024-01-01' },
  })
  t.same(await readAllCounters(db), before, 'nothing was counted')
  t.match(await importTexts(db, text, { dryRun: true, anyway: true }), { outcome: 'dry run', views: 14n })
  t.same(await readAllCounters(db), before, 'nothing was counted')
  const total = `${text}a,,50\n`
  t.match(await importTexts(db, total, { before: '2024-01-01' }), { outcome: 'counted', views: 1n, after: 3 })
  t.match(await importTexts(db, text, { anyway: true }), { outcome: 'counted', views: 13n })
  t.same(await readTotals(db), { a: 15, b: 3 })
  t.match(await importTexts(db, csv('a,2024-01-01,9'), { source: 'other' }), { outcome: 'refused' }, 'of two counters')
  t.equal((await importTexts(db, csv('a,2024-01-01,12'))).outcome, 'refused', 'the difference is refused, too')
})

t.test('an undo leaves the views and the heat of others', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b', 'c')
  const ids = await db.selectFrom('posts').select(['id', 'slug']).orderBy('slug').execute()
  const nowMs = Date.now()
  const buckets = ids.map(({ id }, index) => ({
    postId: id,
    bucketStartMs: nowMs - (index * 20 + 1) * DAY_MS,
    views: 3,
  }))
  await db.transaction().execute((trx) => addViews(trx, { timeZone: 'UTC', nowMs, buckets }))
  const [counters, heats] = [await readAllCounters(db), await readHeats(db)]
  const day = (before: number) => new Date(nowMs - before * DAY_MS).toISOString().slice(0, 10)
  const text = csv(`a,${day(3)},5`, `b,${day(1)},1000000`, `c,${day(0)},900000000`, `c,${day(30)},7`, `b,${day(21)},1`)
  const { id, outcome } = await importTexts(db, text, { anyway: true })
  t.equal(outcome, 'counted')
  await undoCounts(db, { id, timeZone: 'UTC', nowMs })
  t.same(await readAllCounters(db), counters)
  const after = await readHeats(db)
  t.ok(Math.abs((after['a'] ?? 0) - (heats['a'] ?? 0)) < 1e-6, 'subtracted')
  // Of b and c no digits are left: the heat is that of their days, as of noon.
  for (const slug of ['b', 'c']) t.ok(Math.abs((after[slug] ?? 0) - (heats[slug] ?? 0)) <= 0.5, slug)
})

t.test('views of the last day are in the list of the last 24 hours', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b')
  const nowMs = Date.now()
  const time = (hours: number) => new Date(nowMs - hours * 3_600_000).toISOString()
  const rows = (...hours: number[]) => `slug,time\n${hours.map((hour) => `a,${time(hour)}\n`).join('')}`
  t.match(await importTexts(db, rows(1, 1, 2, 3, 80)), { source: 'rows', views: 5n })
  const hour = (hours: number) => `a ${time(hours).slice(0, 13).replace('T', ' ')}`
  t.match(await readAllCounters(db), { a: '5', [hour(1)]: '2', [hour(2)]: '1', [hour(3)]: '1' })
  const today = time(0).slice(0, 10)
  const newer = await importTexts(db, rows(0, 1, 1, 2, 3, 80), { anyway: true })
  t.equal(newer.views, 1n)
  t.match(await readAllCounters(db), { a: '6', [hour(0)]: '1', [hour(1)]: '2' }, 'the newest views are the new ones')
  await undoCounts(db, { id: newer.id, timeZone: 'UTC', nowMs })
  t.notOk((await readAllCounters(db))[hour(0)])
  await importTexts(db, csv(`b,${today},4`))
  const { rows: hours } = await sql<{ views: number }>`
    select views::int from post_views_hourly join posts on posts.id = post_id where slug = 'b' and hour <= now()`.execute(
    db,
  )
  t.same(hours, [{ views: 4 }], 'views of today, of which only the day is known')
})

t.test('posts are found by earlier slugs and in other forms, and created on demand', async (t) => {
  const { db, pool } = await createTestDatabase(t)
  await addPosts(db, 'a', 'caf%c3%a9')
  await pool.query(`insert into post_aliases (slug, post_id) select 'old', id from posts where slug = 'a'`)
  const text = [
    'path,day,views',
    '/blog/old/?utm=x,2024-01-02,1',
    'https://blog.example/blog/A#top,2024-01-02,2',
    'blog.example/blog/caf%C3%A9,2024-01-02,3',
    '/blog/new/index.html,2024-01-03,4',
    'blog/new,2024-01-01,5',
    '/blog/tags/,2024-01-01,6',
    '/about,2024-01-01,7',
    ',2024-01-01,8',
    '',
  ].join('\n')
  const post = compilePostPattern('/blog/')
  t.match(await importTexts(db, text, { post, dryRun: true }), { views: 6n, unknown: 9n, others: 3 })
  await t.rejects(importTexts(db, text, { createPosts: { before: async () => {} } }), /--create-posts needs --post/)
  let prepared = 0
  const createPosts = { before: async () => void prepared++, baseUrl: 'https://blog.example' }
  t.match(await importTexts(db, text, { post, createPosts }), { views: 15n, unknown: 0n, postsCreated: 1 })
  t.same(await readTotals(db), { new: 9, 'caf%c3%a9': 3, a: 3 })
  const created = await db.selectFrom('posts').where('slug', '=', 'new').select(['url', 'published_at']).execute()
  t.same(created, [{ url: 'https://blog.example/blog/new', published_at: new Date('2024-01-01T00:00:00Z') }])
  const long = 'x'.repeat(600)
  t.match(await importTexts(db, `slug,total\nnext,3\n${long},2\n`, { createPosts }), { views: 3n, unknown: 2n })
  const onlyLong = await importTexts(db, `slug,total\n${long},2\n`, { createPosts })
  t.match(onlyLong, { outcome: 'nothing new', unknown: 2n, postsCreated: 0 })
  t.equal(prepared, 2, 'once an import')
  const ofWordPress = 'path,views\n/?p=7,1\n/index.php?utm_source=x&p=7,1\n/?cat=2,4\n'
  t.match(await importTexts(db, ofWordPress, { post: compilePostPattern('/?p='), createPosts }), {
    views: 2n,
    others: 1,
  })
  const [seven] = await db.selectFrom('posts').where('slug', '=', '7').select('url').execute()
  t.equal(seven?.url, 'https://blog.example/?p=7')
  const ofUmami =
    'website_id,url_path,url_query,event_type,created_at\nw,/,p=7,1,2024-05-01 12:00:00\nw,/,,1,2024-05-01 12:00:00\n'
  t.match(await importTexts(db, ofUmami, { post: compilePostPattern('/?p=') }), {
    source: 'umami',
    views: 1n,
    others: 1,
  })
})

t.test('posts are found by ids', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b')
  const [a] = await db.selectFrom('posts').where('slug', '=', 'a').select('id').execute()
  const text = `post_id,views\n${a?.id},4\n77,5\nx,1\n0,8\n`
  await t.rejects(importTexts(db, text), { message: /This export \(counts\) has the ids of posts and no slugs.*--ids/ })
  t.match(await importTexts(db, text, { ids: 'same' }), {
    views: 4n,
    unknown: 6n,
    others: 1,
    topUnknown: [{ name: 'id 77' }, { name: 'id x' }],
  })
  t.match(await importTexts(db, text, { ids: new Map([['77', 'b']]), source: 'two' }), {
    views: 5n,
    unknown: 5n,
    topUnknown: [
      { name: `id ${a?.id}`, views: 4n },
      { name: 'id x', views: 1n },
    ],
  })
  t.same(await readTotals(db), { b: 5, a: 4 })
})

t.test('broken rows are left out and named, and an export with no other rows is refused', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a')
  const broken = [
    'a,2024-01-01,-3',
    'a,2024-02-30,1',
    'a,01.02.2024,1',
    'a,2024-01-01,1.5',
    'a,2024-01-01,many',
    'a,1970-01-01,1',
  ]
  const more = ['a,0000-00-00,1', 'a,2024-01-01,9223372036854775808', 'a,2024-01-01,']
  const text = csv(
    'a,2024-01-01,"1,234"',
    'a,20240102,2.0',
    'a,2024/01/03,1',
    'a,2024-01-04 00:00:00,1',
    ...broken,
    ...more,
    'a,9999-01-01,1',
  )
  t.match(await importTexts(db, text), {
    views: 1238n,
    broken: 9,
    firstBroken: '0, row 6: expected a number of views, got "-3"',
    future: 1,
  })
  await t.rejects(importTexts(db, csv(...broken)), {
    message: 'No row can be read: 0, row 2: expected a number of views, got "-3".',
  })
  const full = '9223372036854775807'
  await importTexts(db, csv(`a,2024-01-01,${full}`, `a,2024-01-01,${full}`), { anyway: true })
  t.equal((await readAllCounters(db))['a'], full, 'a full counter stays')
})

t.test('the files of an export are added up; those of two counters are refused', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a')
  t.match(await importTexts(db, [csv('a,2024-01-01,1'), csv('a,2024-01-01,2')]), { views: 3n, rows: 2 })
  const rows = 'slug,time\na,2024-01-05T10:00:00Z\n'
  await t.rejects(importTexts(db, [csv('a,2024-01-02,1'), rows]), { message: /two counters, counts and rows/ })
  t.match(await importTexts(db, [csv('a,2024-01-02,1'), rows], { source: 'all' }), { views: 2n })
  let prepared = 0
  const createPosts = { before: async () => void prepared++ }
  const two = [csv('n,2024-01-02,1'), csv('n,2024-01-01,1', 'm,2024-01-02,1')]
  t.match(await importTexts(db, two, { createPosts, source: 'new' }), { views: 3n, postsCreated: 2 })
  t.equal(prepared, 1)
  const created = await db.selectFrom('posts').select(['slug', 'published_at']).where('slug', '=', 'n').execute()
  t.same(created, [{ slug: 'n', published_at: new Date('2024-01-01T00:00:00Z') }], 'on the first day')
})

t.test('more names of unknown posts than are remembered', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a')
  const names = Array.from({ length: 25_000 }, (_, index) => `p${index},2024-01-01,${index === 7 ? 50 : 1}`)
  t.match(await importTexts(db, csv(...names, 'a,2024-01-01,1')), {
    views: 1n,
    unknown: 25_049n,
    topUnknown: [{ name: '/p7', views: 50n }],
  })
})
