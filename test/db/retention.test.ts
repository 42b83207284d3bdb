import { Kysely, PostgresDialect } from 'kysely'
import { DateTime } from 'luxon'
import t from 'tap'
import { addViews, bucketStart, countBatch, type ViewBucket } from '../../db/count-views.ts'
import { findPopularPosts } from '../../db/ranking.ts'
import { prune } from '../../db/retention.ts'
import type { Database } from '../../db/schema.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const nowMs = Date.parse('2026-03-29T12:34:56Z')
const now = { nowMs, timeZone: 'UTC' }
const NOTHING = { hours: 0, days: 0, batches: 0, changes: 0, hasMore: false }

async function setUp(t: Parameters<typeof createTestDatabase>[0]) {
  const { db, pool } = await createTestDatabase(t)
  const { id } = await db
    .insertInto('posts')
    .values({ slug: 'p', title: 'P', url: '/p', published_at: new Date(0) })
    .returning('id')
    .executeTakeFirstOrThrow()
  const postId = String(id)
  const count = (buckets: ViewBucket[], moment: { nowMs: number; timeZone: string } = now) =>
    db.transaction().execute((trx) => addViews(trx, { ...moment, buckets }))
  const rows = async (table: keyof Database) => {
    const { count } = await db
      .selectFrom(table)
      .select((row) => row.fn.countAll<string>().as('count'))
      .executeTakeFirstOrThrow()
    return Number(count)
  }
  return { db, pool, postId, count, rows }
}

t.test('no allowed window loses a view by pruning, in any time zone', async (t) => {
  const { db, postId, count } = await setUp(t)
  const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Pacific/Apia', 'Pacific/Pago_Pago']
  // The hour that a day lacks or has twice, the last and the first quarter of a day in some time zone, the day after a
  // leap day.
  const moments = ['2026-03-29T01:00:00Z', '2025-11-02T05:59:00Z', '2026-06-15T18:14:59Z', '2025-03-01T00:00:00Z']
  for (const timeZone of zones) {
    for (const moment of moments.map((text) => Date.parse(text))) {
      for (const table of ['post_views_hourly', 'post_views_daily', 'post_views_total'] as const) {
        await db.deleteFrom(table).execute()
      }
      const present = { nowMs: moment, timeZone }
      // A different number of views every six hours, and every quarter of an hour of the last two days.
      const agesMs = [
        ...Array.from({ length: 4 * 406 }, (_none, index) => index * 6 * HOUR_MS),
        ...Array.from({ length: 4 * 54 }, (_none, index) => (index * HOUR_MS) / 4),
      ]
      await count(
        agesMs.map((ageMs, index) => ({ postId, bucketStartMs: bucketStart(moment - ageMs), views: index + 1 })),
        // Counted as of six hours ago, when some hours were kept that are old now.
        { nowMs: moment - 6 * HOUR_MS, timeZone },
      )
      const windows = async () => {
        const lists = [0, 1, 2, 30, 364, 365].map((days) =>
          findPopularPosts(db, { ...present, days, sort: 'views', limit: 1 }),
        )
        return (await Promise.all(lists)).map(([post]) => [post?.views, post?.totalViews])
      }
      const before = await windows()
      const pruned = await prune(db, present)
      t.ok(pruned.days >= 4 && pruned.days <= 6, `${timeZone}: ${pruned.days} days deleted`)
      t.ok(pruned.hours >= 5 && pruned.hours <= 6, `${pruned.hours} hours deleted`)
      t.same(await windows(), before, `${timeZone} at ${new Date(moment).toISOString()}`)
      const { day, hour } = await db
        .selectNoFrom((row) => [
          row
            .selectFrom('post_views_daily')
            .select((of) => of.cast<string>(of.fn.min('day'), 'text').as('day'))
            .as('day'),
          row
            .selectFrom('post_views_hourly')
            .select((of) => of.fn.min('hour').as('hour'))
            .as('hour'),
        ])
        .executeTakeFirstOrThrow()
      const today = DateTime.fromMillis(moment, { zone: timeZone }).toISODate() ?? ''
      t.equal(day, DateTime.fromISO(today, { zone: 'UTC' }).minus({ days: 400 }).toISODate(), '400 days and today')
      t.equal(Number(hour), Math.floor(moment / HOUR_MS) * HOUR_MS - 48 * HOUR_MS, '48 hours and this one')
    }
  }
})

