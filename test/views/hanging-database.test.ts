import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import t from 'tap'
import { migrateToLatest } from '../../db/migrate.ts'
import type { Database } from '../../db/schema.ts'
import popularPosts from '../../index.ts'
import { servicesOf } from '../../plugins/popular-posts.ts'
import health from '../../routes/health.ts'
import { fillBlog } from '../helpers/blog.ts'
import { startPostgres } from '../helpers/private-postgres.ts'

const READER = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/129.0' }
/** What the process knows of a slug is verified after this time. */
const VERIFIED_MS = 10_500

t.test('while PostgreSQL hangs, no view and no probe waits for it', async (t) => {
  const server = await startPostgres()
  t.teardown(() => server.remove())
  const pool = new Pool({ connectionString: server.url, max: 4 })
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
  t.teardown(() => db.destroy())
  await migrateToLatest(db)
  await fillBlog(db, 3)
  const apps: { app: FastifyInstance; name: string }[] = []
  // A host's pool may wait for ever.
  for (const source of [{ databaseUrl: server.url }, { db }]) {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(popularPosts, { ...source, viewFlushSeconds: 0, viewsPerMinute: 0 })
    await app.register(health, servicesOf(app))
    apps.push({ app, name: Object.keys(source).join() })
  }
  t.teardown(() => server.kill('SIGCONT'))
  const view = async ({ app }: (typeof apps)[number], slug: string) => {
    const startedAtMs = performance.now()
    const reply = await app.inject({ method: 'POST', url: `/posts/${slug}/views`, headers: READER })
    return { status: reply.statusCode, body: reply.body, tookMs: performance.now() - startedAtMs }
  }
  const ready = async ({ app }: (typeof apps)[number]) => {
    const startedAtMs = performance.now()
    const reply = await app.inject('/health/ready')
    return { status: reply.statusCode, body: reply.json(), tookMs: performance.now() - startedAtMs }
  }
  for (const each of apps) {
    t.equal((await view(each, 'post-1')).status, 204)
    t.equal((await view(each, 'no-such-post')).status, 404)
    t.match(await ready(each), { status: 200, body: { status: 'ok' } })
  }
  await sleep(VERIFIED_MS)
  await server.kill('SIGSTOP')
  for (const each of apps) {
    const { name } = each
    const [probe, none, unknown, ...views] = await Promise.all([
      ready(each),
      view(each, 'no-such-post'),
      view(each, 'never-seen'),
      ...Array.from({ length: 100 }, () => view(each, 'post-1')),
    ])
    t.same([...new Set(views.map(({ status }) => status))], [204], name)
    const slowestMs = Math.max(...views.map(({ tookMs }) => tookMs))
    t.ok(slowestMs < 2_500, `${name}: the slowest of 100 views of a known post took ${Math.round(slowestMs)} ms`)
    for (const { status, body } of [none, unknown])
      t.match({ status, body }, { status: 503, body: /PP_LOOKUP_FAILED/ }, `${name}: there may be such a post by now`)
    t.match(probe, { status: 200, body: { status: 'degraded', checks: { database: { status: 'down' } } } }, name)
    for (const { tookMs } of [none, unknown, probe]) t.ok(tookMs < 4_000, `${name}: ${Math.round(tookMs)} ms`)
    t.equal((await view(each, 'post-1')).status, 204, `${name}: again, while the look-up still runs`)
  }
  await server.kill('SIGCONT')
  for (const each of apps) {
    await sleep(100)
    t.equal((await view(each, 'post-2')).status, 204, `${each.name}: it is back`)
  }
})
