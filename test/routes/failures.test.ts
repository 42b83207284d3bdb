import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { recordChange } from '../../changes/revision.ts'
import { migrateToLatest } from '../../db/migrate.ts'
import { openDatabase } from '../../db/open-database.ts'
import popularPosts, { type PopularPost } from '../../index.ts'
import { createService, fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { startPostgres } from '../helpers/private-postgres.ts'
import { until } from '../helpers/services/until.ts'

/** A migrated database on a private server, which the test can stop and freeze. */
async function startPrivateDatabase(t: Test) {
  const server = await startPostgres()
  t.teardown(() => server.remove())
  const db = openDatabase(server.url, () => {})
  t.teardown(() => db.destroy())
  await migrateToLatest(db)
  return { server, db }
}

t.test('lists are served while PostgreSQL is down, and refreshed when it is up', async (t) => {
  const { server, db } = await startPrivateDatabase(t)
  await fillBlog(db, 3)
  const app = await createService(t, server.url)
  const ready = async () => {
    const response = await app.inject('/health/ready')
    t.equal(response.headers['cache-control'], 'no-store')
    return { statusCode: response.statusCode, ...response.json() }
  }
  t.match(await ready(), {
    statusCode: 200,
    status: 'ok',
    checks: { database: { status: 'up' }, cache: { status: 'up', kind: 'memory' } },
  })

  await server.stop()
  await t.rejects(app.popularPosts.invalidate('soft'), { code: 'PP_UNCONFIRMED' })
  const served = await app.inject('/posts/popular')
  t.equal(served.statusCode, 200, 'the last good list')
  t.match(served.headers['cache-status'], /^popular-posts; hit; ttl=0$/)
  const refused = await app.inject('/posts/popular?days=7')
  t.match(refused.json(), { statusCode: 503, code: 'PP_LOAD_FAILED', error: 'Service Unavailable' })
  t.match(refused.headers, { 'retry-after': '1', 'cache-control': 'no-store' })
  await until(async () => (await ready()).status !== 'ok', 'the database is known to be down')
  t.match(await ready(), { statusCode: 200, status: 'degraded', checks: { database: { status: 'down' } } })
  t.equal((await app.inject('/health/live')).statusCode, 200)
  await t.rejects(app.popularPosts.invalidate('hard'), { code: 'PP_UNCONFIRMED' })
  t.match(await ready(), { statusCode: 503, status: 'unavailable' })

  await server.restart()
  await until(async () => (await ready()).status === 'ok', 'the service is ready again')
  t.equal((await app.inject('/posts/popular')).json<PopularPost[]>().length, 3)
})

t.test('a database that does not reply counts as down, and readiness does not wait for it', async (t) => {
  const server = await startPostgres()
  t.teardown(() => server.remove())
  const app = await createService(t, server.url)
  await until(() => app.popularPosts.isDatabaseUp?.() ?? false, 'the database is up')
  await server.kill('SIGSTOP')
  await until(async () => (await app.popularPosts.isDatabaseUp?.()) === false, 'the database is down')
  await server.kill('SIGCONT')
})

t.test('the plugin starts while its database is down, and works when it is up', async (t) => {
  const { server } = await startPrivateDatabase(t)
  await server.stop()
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(popularPosts, { databaseUrl: server.url })
  t.equal((await app.inject('/posts/popular')).statusCode, 503)
  await server.restart()
  await until(async () => (await app.inject('/posts/popular')).statusCode === 200, 'a list')
})

t.test('an announced change reaches the lists, also over a connection that was lost', async (t) => {
  const { db, url, pool } = await createTestDatabase(t)
  await fillBlog(db, 2)
  const app = await createService(t, url)
  const seen = async () => (await app.popularPosts.get()).map((post) => post.title).join()
  const rename = (title: string) => db.updateTable('posts').set({ title }).where('slug', '=', 'post-1').execute()
  const invalidations = () => app.popularPosts.stats().invalidations
  await until(async () => {
    // A notification before LISTEN would be lost.
    await recordChange(db, 'soft')
    return invalidations() > 0
  }, 'the service listens')
  t.equal(await seen(), 'Post 1,Post 2')

  await rename('hard')
  await recordChange(db, 'hard')
  await until(async () => (await seen()) === 'hard,Post 2', 'the change is seen')

  await rename('rolled back')
  const before = invalidations()
  await db
    .transaction()
    .execute(async (trx) => {
      await recordChange(trx, 'hard')
      throw new Error('roll back')
    })
    .catch(() => {})
  t.equal(invalidations(), before)

  await rename('missed')
  await pool.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'popular-posts listener' and datname = current_database()",
  )
  await until(async () => (await seen()) === 'missed,Post 2', 'what was missed is made up for')
})
