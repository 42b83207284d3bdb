import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import t, { type Test } from 'tap'
import { bucketStart } from '../../db/count-views.ts'
import { migrateToLatest } from '../../db/migrate.ts'
import type { Database } from '../../db/schema.ts'
import popularPosts from '../../index.ts'
import { servicesOf } from '../../plugins/popular-posts.ts'
import { MAX_BATCH_COUNTS } from '../../views/view-buffer.ts'
import { startPostgres } from '../helpers/private-postgres.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/services/until.ts'
import { type Counts, keysOf, readCountedViews } from '../helpers/view-ledger.ts'

const POSTS = 2_500
const QUARTERS = 6
const BUCKET_MS = 900_000
const PREFIX = 'backlog'
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

const [postgres, redis] = await Promise.all([startPostgres(), startRedis()])
t.teardown(() => Promise.all([postgres.remove(), redis.stop()]))
const pool = new Pool({ connectionString: postgres.url, max: 3 })
pool.on('error', () => undefined)
const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
t.teardown(() => db.destroy())
const client = new Redis(redis.url)
t.teardown(() => client.disconnect())
await migrateToLatest(db)
await pool.query(`
  insert into posts (slug, title, url, published_at)
  select 'post-' || n, 'A post', '/posts/post-' || n, now() from generate_series(1, ${POSTS}) n`)

/** Starts an app of a fleet, and keeps its warnings. */
async function startApp(t: Test, options: { viewFlushSeconds?: number } = {}) {
  const warnings: string[] = []
  const stream = { write: (line: string) => void warnings.push((JSON.parse(line) as { msg: string }).msg) }
  const app = Fastify({ logger: { level: 'warn', stream } })
  t.teardown(() => app.close())
  await app.register(popularPosts, {
    databaseUrl: postgres.url,
    redisUrl: redis.url,
    redisPrefix: PREFIX,
    viewFlushSeconds: 0,
    ...options,
  })
  await app.ready()
  return { app, warnings }
}

let visitors = 0
/** The views that must be counted, by kind of counter. */
const expected: Counts = new Map()

function expectViews(postId: number, bucketStartMs: number, views: number): void {
  for (const key of keysOf(String(postId), bucketStartMs)) expected.set(key, (expected.get(key) ?? 0) + views)
}

/** Waits while a bucket is about to end: the time of a view is taken after its post is found, and must be in the expected one. */
async function bucketWithTime(): Promise<number> {
  const startMs = bucketStart(Date.now())
  const leftMs = startMs + BUCKET_MS - Date.now()
  if (leftMs > 10_000) return startMs
  // A timer of Node.js may be a millisecond early.
  await sleep(leftMs + 10)
  return bucketStart(Date.now())
}

/** Records views of new visitors, 100 at once: while PostgreSQL is away, those that wait share a failing look-up. */
async function readPosts(app: FastifyInstance, postIds: readonly number[]): Promise<void> {
  for (let start = 0; start < postIds.length; start += 100) {
    const bucketStartMs = await bucketWithTime()
    const readPost = async (postId: number) => {
      visitors += 1
      const request = {
        method: 'GET',
        ip: `10.0.${visitors >> 8}.${visitors & 255}`,
        headers: { 'user-agent': FIREFOX },
      }
      const outcome = await app.postViews.record({ slug: `post-${postId}`, request })
      if (outcome !== 'counted') throw new Error(`expected the view of post ${postId} to be counted, got ${outcome}`)
      expectViews(postId, bucketStartMs, 1)
    }
    await Promise.all(postIds.slice(start, start + 100).map(readPost))
  }
}

const allPosts = Array.from({ length: POSTS }, (_none, index) => index + 1)