t.test('newly counted views are not pruned at once', async (t) => {
  const { db, postId, count, rows } = await setUp(t)
  for (const minute of [0, 1, 14, 15, 45, 59]) {
    const present = { nowMs: Date.parse('2026-03-29T12:00:00Z') + minute * 60_000, timeZone: 'UTC' }
    const quarters = Array.from(
      { length: 4 * 60 },
      (_none, index) => bucketStart(present.nowMs) - index * (HOUR_MS / 4),
    )
    await count(
      quarters.map((bucketStartMs) => ({ postId, bucketStartMs, views: 1 })),
      present,
    )
    const hours = await rows('post_views_hourly')
    t.same(await prune(db, present), NOTHING, `minute ${minute}`)
    t.equal(await rows('post_views_hourly'), hours)
  }
})

t.test('with longer windows daily counters are kept for longer', async (t) => {
  const { db, postId, count, rows } = await setUp(t)
  const ages = [0, 365, 400, 401, 730, 765, 766, 3650]
  await count(ages.map((days) => ({ postId, bucketStartMs: bucketStart(nowMs - days * DAY_MS), views: 1 })))
  t.match(await prune(db, { ...now, maxDays: 730 }), { days: 2 })
  t.equal(await rows('post_views_daily'), 6)
  t.match(await prune(db, { ...now, maxDays: 7 }), { days: 3 }, 'never fewer than 400')
  t.match(await db.selectFrom('post_views_total').selectAll().execute(), [{ views: '8' }], 'totals stay')
})

t.test('a deleted post keeps its total, and has it after a restore', async (t) => {
  const { db, pool, postId, count } = await setUp(t)
  await count([0, 500].map((days) => ({ postId, bucketStartMs: bucketStart(nowMs - days * DAY_MS), views: 7 })))
  await db.deleteFrom('posts').execute()
  t.match(await prune(db, now), { days: 1 })
  const list = () => findPopularPosts(db, { ...now, days: 0, sort: 'trending', limit: 50 })
  t.same(await list(), [])
  await pool.query(`
    insert into posts (id, slug, title, url, published_at) overriding system value
    values (${postId}, 'p', 'P', '/p', '1970-01-01')`)
  t.match(await list(), [{ totalViews: 14 }])
})

t.test('batch ids and changes are kept for seven days of the database’s clock', async (t) => {
  const { db, pool, rows } = await setUp(t)
  await pool.query(`
    create table if not exists popular_posts_change (xid xid8, change text, changed_at timestamptz default now());
    insert into popular_posts_change (change, changed_at)
    select 'soft', now() - interval '7 days' + age from unnest('{-1 d, -1 min, 1 min, 7 d}'::interval[]) as age;
    insert into post_views_batch (id, applied_at)
    select 'b ' || age, now() - interval '7 days' + age from unnest('{-9 d, -1 d, -1 min, 1 min, 7 d}'::interval[]) as age`)
  for (const clockMs of [0, Date.parse('2200-01-01T00:00:00Z')]) {
    const pruned = await prune(db, { nowMs: clockMs, timeZone: 'UTC' })
    t.same(pruned, clockMs === 0 ? { ...NOTHING, batches: 3, changes: 2 } : NOTHING, `our clock: ${clockMs}`)
    t.equal(await rows('post_views_batch'), 2)
  }
  t.equal(await countBatch(db, { ...now, id: 'b 00:01:00', buckets: [] }), 'before', 'still known')
})

t.test('a database without announced changes is pruned, too', async (t) => {
  const { db, pool } = await setUp(t)
  await pool.query('drop table if exists popular_posts_change cascade')
  await pool.query(`insert into post_views_batch values ('b', now() - interval '8 days')`)
  t.same(await prune(db, now), { ...NOTHING, batches: 1 })
})

