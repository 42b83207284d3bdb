import { setTimeout as sleep } from 'node:timers/promises'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import t, { type Test } from 'tap'
import { countBatch, type ViewBucket } from '../../db/count-views.ts'
import type { Database } from '../../db/schema.ts'
import { nonce } from '../../lib/nonce.ts'
import { createFlusher } from '../../views/flusher.ts'
import { createMemoryViewBuffer } from '../../views/memory-view-buffer.ts'
import { fillBlog } from '../helpers/blog.ts'
import { startLoggedApp } from '../helpers/logged-app.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { until } from '../helpers/services/until.ts'

// A flush that waits for a transaction which goes on for long holds rows itself: it must not stop other flushes.

const TABLES = { post_views_hourly: 'hour', post_views_daily: 'day', post_views_total: 'of all time' }
const BUCKET_MS = 900_000
const nowMs = Math.floor(Date.now() / BUCKET_MS) * BUCKET_MS

async function setUp(t: Test) {
  const { db, pool, url } = await createTestDatabase(t)
  await fillBlog(db, 4)
  await pool.query('truncate post_views_total, post_views_daily, post_views_hourly')
  const count = (on: Kysely<Database>, id: string, buckets: ViewBucket[] | (() => Promise<ViewBucket[]>)) =>
    countBatch(on, { id, timeZone: 'UTC', nowMs: Date.now(), buckets })
  const views = (...posts: number[]) => posts.map((postId) => ({ postId, bucketStartMs: nowMs, views: 1 }))
  await count(db, 'first', views(1, 2, 3, 4))
  /** A process of a fleet, with connections of a host: these have no timeout. */
  const startProcess = () => {
    const own = new Pool({ connectionString: url, max: 2 })
    // The database is dropped at the end.
    own.on('error', () => undefined)
    const ownDb = new Kysely<Database>({ dialect: new PostgresDialect({ pool: own }) })
    t.teardown(() => ownDb.destroy())
    const buffer = createMemoryViewBuffer({ dedupSeconds: 900 })
    let tried = 0
    const flusher = createFlusher({
      buffer,
      nonce,
      count(id, read) {
        tried += 1
        return count(ownDb, id, read)
      },
    })
    return {
      flush() {
        tried = 0
        return flusher.flush()
      },
      tried: () => tried,
      lockTimeout: async () => (await own.query('show lock_timeout')).rows[0].lock_timeout,
      read: (...posts: number[]) =>
        Promise.all(
          posts.map((post) =>
            buffer.add({ visitors: [nonce()], postId: String(post), bucketStartMs: nowMs, timeMs: nowMs }),
          ),
        ),
    }
  }
  const totals = async () =>
    (await pool.query('select views::int from post_views_total order by post_id')).rows.map((row) => row.views)
  /** Whether a statement waits for a lock. */
  const isWaiting = async () =>
    (await pool.query("select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"))
      .rows.length > 0
  return { pool, url, startProcess, totals, isWaiting }
}

for (const [table, name] of Object.entries(TABLES)) {
  t.test(`a transaction holds the row of a post (${name}): its batch waits, another process counts`, async (t) => {
    const { pool, startProcess, totals, isWaiting } = await setUp(t)
    const [one, other] = [startProcess(), startProcess()]
    const holder = await pool.connect()
    await holder.query('begin')
    await holder.query(`update ${table} set views = views where post_id = 4`)
    await one.read(1, 2, 4)
    await other.read(1, 2, 3)
    const held = one.flush()
    await until(isWaiting, 'the flush waits for the transaction')
    // Its own timeout may end at the same time.
    await until(async () => (await other.flush()).waiting === 0, 'the other process has counted')
    t.match(await held, { views: 0, waiting: 1, aside: 0, error: { code: '55P03' } })
    t.same(await totals(), [2, 2, 2, 1])
    await one.read(3)
    t.match(await one.flush(), { views: 1, waiting: 1, aside: 0 }, 'later views of other posts are counted')
    await holder.query('rollback')
    holder.release()
    t.match(await one.flush(), { views: 3, waiting: 0, error: undefined })
    t.same(await totals(), [3, 3, 3, 2])
    t.equal(await one.lockTimeout(), '0', 'other statements of the connection wait as before')
  })
}

t.test('a flush that meets such a row tries no older batch: these would hold rows of other processes', async (t) => {
  const { pool, startProcess, totals } = await setUp(t)
  const one = startProcess()
  const holder = await pool.connect()
  await holder.query('begin')
  await holder.query('update post_views_total set views = views where post_id = 4')
  for (const [post = 0, waiting] of [
    [1, 1],
    [2, 2],
    [3, 3],
  ]) {
    await one.read(post, 4)
    t.match(await one.flush(), { views: 0, waiting, error: { code: '55P03' } })
    t.equal(one.tried(), 1, 'statements that wait')
  }
  await holder.query('rollback')
  holder.release()
  t.match(await one.flush(), { views: 6, waiting: 0, error: undefined })
  t.same(await totals(), [2, 2, 2, 4])
})

t.test('the last flush of a process without Redis waits for the row: no later one would count its views', async (t) => {
  const { pool, url, totals } = await setUp(t)
  const { app, warnings } = await startLoggedApp(t, { databaseUrl: url, viewFlushSeconds: 0 })
  const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/144.0' }
  for (const slug of ['post-1', 'post-4'])
    t.equal(await app.postViews.record({ slug, request: { method: 'POST', ip: '192.0.2.1', headers } }), 'counted')
  const holder = await pool.connect()
  await holder.query('begin')
  await holder.query('update post_views_total set views = views where post_id = 4')
  await app.close()
  await sleep(2_500)
  await holder.query('rollback')
  holder.release()
  await until(async () => (await totals())[3] === 2, 'PostgreSQL ends the statement')
  t.same(await totals(), [2, 1, 1, 2])
  t.match(warnings(), [/did not close in time/, /the last flush did not end in time, views may be lost/])
})

t.test('flushes of the same posts at once wait for each other, and count all', async (t) => {
  const { startProcess, totals } = await setUp(t)
  const processes = Array.from({ length: 6 }, startProcess)
  for (const { read } of processes) await read(1, 2, 3, 4)
  const reports = await Promise.all(processes.map(({ flush }) => flush()))
  for (const report of reports) t.match(report, { views: 4, waiting: 0, error: undefined })
  t.same(await totals(), [7, 7, 7, 7])
})