t.test(
  'after a long outage of PostgreSQL the backlog is counted exactly, with the views that come meanwhile',
  async (t) => {
    const apps = [(await startApp(t)).app, (await startApp(t)).app] as const
    await readPosts(apps[0], allPosts)
    await postgres.stop()
    t.same(await apps[0].postViews.flush().catch(() => 'failed'), 'failed')
    await readPosts(apps[0], allPosts.slice(0, 1_500))
    // These views belong to the quarters of an hour before.
    const nowMs = bucketStart(Date.now())
    for (let quarter = 1; quarter <= QUARTERS; quarter += 1) {
      const bucketStartMs = nowMs - quarter * BUCKET_MS
      const pipeline = client.pipeline()
      for (const postId of allPosts) {
        const views = (postId + quarter) % 7
        if (views === 0) continue
        pipeline.hincrby(`{${PREFIX}}:views:buffer`, `${bucketStartMs} ${postId}`, views)
        expectViews(postId, bucketStartMs, views)
      }
      await pipeline.exec()
    }
    const numbers = await client.hlen(`{${PREFIX}}:views:buffer`)
    t.ok(numbers > 10 * MAX_BATCH_COUNTS, `${numbers} numbers wait`)
    for (const app of apps) await t.rejects(app.postViews.flush(), 'it is still away')
    t.equal(await client.scard(`{${PREFIX}}:views:batches`), 3, 'each failing flush leaves a batch')

    await postgres.restart()
    let isOver = false
    const flushing = Promise.all(
      apps.map(async (app) => {
        // The pool may give it a connection that broke.
        const isDone = () =>
          app.postViews.flush().then(
            ({ waiting }) => waiting === 0,
            () => false,
          )
        await until(isDone, 'all is counted')
      }),
    )
    const reading = (async () => {
      for (let post = 1; !isOver; post = (post % 100) + 1) await readPosts(apps[1], [post])
    })()
    let lists = 0
    const loading = (async () => {
      for (; !isOver; lists += 1) await apps[0].popularPosts.get({ days: (lists % 300) + 2 })
    })()
    await flushing
    isOver = true
    await Promise.all([reading, loading])
    t.ok(lists > 0, `${lists} lists were loaded meanwhile`)
    t.match(await apps[0].postViews.flush(), { waiting: 0, aside: 0 })
    const counted = await readCountedViews(pool)
    t.same([...counted].sort(), [...expected].sort())
    const batches = apps.reduce((sum, app) => sum + app.postViews.stats().batches, 0)
    t.ok(batches >= numbers / MAX_BATCH_COUNTS, `${batches} batches for ${numbers} numbers`)
  },
)

t.test('a statement that hangs ends, no reader waits for it, and its views are counted later', async (t) => {
  const { app } = await startApp(t)
  await readPosts(app, [1, 2, 3])
  const locker = await pool.connect()
  await locker.query('begin; lock table post_views_total in access exclusive mode')
  const flushing = app.postViews.flush().then(
    () => 'counted',
    () => 'failed',
  )
  const waits = `select 1 from pg_stat_activity where application_name = 'popular-posts-flush' and wait_event_type = 'Lock'`
  await until(async () => (await pool.query(waits)).rowCount === 1, 'the statement waits')
  t.ok(await servicesOf(app).database?.views.findPost('post-7'))
  t.equal(await app.popularPosts.isDatabaseUp?.(), true)
  t.equal(await flushing, 'failed')
  await locker.query('rollback')
  locker.release()
  t.match(await app.postViews.flush(), { views: 3, waiting: 0, aside: 0 })
  t.same([...(await readCountedViews(pool))].sort(), [...expected].sort())
})

t.test('a batch that cannot be counted is named once in the log, and views go on being counted', async (t) => {
  const { app, warnings } = await startApp(t, { viewFlushSeconds: 1 })
  // A partitioned counter that lacks a partition fails in the same way.
  await pool.query("alter table post_views_daily add constraint no_such_partition check (day > date '1990-01-01')")
  await client.hset(`{${PREFIX}}:views:buffer`, '0 5', 4)
  await until(async () => (await client.zcard(`{${PREFIX}}:views:aside`)) === 1, 'the batch is set aside')
  const before = app.postViews.stats().flushed
  await readPosts(app, [1, 2])
  await until(() => app.postViews.stats().flushed === before + 2, 'others are counted')
  t.match(warnings, [/a batch of views cannot be counted/, /views could not be counted/])
  t.equal(warnings.length, 2)
  t.same([...(await readCountedViews(pool))].sort(), [...expected].sort())

  await pool.query('alter table post_views_daily drop constraint no_such_partition')
  const [id] = await client.zrange(`{${PREFIX}}:views:aside`, '0', '0')
  await client.zadd(`{${PREFIX}}:views:aside`, 0, String(id))
  expectViews(5, 0, 4)
  // No list reads these hours any more.
  expected.delete('hour 1970-01-01T00 5')
  await until(async () => (await client.zcard(`{${PREFIX}}:views:aside`)) === 0, 'ten minutes later')
  t.same([...(await readCountedViews(pool))].sort(), [...expected].sort())
})