t.test('a process whose clock is ahead deletes nothing that is not old by the database’s clock', async (t) => {
  const { db, postId, count, rows } = await setUp(t)
  const present = { nowMs: Date.now(), timeZone: 'UTC' }
  await count([{ postId, bucketStartMs: bucketStart(present.nowMs), views: 1 }], present)
  t.same(await prune(db, { nowMs: Date.parse('2200-01-01T00:00:00Z'), timeZone: 'UTC' }), NOTHING)
  t.equal(await rows('post_views_daily'), 1)
  t.equal(await rows('post_views_hourly'), 1)
})

t.test('heat that a clock ahead has left becomes that of the stored days, and nothing else changes', async (t) => {
  const { db, pool } = await setUp(t)
  const slugs = ['few-ahead', 'many-ahead', 'only-ahead', 'infinite', 'nan', 'right', 'busy', 'behind', 'undated']
  await pool.query(`truncate posts restart identity cascade;
    insert into posts (slug, title, url, published_at) select slug, slug, slug, '1970-01-01' from unnest($$${`{${slugs.join()}}`}$$::text[]) with ordinality as named (slug, id) order by id`)
  const presentMs = Date.now()
  const noonMs = Math.floor(presentMs / DAY_MS) * DAY_MS + DAY_MS / 2
  // An earlier version took each time as it came.
  const view = (slug: string, ageDays: number, views: number) => {
    const at = `timestamptz '${new Date(noonMs - ageDays * DAY_MS).toISOString()}'`
    const id = slugs.indexOf(slug) + 1
    const heat = `extract(epoch from ${at}) / 86400 + ln(${views}) / ln(2::float8)`
    return `
      insert into post_views_daily values ((${at} at time zone 'UTC')::date, ${id}, ${views});
      insert into post_views_total values (${id}, ${views}, ${heat})
      on conflict (post_id) do update set views = post_views_total.views + excluded.views,
        heat = greatest(post_views_total.heat, excluded.heat)
        + ln(1 + power(2::float8, greatest(-abs(post_views_total.heat - excluded.heat), -1000))) / ln(2::float8);`
  }
  const days = [1, 2, 3, 30]
  for (const [slug, views] of [
    ...['few-ahead', 'many-ahead', 'infinite', 'nan'].map((slug) => [slug, 5]),
    ['right', 6],
    ['busy', 1_000_000],
    ['behind', 4],
  ] as const)
    for (const age of days) await pool.query(view(String(slug), age, Number(views)))
  const trueHeats = async () => {
    const { rows } = await pool.query('select slug, heat from post_views_total join posts on post_id = posts.id')
    return new Map(rows.map(({ slug, heat }) => [String(slug), Number(heat)]))
  }
  const expected = await trueHeats()
  await pool.query(view('few-ahead', -30, 1) + view('many-ahead', -3650, 1000) + view('only-ahead', -400, 7))
  await pool.query(view('behind', 3650, 1000))
  await pool.query(`
    insert into post_views_total values (${slugs.indexOf('undated') + 1}, 1000000, '-infinity');
    update post_views_total set heat = 'infinity' where post_id = ${slugs.indexOf('infinite') + 1};
    update post_views_total set heat = 'nan' where post_id = ${slugs.indexOf('nan') + 1}`)
  const trending = async () => {
    const list = await findPopularPosts(db, { nowMs: presentMs, timeZone: 'UTC', days: 0, sort: 'trending', limit: 10 })
    return list.map(({ slug }) => slug)
  }
  t.same((await trending()).slice(0, 3), ['many-ahead', 'only-ahead', 'few-ahead'], 'spoilt')
  const before = await trueHeats()

  t.same(await prune(db, { nowMs: presentMs + 3651 * DAY_MS, timeZone: 'UTC' }), { ...NOTHING, days: 1 })
  const kept = await trueHeats()
  t.equal(kept.get('many-ahead'), before.get('many-ahead'), 'one of the two clocks says that it is in the past')

  await prune(db, { nowMs: presentMs, timeZone: 'UTC' })
  const heats = await trueHeats()
  for (const [slug, heat] of expected)
    t.ok(Math.abs(Number(heats.get(slug)) - heat) < 1e-9, `${slug}: ${heats.get(slug)}`)
  t.equal(heats.get('only-ahead'), Number.NEGATIVE_INFINITY, 'its views have no moment that is known')
  t.equal(heats.get('undated'), Number.NEGATIVE_INFINITY)
  for (const slug of ['right', 'busy', 'behind']) t.equal(heats.get(slug), before.get(slug), `${slug} is as it was`)
  t.same((await trending()).slice(0, 2), ['busy', 'right'])
  await prune(db, { nowMs: presentMs, timeZone: 'UTC' })
  t.same(await trueHeats(), heats, 'once')
})

