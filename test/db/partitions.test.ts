/** Daily counters that an operator has partitioned, as docs/scale.md describes it. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Pool } from 'pg'
import t, { type Test } from 'tap'
import { undoCounts } from '../../bin/import-counts/import-counts.ts'
import { bucketStart, countBatch } from '../../db/count-views.ts'
import { migrateToLatest, POST_ID_TYPES, type PostIdType } from '../../db/migrate.ts'
import { openDatabase } from '../../db/open-database.ts'
import { findPopularPosts } from '../../db/ranking.ts'
import { prune } from '../../db/retention.ts'
import { materializeWindow } from '../../db/store-rollups.ts'
import { removeViews } from '../../db/uncount-views.ts'
import { runAdopt } from '../bin/adopt/run-adopt.ts'
import { importTexts, readAllCounters, readHeats, runCounts } from '../helpers/counter-exports.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

const DAY_MS = 86_400_000
const nowMs = Date.now()
const now = { nowMs, timeZone: 'UTC' }
const dayOf = (ageDays: number) => new Date(nowMs - ageDays * DAY_MS).toISOString().slice(0, 10)
const document = readFileSync(new URL('../../docs/scale.md', import.meta.url), 'utf8')
const [CHECK = '', PARTITION = '', DROP = ''] = [...document.matchAll(/```sql\n([\s\S]*?)```/g)].map(([, text]) => text)

/** Runs SQL of the document, as on a day in the past. */
async function run(pool: Pool, text: string, ageDays = 0) {
  const client = await pool.connect()
  try {
    await client.query('set search_path = popular_posts')
    await client.query(text.replaceAll('current_date', `date '${dayOf(ageDays)}'`))
  } finally {
    client.release(true)
  }
}

/** Partitions the counters: the month of that day and those before stay in one table. */
async function partition(pool: Pool, ageDays: number) {
  for (const text of [CHECK, PARTITION]) await run(pool, text, ageDays)
}

/** Posts `a`, `b` and `c` with ids of a type, in a schema of their own. */
async function createBlog(t: Test, postId: PostIdType) {
  const { pool, url } = await createTestDatabase(t, { migrate: false })
  const schema = 'popular_posts'
  const db = openDatabase(
    url,
    () => {},
    {},
    () => schema,
  )
  t.teardown(() => db.destroy())
  const ids = ['a', 'b', 'c'].map((letter) =>
    postId === 'uuid'
      ? `00000000-0000-4000-8000-00000000000${letter}`
      : postId === 'text'
        ? `${letter}"`
        : String(letter.charCodeAt(0)),
  )
  await pool.query(
    `create table articles (id ${postId} primary key, slug text not null, title text not null, published_at timestamptz not null)`,
  )
  await pool.query(
    `insert into articles select id, slug, slug, '2020-01-01' from unnest($1::${postId}[], '{a,b,c}'::text[]) as p (id, slug)`,
    [ids],
  )
  const { stderr } = await runAdopt(t, url, ['--apply'])
  t.equal(stderr, '')
  let batches = 0
  const count = async (views: { post: number; age: number; views: number }[]) => {
    const buckets = views.map(({ post, age, views }) => ({
      postId: ids[post] ?? '',
      bucketStartMs: bucketStart(nowMs - age * DAY_MS),
      views,
    }))
    batches += 1
    return countBatch(db, { ...now, id: `batch ${batches}`, buckets })
  }
  const lists = async () => {
    const all = []
    for (const sort of ['views', 'trending'] as const)
      for (const days of [0, 1, 7, 30, 365])
        all.push((await findPopularPosts(db, { ...now, days, sort, limit: 10 })).map((post) => [post.slug, post.views]))
    return all
  }
  return { db, pool, url, ids, count, lists }
}

type Blog = Awaited<ReturnType<typeof createBlog>>

t.test(
  'with partitions, all that reads and writes counters does the same as without, with ids of any type',
  async (t) => {
    for (const postId of POST_ID_TYPES) {
      const [whole, parts] = [await createBlog(t, postId), await createBlog(t, postId)]
      const sameAfter = async (step: string, run: (blog: Blog) => Promise<unknown>) => {
        t.strictSame(await run(parts), await run(whole), `${postId}: ${step}`)
        const counters = await readAllCounters(whole.db)
        t.strictSame(await readAllCounters(parts.db), counters, `${postId}: counters after ${step}`)
        t.strictSame(await parts.lists(), await whole.lists(), `${postId}: lists after ${step}`)
        const [heats, wanted] = [await readHeats(parts.db), await readHeats(whole.db)]
        for (const [slug, heat] of Object.entries(wanted)) t.ok(Math.abs((heats[slug] ?? 0) - heat) < 1e-9, slug)
        return counters
      }
      const ages = [0, 1, 2, 29, 31, 100, 364, 401, 3000]
      const views = (factor: number, minAge = 0) =>
        ages
          .filter((age) => age >= minAge)
          .flatMap((age, index) => [0, 1, 2].map((post) => ({ post, age, views: factor * (index + post + 1) })))
      await sameAfter('old views', ({ count }) => count(views(1, 300)))
      await partition(parts.pool, 200)
      t.match((await parts.pool.query('select from popular_posts.post_views_daily_old')).rows, { length: 9 })
      const store = async ({ db }: Blog) => {
        for (const days of [7, 30, 365]) await materializeWindow(db, { ...now, days })
      }
      await sameAfter('sums', store)
      await sameAfter('views of all days', ({ count }) => count(views(10)))
      await sameAfter('sums again', store)
      const imported = ['slug,day,views', ...ages.map((age) => `a,${dayOf(age)},100`), 'b,2001-01-01,7', ''].join('\n')
      const counters = await sameAfter('an import', ({ db }) =>
        importTexts(db, imported, { ...now, anyway: true }).then(({ outcome, overlap }) => [outcome, overlap]),
      )
      t.equal(counters['b 2001-01-01'], '7')
      await sameAfter('an export', ({ db }) => runCounts(['export-counts'], { db }).then(({ stdout }) => stdout))
      await sameAfter('an undone import', ({ db }) =>
        undoCounts(db, { id: '1', ...now }).then((undone) => undone.views),
      )
      await sameAfter('removed views', ({ db, ids }) => {
        const buckets = [0, 31, 364].map((age) => ({
          postId: ids[0] ?? '',
          bucketStartMs: bucketStart(nowMs - age * DAY_MS),
          views: 5,
        }))
        return db.transaction().execute((trx) => removeViews(trx, { timeZone: 'UTC', buckets }))
      })
      const kept = await sameAfter('retention', ({ db }) => prune(db, now))
      t.equal(
        Object.keys(kept).some((key) => key.endsWith(dayOf(401))),
        false,
        'old days are deleted',
      )
      await sameAfter('a late view, of a day before all partitions of a month', ({ count }) =>
        count([{ post: 1, age: 8000, views: 1 }]),
      )
      t.equal(await migrateToLatest(parts.db, { schema: 'popular_posts' }).then((names) => names.length), 0)
    }
  },
)

