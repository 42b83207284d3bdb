import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import type { Pool } from 'pg'
import t, { type Test } from 'tap'
import { migrateToLatest } from '../../db/migrate.ts'
import { openDatabase } from '../../db/open-database.ts'
import popularPosts, { type PopularPostsOptions } from '../../index.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { startPostgres } from '../helpers/private-postgres.ts'
import { redisUrl } from '../helpers/redis.ts'
import { getPosts, startService } from '../helpers/service.ts'
import { until } from '../helpers/services/until.ts'

const ADMIN_TOKEN = 'a token for the tests'

/** Changes the title of post 1 as a restore does: no trigger sees it. */
async function rename(pool: Pool, title: string): Promise<void> {
  const client = await pool.connect()
  await client.query('set session_replication_role = replica')
  await client.query("update posts set title = $1 where slug = 'post-1'", [title])
  await client.query('reset session_replication_role')
  client.release()
}

async function createApp(t: Test, options: PopularPostsOptions) {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(popularPosts, { routes: false, ...options })
  await app.ready()
  return app
}

t.test('without Redis, an invalidation over HTTP reaches every process through the database', async (t) => {
  const { db, pool, url } = await createTestDatabase(t)
  await fillBlog(db, 2)
  const env = { DATABASE_URL: url, ADMIN_TOKEN }
  const addresses = [(await startService(t, env)).address, (await startService(t, env)).address]
  const polling = await createApp(t, { db })
  const titles = async () => [
    ...(await Promise.all(addresses.map(async (address) => (await getPosts(address, '?limit=1'))[0]?.title))),
    (await polling.popularPosts.get({ limit: 1 }))[0]?.title,
  ]
  t.same(await titles(), ['Post 1', 'Post 1', 'Post 1'])
  for (const [index, address] of addresses.entries()) {
    const title = `Title ${index}`
    await rename(pool, title)
    t.not((await titles())[0], title)
    const reply = await fetch(`${address}/posts/popular/invalidate`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    })
    t.same(await reply.json(), { invalidated: 'hard', reach: 'announced' })
    t.equal((await titles())[index], title, 'at the reply, for the process that replies')
    await until(async () => (await titles()).every((one) => one === title), 'for all others', 20_000)
  }
})

t.test('a process does not invalidate twice for its own announcement, nor for one key', async (t) => {
  const { db, url: databaseUrl } = await createTestDatabase(t)
  await fillBlog(db, 2)
  const [first, second] = [await createApp(t, { databaseUrl }), await createApp(t, { databaseUrl })]
  const invalidations = (app: typeof first) => app.popularPosts.stats().invalidations
  t.equal(await first.popularPosts.invalidate(), 'announced')
  await until(() => invalidations(second) === 1, 'the other hears of it')
  // A process that hears several changes at once reports them as one change with a name of its own.
  await sleep(1_500)
  t.equal(invalidations(first), 1)
  const keyed = () => first.popularPosts.invalidate('soft', { idempotencyKey: 'an edit' })
  t.same(await Promise.all([keyed(), keyed()]), ['announced', 'announced'])
  t.equal(await keyed(), 'announced')
  await until(() => invalidations(second) === 2, 'the other hears of it once', 20_000)
  t.equal(invalidations(first), 2)
})

t.test('the result says that an invalidation could not be announced', async (t) => {
  const { url } = await createTestDatabase(t)
  const { url: empty } = await createTestDatabase(t, { migrate: false })
  let loads = 0
  const load = async () => [{ slug: `load-${++loads}` }]
  const shared = { redisUrl: await redisUrl(), redisPrefix: `test:${randomUUID()}` }
  for (const [name, options, reach] of [
    ['no database', { load }, 'process'],
    ['a database without the tables', { load, databaseUrl: empty }, 'process'],
    [
      'a database that is read-only',
      { load, databaseUrl: `${url}?options=-cdefault_transaction_read_only=on` },
      'process',
    ],
    ['a database', { load, databaseUrl: url }, 'announced'],
    ['Redis', { load, ...shared }, 'all'],
    ['Redis and a database', { load, databaseUrl: url, ...shared, redisPrefix: `test:${randomUUID()}` }, 'all'],
  ] as const) {
    const app = await createApp(t, options)
    const before = await app.popularPosts.get()
    t.equal(await app.popularPosts.invalidate(), reach, name)
    t.notSame(await app.popularPosts.get(), before, `${name}: it holds for this process`)
  }
})

t.test('while the database does not reply, nothing is confirmed, and this process serves no older list', async (t) => {
  const server = await startPostgres()
  t.teardown(() => server.remove())
  const db = openDatabase(server.url, () => {})
  await migrateToLatest(db)
  await db.destroy()
  let loads = 0
  const app = await createApp(t, { databaseUrl: server.url, load: async () => [{ slug: `load-${++loads}` }] })
  t.teardown(() => server.kill('SIGCONT'))
  const refused = { code: 'PP_UNCONFIRMED', statusCode: 503, message: /^Expected the database to confirm/ }
  const invalidate = () => app.popularPosts.invalidate('hard', { idempotencyKey: 'a change' })
  for (const fail of [() => server.kill('SIGSTOP'), () => server.stop()]) {
    const before = await app.popularPosts.get()
    await fail()
    const startedAtMs = performance.now()
    await t.rejects(invalidate(), refused)
    const tookMs = performance.now() - startedAtMs
    t.ok(tookMs < 8_000, `${Math.round(tookMs)} ms`)
    t.notSame(await app.popularPosts.get(), before)
  }
  await server.restart()
  await until(
    () =>
      invalidate().then(
        (reach) => reach === 'announced',
        () => false,
      ),
    'it is confirmed again',
  )
})