t.test('views of a clock behind weigh nothing in trending, so there is nothing to repair', async (t) => {
  const { db, postId, count } = await setUp(t)
  const present = { nowMs: Date.now(), timeZone: 'UTC' }
  const heat = async () => {
    const { heat } = await db.selectFrom('post_views_total').select('heat').executeTakeFirstOrThrow()
    return Number(heat)
  }
  await count([{ postId, bucketStartMs: bucketStart(present.nowMs), views: 1 }], present)
  const before = await heat()
  await count([{ postId, bucketStartMs: bucketStart(present.nowMs - 3650 * DAY_MS), views: 1000 }], present)
  t.ok(Math.abs((await heat()) - before) < 1e-9)
  await prune(db, present)
  t.ok(Math.abs((await heat()) - before) < 1e-9)
})

t.test(
  'one call deletes 20,000 rows of a table at most, 2,000 in a statement, and says that there is more',
  async (t) => {
    const { db, pool, rows } = await setUp(t)
    await pool.query(`
    insert into post_views_hourly select '2020-01-01', id, 1 from generate_series(1, 21000) as id;
    insert into post_views_daily select '2020-01-01', id, 1 from generate_series(1, 20000) as id;
    insert into post_views_batch select id, '2020-01-01' from generate_series(1, 4000) as id`)
    const { logged, statements } = logging(pool)
    t.same(await prune(logged, now), { ...NOTHING, hours: 20_000, days: 20_000, batches: 4_000, hasMore: true })
    const deletes = statements.filter(({ sql }) => sql.includes('delete from'))
    t.equal(deletes.filter(({ sql }) => sql.includes('hourly')).length, 10)
    t.ok(deletes.every(({ parameters }) => parameters.includes(2000)))
    t.equal(await rows('post_views_hourly'), 1_000)
    t.same(await prune(db, now), { ...NOTHING, hours: 1_000 }, 'the rest')
  },
)

t.test('old rows are found by primary keys, with any planner statistics', async (t) => {
  const fill = (agesInHours: string, agesInDays: string) => `
    insert into post_views_hourly
    select timestamptz '2026-03-29 12:00Z' - hour * interval '1 hour', id, 1
    from generate_series(${agesInHours}) as hour, generate_series(1, 50) as id;
    insert into post_views_daily select date '2026-03-29' - day, id, 1
    from generate_series(${agesInDays}) as day, generate_series(1, 25) as id;`
  const kept = fill('0, 48', '0, 400')
  const old = fill('49, 399', '401, 799')
  const states = [
    { statistics: 'none', filled: kept + old, expectsFew: false },
    { statistics: 'of a table never pruned', filled: `${kept + old} analyze`, expectsFew: false },
    { statistics: 'of a pruned table, in which much is old now', filled: `${kept} analyze; ${old}`, expectsFew: true },
  ]
  for (const { statistics, filled, expectsFew } of states) {
    const { pool } = await setUp(t)
    await pool.query(`
      alter table post_views_hourly set (autovacuum_enabled = false);
      alter table post_views_daily set (autovacuum_enabled = false);
      ${filled}`)
    const { logged, statements } = logging(pool)
    await t.rejects(
      logged.transaction().execute(async (trx) => {
        t.match(await prune(trx, now), { hours: 351 * 50, days: 399 * 25 })
        throw new Error('so that the next look finds the same rows')
      }),
    )
    for (const table of ['post_views_hourly', 'post_views_daily']) {
      const statement = statements.find(({ sql }) => sql.includes(`delete from "${table}"`))
      const { rows } = await pool.query<{ 'QUERY PLAN': string }>(`explain ${statement?.sql}`, [
        ...(statement?.parameters ?? []),
      ])
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
      t.match(plan, new RegExp(`Tid Scan on ${table}`))
      t.notMatch(plan, /Seq Scan/)
      // An ordered index scan needs no sort. For one expected row a bitmap scan with a sort costs the same.
      const scan = expectsFew
        ? `(Index Scan using|Bitmap Index Scan on) ${table}_pkey`
        : `Index Scan using ${table}_pkey`
      t.match(plan, new RegExp(scan), `${table}, statistics: ${statistics}`)
      if (!expectsFew) t.notMatch(plan, /Sort/)
    }
  }
})

