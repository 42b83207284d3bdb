import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import t, { type Test } from 'tap'
import { bucketStart, countBatch } from '../../db/count-views.ts'
import type { Database } from '../../db/schema.ts'
import { WHOLE } from '../../db/window-rollups.ts'
import popularPosts, { type PopularPostsOptions } from '../../index.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { until } from '../helpers/services/until.ts'

const DAY_MS = 86_400_000
/** No flush before the end of the test. */
const viewFlushSeconds = 86_400
const WAITS = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
const IN_USE =
  "select from pg_stat_activity where datname = current_database() and application_name = 'host' and xact_start is not null"

/** A blog with a view on a closed day, and without stored sums. */
async function setUp(t: Test) {
  const { db, pool, url: databaseUrl } = await createTestDatabase(t)
  await fillBlog(db, 3)
  const [post] = await db.selectFrom('posts').select('id').execute()
  const nowMs = Date.now()
  const buckets = [{ postId: String(post?.id), bucketStartMs: bucketStart(nowMs - 5 * DAY_MS), views: 7 }]
  await countBatch(db, { id: 'old', timeZone: 'UTC', nowMs, buckets })
  return {
    pool,
    databaseUrl,
    /** How many windows have a sum that is whole. */
    stored: async () => {
      const { rowCount } = await pool.query('select from post_views_window where days % 2 <> 0 and views = $1', [WHOLE])
      return rowCount
    },
    /** Keeps sums from being stored, until the returned function is called. */
    async hold() {
      const holder = await pool.connect()
      await holder.query('begin; lock table post_views_window in exclusive mode')
      return async () => {
        await holder.query('rollback')
        holder.release()
      }
    },
    waits: () => until(async () => (await pool.query(WAITS)).rowCount === 1, 'the app waits for the lock'),
  }
}

async function start(t: Test, options: PopularPostsOptions) {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(popularPosts, options)
  await app.ready()
  return app
}

t.test('an app stores the sums of closed days when it starts, before its first flush', async (t) => {
  const { databaseUrl, stored } = await setUp(t)
  await start(t, { databaseUrl, viewFlushSeconds })
  await until(async () => (await stored()) === 4, 'all sums are stored')
})

t.test('the start of an app does not wait for them, and its end not for a lock of another session', async (t) => {
  const { databaseUrl, pool, hold, waits, stored } = await setUp(t)
  const release = await hold()
  const app = await start(t, { databaseUrl, viewFlushSeconds })
  await waits()
  t.equal((await app.inject('/posts/popular')).statusCode, 200, 'lists are served')
  await app.close()
  await release()
  await until(
    async () =>
      (await pool.query("select from pg_stat_activity where application_name = 'popular-posts'")).rowCount === 0,
    'the connections are closed',
  )
  t.equal(await stored(), 0)
})

t.test('an app that has closed sends no further statement on the connections of its host', async (t) => {
  const { databaseUrl, pool, hold, waits, stored } = await setUp(t)
  const db = new Kysely<Database>({
    dialect: new PostgresDialect({ pool: new Pool({ connectionString: databaseUrl, application_name: 'host' }) }),
  })
  const release = await hold()
  const app = await start(t, { db, viewFlushSeconds })
  await waits()
  const closing = app.close()
  // An app that did not wait would have closed before.
  await sleep(200)
  await release()
  await closing
  t.equal((await pool.query(IN_USE)).rowCount, 0, 'no statement and no transaction is left')
  const atClose = Number(await stored())
  t.ok(atClose >= 1, 'the sum that was being stored is whole')
  await db.destroy()
  t.equal(await stored(), atClose, 'it was the last one')
})

t.test('without a timer for flushes, or with a load of the host, an app stores no sums when it starts', async (t) => {
  const { databaseUrl, stored, hold, pool } = await setUp(t)
  const release = await hold()
  const others: PopularPostsOptions[] = [
    { databaseUrl, viewFlushSeconds: 0 },
    { databaseUrl, viewFlushSeconds, backgroundWork: false },
    { databaseUrl, viewFlushSeconds, load: async () => [] },
  ]
  for (const options of others) {
    const app = await start(t, options)
    t.equal((await app.inject('/posts/popular')).statusCode, 200)
    t.equal((await pool.query(WAITS)).rowCount, 0)
    await app.close()
  }
  await release()
  t.equal(await stored(), 0)
})
