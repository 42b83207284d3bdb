import { readFile } from 'node:fs/promises'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import t from 'tap'
import { migrateToLatest, pendingMigrations } from '../../db/migrate.ts'
import { openDatabase } from '../../db/open-database.ts'
import { UNTRUSTED_ROLES } from '../../db/safe-path.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

const ALL = [
  '001-view-counters',
  '002-blog',
  '003-log-imports',
  '004-signals',
  '005-blog-signals',
  '006-kept-windows',
  '007-safe-functions',
  '009-post-aliases',
  '010-site',
  '013-parents-and-languages',
  '014-own-triggers',
  '020-adoption',
  '023-feed-posts',
  '024-log-visits',
  '026-count-imports',
  '027-ranks',
  '030-filter-indexes',
]

t.test('every migration runs once, in order', async (t) => {
  const { db } = await createTestDatabase(t, { migrate: false })
  const tables = async () =>
    (await db.introspection.getTables()).map(({ name }) => name).filter((name) => !name.startsWith('popular_posts_'))
  t.same(await pendingMigrations(db), ALL)
  t.same(await tables(), [])
  t.same(await migrateToLatest(db), ALL)
  t.same(await pendingMigrations(db), [])
  t.same((await tables()).toSorted(), [
    ...[
      'authors',
      'categories',
      'comments',
      'feed_posts',
      'post_aliases',
      'post_categories',
      'post_tags',
      'post_views_batch',
      'post_views_daily',
    ],
    ...['post_views_hourly', 'post_views_import', 'post_views_import_count', 'post_views_log_chunk'],
    ...['post_views_log_import', 'post_views_log_visits', 'post_views_total', 'post_views_touch', 'post_views_window'],
    ...['posts', 'site_facts', 'tags'],
  ])
  t.same(await migrateToLatest(db), [], 'nothing to do')
})

t.test('the trigger functions and the check of the search_path use the same untrusted roles', async (t) => {
  const text = await readFile(new URL('../../db/migrations/write-watcher.sql', import.meta.url), 'utf8')
  t.ok(text.replace(/\s+/g, ' ').includes(UNTRUSTED_ROLES.replace(/\s+/g, ' ').trim()))
})

t.test('parallel migrations of processes run one after the other', async (t) => {
  const { url } = await createTestDatabase(t, { migrate: false })
  const processes = Array.from({ length: 5 }, () => {
    const pool = new Pool({ connectionString: url, max: 1 })
    pool.on('error', () => {})
    return new Kysely({ dialect: new PostgresDialect({ pool }) })
  })
  t.teardown(() => Promise.all(processes.map((db) => db.destroy())))
  const ran = await Promise.all(processes.map((db) => migrateToLatest(db)))
  t.same(ran.flat(), ALL, 'each ran once')
})

t.test('a migration that fails leaves the database as it was', async (t) => {
  const { db } = await createTestDatabase(t, { migrate: false })
  await db.schema.createTable('comments').addColumn('mine', 'text').execute()
  await t.rejects(migrateToLatest(db), { code: '42P07', names: ['comments'] })
  t.same(await pendingMigrations(db), ALL)
})

t.test('the search for used names knows every table of the migrations', async (t) => {
  const { db } = await createTestDatabase(t, { migrate: false })
  const { pool } = await createTestDatabase(t)
  const { rows } = await pool.query<{ name: string }>(
    "select tablename as name from pg_tables where schemaname = 'public' and tablename not like '%migration%' order by 1",
  )
  for (const { name } of rows) await db.schema.createTable(name).addColumn('mine', 'text').execute()
  await t.rejects(migrateToLatest(db), { message: `taken: ${rows.map(({ name }) => name).join(', ')}` })
})

t.test('migrating a database that does not reply throws', async (t) => {
  const db = openDatabase('postgres://127.0.0.1:9/nobody', () => {})
  t.teardown(() => db.destroy())
  await t.rejects(migrateToLatest(db), { code: 'ECONNREFUSED' })
})

t.test('counters are updated in place: hot updates, as no counter is in an index', async (t) => {
  const { pool } = await createTestDatabase(t)
  const { rows } = await pool.query(`
    select c.relname, c.reloptions, i.indexdef from pg_class c join pg_indexes i on i.tablename = c.relname
    where c.relname like 'post_views_%' and c.relkind = 'r' and c.reloptions is not null order by c.relname`)
  t.equal(rows.length, 5)
  for (const { relname, reloptions, indexdef } of rows) {
    t.same(reloptions, ['fillfactor=80'], relname)
    t.notMatch(indexdef, /\bviews\b[,)]/, relname)
  }
})
