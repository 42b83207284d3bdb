import Fastify from 'fastify'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import t from 'tap'
import { migrateToLatest } from '../../db/migrate.ts'
import type { Database } from '../../db/schema.ts'
import popularPosts from '../../index.ts'
import { createUpCheck } from '../../lib/up-check.ts'
import { servicesOf } from '../../plugins/popular-posts.ts'
import health from '../../routes/health.ts'
import { createService, fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { startPostgres } from '../helpers/private-postgres.ts'
import { until } from '../helpers/services/until.ts'
import { createVirtualClock, deferred } from '../helpers/virtual-clock.ts'

t.test('callers share one check a second, and a hanging check stays the only one', async (t) => {
  const clock = createVirtualClock()
  const questions: ReturnType<typeof deferred<void>>[] = []
  const isUp = createUpCheck(() => {
    const question = deferred<void>()
    questions.push(question)
    return question.promise
  }, clock)
  const ask = () => Promise.all([isUp(), isUp(), isUp()])

  const first = ask()
  questions[0]?.resolve()
  t.same(await first, [true, true, true])
  await clock.advance(999)
  t.same(await ask(), [true, true, true])
  t.equal(questions.length, 1)

  await clock.advance(1)
  const hanging = ask()
  await clock.advance(1000)
  t.same(await hanging, [false, false, false], 'it is not answered within a second')
  await clock.advance(60_000)
  t.same(await ask(), [false, false, false], 'at once')
  t.equal(questions.length, 2)

  questions[1]?.resolve()
  await clock.advance(0)
  const again = ask()
  questions[2]?.reject(new Error('down'))
  t.same(await again, [false, false, false])
  t.equal(questions.length, 3)
})

t.test('GET /health/ready queries the database at most once a second, with a list and without one', async (t) => {
  const { db, url, countStatements, resetStatements } = await createTestDatabase(t)
  await fillBlog(db, 3)
  const app = await createService(t, url)
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const questions = () => countStatements(/^select \$1 as up$/)
  const ask = async (times: number) => {
    const asked = Array.from({ length: times }, async () => (await fetch(`${address}/health/ready`)).status)
    return [...new Set(await Promise.all(asked))]
  }
  await ask(1)
  await resetStatements()
  const startedAtMs = performance.now()
  for (let round = 0; round < 10; round += 1) t.same(await ask(50), [200])
  const seconds = Math.ceil((performance.now() - startedAtMs) / 1000)
  t.ok((await questions()) <= seconds, `${await questions()} questions in ${seconds} s, for 500 requests`)
  t.equal(await countStatements(/from "ranked"/), 0)

  await t.test('failing loads are retried only after each cool-down', async (t) => {
    const { loadsFailed } = app.popularPosts.stats()
    const sinceMs = performance.now()
    await db.schema.alterTable('posts').renameTo('posts_gone').execute()
    await app.popularPosts.invalidate('hard')
    t.same(await ask(100), [503])
    t.same(await ask(100), [503])
    const failed = app.popularPosts.stats().loadsFailed - loadsFailed
    const most = 2 + Math.ceil((performance.now() - sinceMs) / 1000)
    t.ok(failed <= most, `${failed} loads of ${most} for 200 requests`)
  })
})

t.test('while the database hangs any number of requests gets a reply, and uses two connections', async (t) => {
  const server = await startPostgres()
  t.teardown(() => server.remove())
  const pool = new Pool({ connectionString: server.url, max: 10 })
  pool.on('error', () => {})
  t.teardown(() => pool.end())
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
  await migrateToLatest(db)
  await fillBlog(db, 3)
  const app = Fastify()
  t.teardown(() => app.close())
  t.teardown(() => server.kill('SIGCONT'))
  await app.register(popularPosts, { db, viewFlushSeconds: 0 })
  await app.register(health, servicesOf(app))
  const ask = async (times: number) => {
    const answers = await Promise.all(Array.from({ length: times }, () => app.inject('/health/ready')))
    return [...new Set(answers.map(({ statusCode, body }) => `${statusCode} ${body}`))].join()
  }
  t.match(await ask(1), /^200 .*"status":"ok"/)
  await app.popularPosts.invalidate('hard')
  await server.kill('SIGSTOP')
  const inUse = () => pool.totalCount - pool.idleCount + pool.waitingCount
  const unavailable =
    '503 {"status":"unavailable","checks":{"database":{"status":"down"},"cache":{"status":"up","kind":"memory"}}}'
  await until(async () => (await ask(100)) === unavailable, 'it is said to be down')
  t.equal(await ask(500), unavailable)
  // One check, one load, and the poll for changes every 5 seconds.
  t.ok(inUse() <= 3, `${inUse()} connections`)
  await server.kill('SIGCONT')
  await until(async () => /^200 .*"status":"ok"/.test(await ask(1)), 'it is back')
})
