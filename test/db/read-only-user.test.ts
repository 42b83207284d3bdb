import { CompiledQuery, Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import t, { type Test } from 'tap'
import { bucketStart, countBatch } from '../../db/count-views.ts'
import { migrateToLatest } from '../../db/migrate.ts'
import { findPopularPosts } from '../../db/ranking.ts'
import type { Database } from '../../db/schema.ts'
import { materializeWindows } from '../../db/store-rollups.ts'
import type { PopularPostsQuery } from '../../lists/query.ts'
import { createService, fillBlog } from '../helpers/blog.ts'
import { startPostgres } from '../helpers/private-postgres.ts'

const DAY_MS = 86_400_000
const POSTS = 300
const READER = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/129.0' }
/** Some windows have stored sums, some are made from those of others. */
const QUERIES: PopularPostsQuery[] = [1, 7, 14, 30, 0].flatMap((days) => [
  { days },
  { days, sort: 'trending' },
  { days, category: 'odd' },
  { days, tag: 'start' },
  { days, excludeCategory: 'odd', publishedWithin: 7 },
])

/** A node of a plan. */
interface Plan {
  'Relation Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Shared Hit Blocks': number
  'Shared Read Blocks': number
  Plans?: Plan[]
}

/** The counters of days that a plan has read. */
function daysIn(plan: Plan): number {
  const own = plan['Relation Name'] === 'post_views_daily' ? plan['Actual Rows'] * plan['Actual Loops'] : 0
  return (plan.Plans ?? []).reduce((sum, each) => sum + daysIn(each), own)
}

// Roles are those of a server.
const server = await startPostgres()
t.teardown(() => server.remove())

/** A blog with views of a year, and a user that may only read. */
async function createBlog(t: Test, name: string) {
  const admin = new Pool({ connectionString: server.url })
  await admin.query(`create database ${name}`)
  await admin.query(`create role ${name}_reader login`)
  await admin.end()
  const urlOf = (user: string) => {
    const url = new URL(server.url)
    return Object.assign(url, { pathname: `/${name}`, ...(user === '' ? {} : { username: user }) }).href
  }
  const pool = new Pool({ connectionString: urlOf('') })
  // The server ends while idle connections close.
  pool.on('error', () => undefined)
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
  t.teardown(() => db.destroy())
  await migrateToLatest(db)
  await fillBlog(db, POSTS)
  const { rows } = await pool.query<{ id: string }>('select id from posts order by id')
  const nowMs = Date.now()
  for (let age = 1; age < 360; age += 6) {
    const buckets = rows.map(({ id }, at) => ({
      postId: id,
      bucketStartMs: bucketStart(nowMs - age * DAY_MS),
      views: 1 + ((at * age) % 97),
    }))
    await countBatch(db, { id: `age ${age}`, timeZone: 'UTC', nowMs, buckets })
  }
  await pool.query(`grant usage on schema public to ${name}_reader;
    grant select on all tables in schema public to ${name}_reader; analyze`)
  return { db, pool, ownerUrl: urlOf(''), readerUrl: urlOf(`${name}_reader`) }
}

t.test('a user that may only read gets the same lists, as fast once the sums are stored', async (t) => {
  const { db, pool, ownerUrl, readerUrl } = await createBlog(t, 'lists')

  /** The lists of a service that has none yet, and what its statements read. */
  async function load(url: string) {
    const app = await createService(t, url)
    const lists: unknown[] = []
    for (const query of QUERIES) lists.push(await app.popularPosts.get(query))
    for (const days of [1, 7, 30, 0])
      lists.push(JSON.parse(String((await app.popularPosts.readCategories({ days }))?.list.body)))
    t.match(app.popularPosts.stats(), { loadsFailed: 0 })
    await app.close()
    return { lists, read: await readBy(url) }
  }

  /** What the rankings of 30 days and of a year read: blocks, and counters of days. */
  async function readBy(url: string): Promise<{ blocks: number; days: number }> {
    const statements: CompiledQuery[] = []
    const dialect = new PostgresDialect({ pool: new Pool({ connectionString: url, max: 1 }) })
    const logged = new Kysely<Database>({ dialect, log: ({ query }) => void statements.push(query) })
    for (const days of [30, 365]) await findPopularPosts(logged, { sort: 'views', days, limit: 50, timeZone: 'UTC' })
    const read = { blocks: 0, days: 0 }
    for (const { sql, parameters } of statements.slice()) {
      const explain = CompiledQuery.raw(`explain (analyze, buffers, format json) ${sql}`, [...parameters])
      const { rows } = await logged.executeQuery<{ 'QUERY PLAN': { Plan: Plan }[] }>(explain)
      for (const { Plan } of rows.flatMap((row) => row['QUERY PLAN'])) {
        read.blocks += Plan['Shared Hit Blocks'] + Plan['Shared Read Blocks']
        read.days += daysIn(Plan)
      }
    }
    await logged.destroy()
    return read
  }

  const before = await load(readerUrl)
  t.equal((await pool.query('select from post_views_window')).rowCount, 0, 'its service stores no sum')
  t.equal(await materializeWindows(db, { timeZone: 'UTC' }, () => true), false, 'no time is left')
  t.equal(await materializeWindows(db, { timeZone: 'UTC' }), true, 'all sums are stored')
  const after = await load(readerUrl)
  const owner = await load(ownerUrl)
  t.same(after.lists, before.lists)
  t.same(after.lists, owner.lists)
  t.ok(after.read.days < before.read.days / 10, `${after.read.days} counters of days, ${before.read.days} before`)
  t.equal(after.read.days, owner.read.days, 'as those of a user that writes')
  t.ok(Math.abs(after.read.blocks - owner.read.blocks) < 0.1 * owner.read.blocks, 'and as many blocks')
})

t.test('a service whose user may only read keeps the views that readers send, and serves lists', async (t) => {
  const { pool, readerUrl } = await createBlog(t, 'views')
  const app = await createService(t, readerUrl)
  t.equal((await app.inject('/posts/popular')).statusCode, 200)
  const view = { method: 'POST', url: '/posts/post-1/views', headers: READER } as const
  t.equal((await app.inject(view)).statusCode, 204)
  await t.rejects(app.postViews.flush(), { code: '42501' }, 'it says so to its operator')
  for (const path of ['/posts/popular?days=7', '/posts/popular?days=90&category=odd', '/categories?days=7'])
    t.equal((await app.inject(path)).statusCode, 200, path)
  t.match((await app.inject('/health/ready')).json(), { status: 'ok' })
  t.match(app.postViews.stats(), { counted: 1, flushed: 0 }, 'the view waits')
  const { rows } = await pool.query('select sum(views) as views from post_views_window')
  t.same(rows, [{ views: null }])
  await pool.query('grant insert, update, delete on all tables in schema public to views_reader')
  t.match(await app.postViews.flush(), { views: 1 }, 'until the user has the right')
})