t.test(
  'retention deletes the old rows of partitions, and no other row of the same number in its partition',
  async (t) => {
    const { db, pool } = await createBlog(t, 'bigint')
    await partition(pool, 470)
    // Each of these days has a partition of its own, whose rows begin with number 1.
    const fill = `insert into popular_posts.post_views_daily select current_date - $1::integer, id, 1 from generate_series(1, $2::integer) as id`
    for (const [age, posts] of [
      [450, 3_000],
      [415, 1_500],
      [200, 3_000],
      [0, 3_000],
    ])
      await pool.query(fill, [age, posts])
    t.match(await prune(db, now), { days: 4_500, hasMore: false })
    const { rows } = await pool.query(
      'select current_date - day as age, count(*)::integer as posts from popular_posts.post_views_daily group by 1 order by 1',
    )
    t.same(rows, [
      { age: 0, posts: 3_000 },
      { age: 200, posts: 3_000 },
    ])
  },
)

t.test('the documented SQL keeps rights, triggers and days, and changes nothing where a lock is held', async (t) => {
  const { db, pool, url, count } = await createBlog(t, 'text')
  const user = `daily_${randomBytes(8).toString('hex')}`
  const query = async (text: string) => (await pool.query(text)).rows
  await query(`create role ${user} login`)
  t.teardown(() => pool.query(`drop owned by ${user}; drop role ${user}`))
  await migrateToLatest(db, { adopt: { postId: 'text' }, schema: 'popular_posts', serviceUser: user })
  await query(`
    create table public.seen (day date);
    grant insert on public.seen to public;
    grant select on popular_posts.post_views_daily to public;
    create function public.saw() returns trigger language plpgsql as $saw$ begin insert into public.seen values (new.day); return new; end $saw$;
    create trigger "Host's" before insert on popular_posts.post_views_daily for each row execute function public.saw()`)
  await count([
    { post: 0, age: 0, views: 1 },
    { post: 0, age: 500, views: 1 },
  ])
  const state = () =>
    query(`
      select relkind, (select count(*) from pg_trigger where tgrelid = pg_class.oid and not tgisinternal) as triggers,
        (select array_agg(item::text order by item::text) from unnest(relacl) as item) as rights
      from pg_class where oid = 'popular_posts.post_views_daily'::regclass`)
  const before = await state()
  const holder = await pool.connect()
  for (const text of [CHECK, PARTITION]) {
    await holder.query('begin; select from popular_posts.post_views_daily')
    await t.rejects(run(pool, text), { code: '55P03' })
    t.same(await state(), before)
    await holder.query('rollback')
    await run(pool, text)
  }
  holder.release()
  t.same(await state(), [{ ...before[0], relkind: 'p' }])

  const service = new URL(url)
  service.username = user
  const own = openDatabase(
    service.href,
    () => {},
    {},
    () => 'popular_posts',
  )
  t.teardown(() => own.destroy())
  const buckets = [0, 9_000].map((age) => ({
    postId: 'a"',
    bucketStartMs: bucketStart(nowMs - age * DAY_MS),
    views: 1,
  }))
  t.equal(await countBatch(own, { ...now, id: 'of the service', buckets }), 'counted')
  t.match(await prune(own, now), { days: 2 })
  t.same(await query('select count(*)::integer as rows from public.seen'), [{ rows: 4 }])
  t.same(await query('select day::text, views::integer from popular_posts.post_views_daily'), [
    { day: dayOf(0), views: 2 },
  ])

  await query(`delete from popular_posts.post_views_daily`)
  await run(pool, DROP)
  t.equal(await countBatch(own, { ...now, id: 'afterwards', buckets }), 'counted')
  t.same(await query('select day::text from popular_posts.post_views_daily_rest order by day'), [
    { day: dayOf(9_000) },
    { day: dayOf(0) },
  ])
})