t.test('pruning waits for no locked row, and other transactions do not wait for pruning', async (t) => {
  const { db, pool, postId, rows } = await setUp(t)
  await pool.query(`
    insert into post_views_daily select '2020-01-01', id, 1 from generate_series(1, 5000) as id;
    insert into post_views_batch select id, '2020-01-01' from generate_series(1, 5000) as id`)
  const holder = await pool.connect()
  await holder.query('begin')
  await holder.query(`select from post_views_daily where post_id = 7 for update`)
  t.match(await prune(db, now), { days: 4_999, batches: 5_000, hasMore: false }, 'passes over what is held')
  await holder.query('rollback')
  holder.release()

  await pool.query(`insert into post_views_daily select '2020-01-01', id, 1 from generate_series(8, 30000) as id`)
  await db.transaction().execute(async (trx) => {
    t.match(await prune(trx, now), { days: 20_000 })
    t.match(await prune(db, now), { days: 9_994 }, 'while another process deletes')
    const buckets = [{ postId, bucketStartMs: bucketStart(nowMs), views: 1 }]
    t.equal(await countBatch(db, { ...now, id: 'new', buckets }), 'counted')
  })
  t.equal(await rows('post_views_daily'), 1)
})

t.test('many processes prune in parallel while views of all times are counted', async (t) => {
  const { db, pool, postId } = await setUp(t)
  await pool.query(`
    insert into post_views_hourly select '2020-01-01', id, 1 from generate_series(1, 9000) as id;
    insert into post_views_daily select '2020-01-01', id, 1 from generate_series(1, 9000) as id;
    insert into post_views_batch select id, '2020-01-01' from generate_series(1, 9000) as id`)
  const buckets = [0, 1, 3, 100, 401, 2279, 2280].map((days) => ({
    postId,
    bucketStartMs: bucketStart(nowMs - days * DAY_MS),
    views: 1,
  }))
  const [pruned] = await Promise.all([
    Promise.all(Array.from({ length: 4 }, () => prune(db, now))),
    Promise.all(Array.from({ length: 20 }, (_none, nth) => countBatch(db, { ...now, id: `new ${nth}`, buckets }))),
  ])
  // One old row was updated during the pruning, so the pruning skipped it.
  const all = [...pruned, await prune(db, now)]
  const sum = (of: 'hours' | 'days' | 'batches') => all.reduce((rows, one) => rows + one[of], 0)
  t.equal(sum('hours'), 9_000, 'each row is deleted by one of them')
  t.ok(sum('days') >= 9_000)
  t.equal(sum('batches'), 9_000)
  t.match(await db.selectFrom('post_views_total').selectAll().execute(), [{ post_id: postId, views: '140' }])
  t.match(
    await db.selectFrom('post_views_daily').select('views').orderBy('day').execute(),
    ['20', '20', '20', '20'].map((views) => ({ views })),
  )
})

/** A Kysely instance that records its statements. */
function logging(pool: Awaited<ReturnType<typeof createTestDatabase>>['pool']) {
  const statements: { sql: string; parameters: readonly unknown[] }[] = []
  const logged = new Kysely<Database>({
    dialect: new PostgresDialect({ pool }),
    log: ({ query }) => void statements.push({ sql: query.sql, parameters: query.parameters }),
  })
  return { logged, statements }
}
