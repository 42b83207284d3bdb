import Fastify from 'fastify'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import t, { type Test } from 'tap'
import { recordChange } from '../../changes/revision.ts'
import { openDatabase } from '../../db/open-database.ts'
import popularPosts, { type PopularPostsOptions } from '../../index.ts'
import { fillBlog } from '../helpers/blog.ts'
import { startPgBouncer } from '../helpers/pgbouncer.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { command, startService } from '../helpers/service.ts'
import { until } from '../helpers/services/until.ts'

const READER = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/129.0' }

/** An app whose log is kept. */
async function createApp(t: Test, options: PopularPostsOptions) {
  const lines: { level: number; msg: string }[] = []
  const app = Fastify({
    logger: { level: 'info', stream: { write: (line) => void lines.push(JSON.parse(line)) } },
    disableRequestLogging: true,
  })
  t.teardown(() => app.close())
  await app.register(popularPosts, { viewFlushSeconds: 0, ...options })
  const logged = (minimum: number) => lines.filter(({ level }) => level >= minimum).map(({ msg }) => msg)
  return { app, warnings: () => logged(40), logged: () => logged(30) }
}

for (const mode of ['transaction', 'session'] as const) {
  t.test(`through PgBouncer in ${mode} mode, everything works without a setting`, async (t) => {
    const { db, pool, url } = await createTestDatabase(t)
    await fillBlog(db, 9)
    // Fewer connections to PostgreSQL than an app has to PgBouncer, as it is with poolers.
    const pooler = await startPgBouncer(t, url, { mode, settings: mode === 'session' ? {} : { default_pool_size: 3 } })
    const hostPool = new Pool({ connectionString: pooler.url, max: 10 })
    hostPool.on('error', () => {})
    const host = new Kysely({ dialect: new PostgresDialect({ pool: hostPool }) })
    t.teardown(() => host.destroy())
    for (const [name, options] of [
      ['databaseUrl', { databaseUrl: pooler.url }],
      ['databaseUrl and databasePassword', { databaseUrl: pooler.url, databasePassword: () => 'a token' }],
      ['db', { db: host }],
    ] as const) {
      const { app, warnings, logged } = await createApp(t, options)
      // Four windows: as many loads as run at once. More would wait for them, one second at most.
      const lists = Array.from({ length: 20 }, (_none, index) => app.inject(`/posts/popular?days=${index % 4}`))
      const failed = (await Promise.all(lists)).filter(({ statusCode }) => statusCode !== 200)
      t.same([...failed.map(({ body }) => body), ...(failed.length > 0 ? warnings() : [])], [], name)
      for (let post = 1; post <= 9; post += 1) {
        const request = { method: 'POST', ip: '203.0.113.9', headers: READER }
        t.equal(await app.postViews.record({ slug: `post-${post}`, request }), 'counted', name)
      }
      await until(async () => {
        await app.postViews.flush()
        return app.postViews.stats().flushed === 9
      }, 'the views are counted')
      await app.postViews.prune()
      const isListening = mode === 'session' && 'databaseUrl' in options
      const drops = () => logged().filter((message) => message.includes('a pooler in front of PostgreSQL drops'))
      if (mode === 'transaction' && 'databaseUrl' in options)
        await until(() => drops().length === 1, 'the pooler is recognised')
      if (isListening) await until(async () => (await listeners(pool)) > 0, 'it listens')
      const slug = `new-${name.replaceAll(' ', '-')}`.toLowerCase()
      await pool.query("insert into posts (slug, title, url, published_at) values ($1, 'New', '/n', now())", [slug])
      const seen = async () => (await app.popularPosts.get({ days: 0, limit: 50 })).some((post) => post.slug === slug)
      await until(seen, 'the new post is in the list', 20_000)
      t.same(drops().length, mode === 'transaction' && 'databaseUrl' in options ? 1 : 0)
      t.same(warnings(), [], `${name}: no warning`)
      await app.close()
    }
    t.equal(await listeners(pool), 0, 'no connection of the pooler is left listening')
  })
}

/** The connections of this database that listen for changes. */
async function listeners(pool: Pool): Promise<number> {
  const { rowCount } = await pool.query(
    "select from pg_stat_activity where datname = current_database() and query = 'listen popular_posts'",
  )
  return rowCount ?? 0
}

t.test('through PgBouncer in transaction mode, the tables are made and the service runs', async (t) => {
  const { url, pool } = await createTestDatabase(t, { migrate: false })
  const pooler = await startPgBouncer(t, url, { mode: 'transaction' })
  const migrating = command(t, ['migrate'], { DATABASE_URL: pooler.url })
  t.equal(await migrating.ended(), 0, migrating.stderr())
  const { address, stop } = await startService(t, { DATABASE_URL: pooler.url })
  t.match(await (await fetch(`${address}/health/ready`)).json(), {
    status: 'ok',
    checks: { database: { status: 'up' } },
  })
  const { rows } = await pool.query(
    'select distinct application_name as name from pg_stat_activity where datname = current_database()',
  )
  t.ok(
    rows.some(({ name }: { name: string }) => name.startsWith('popular-posts')),
    'the connections have a name',
  )
  t.equal(await stop(), 0)
})

t.test('a parameter of the URL that PgBouncer refuses is named, with what to do', async (t) => {
  const { url } = await createTestDatabase(t)
  const pooler = await startPgBouncer(t, url, { mode: 'transaction' })
  for (const [search, named] of [
    ['options=-csearch_path%3Dpublic', 'options'],
    ['statement_timeout=5000', 'statement_timeout'],
  ]) {
    const migrating = command(t, ['migrate'], { DATABASE_URL: `${pooler.url}?${search}` })
    t.equal(await migrating.ended(), 1)
    t.equal(
      migrating.stderr().trim(),
      `A pooler in front of PostgreSQL refuses the parameter ${named} (08P01): remove it from DATABASE_URL; in place of a search_path set DATABASE_SCHEMA, other settings for the user (alter role … set …).`,
    )
  }
})

t.test('a refused statement_timeout is not sent again', async (t) => {
  const { url } = await createTestDatabase(t)
  const pooler = await startPgBouncer(t, url, { mode: 'transaction' })
  const db = openDatabase(pooler.url, () => {}, { statementSeconds: 1, max: 4 })
  t.teardown(() => db.destroy())
  await Promise.all(Array.from({ length: 8 }, () => recordChange(db, 'soft')))
  const refusals = async () => (await pooler.log()).split('unsupported startup parameter').length - 1
  const before = await refusals()
  t.ok(before > 0)
  await Promise.all(Array.from({ length: 8 }, () => recordChange(db, 'soft')))
  t.equal(await refusals(), before)
})
