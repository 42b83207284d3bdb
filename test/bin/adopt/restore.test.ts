import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import t from 'tap'
import { changesSince } from '../../../changes/revision.ts'
import { bucketStart, countBatch } from '../../../db/count-views.ts'
import { inOwnSchema } from '../../../db/own-schema.ts'
import { findPopularPosts } from '../../../db/ranking.ts'
import type { Database } from '../../../db/schema.ts'
import { runIn } from '../../helpers/checkout.ts'
import { createTestDatabase } from '../../helpers/postgres.ts'
import { temporaryDirectory } from '../../helpers/temporary-directory.ts'
import { runAdopt } from './run-adopt.ts'

const tables = readFileSync(new URL('../../fixtures/adopt/django.sql', import.meta.url), 'utf8')

/** The major version of `pg_dump`, which the binaries of npm lack; undefined: there is none. */
const dumpVersion = await runIn('.', 'pg_dump', '--version').then(
  (said) => Number(/\) (\d+)/.exec(said)?.[1]),
  () => undefined,
)

t.test('a dump of the database has the adopted blog: views, triggers, counts, and the SQL of --apply', async (t) => {
  const { db: plain, pool, url } = await createTestDatabase(t, { migrate: false })
  const { rows } = await pool.query<{ version: number }>(
    "select current_setting('server_version_num')::int / 10000 as version",
  )
  if (dumpVersion === undefined || dumpVersion < (rows[0]?.version ?? 0)) {
    t.pass('there is no pg_dump of this version')
    return
  }
  await pool.query(tables)
  await runAdopt(t, url, ['--published', "status = 'PB'", '--apply'])
  const now = Date.now()
  await countBatch(
    inOwnSchema(plain, () => 'popular_posts'),
    { id: 'first', timeZone: 'UTC', nowMs: now, buckets: [{ postId: '1', bucketStartMs: bucketStart(now), views: 5 }] },
  )
  const file = join(await temporaryDirectory(t), 'blog.dump')
  await runIn('.', 'pg_dump', '--format=custom', `--file=${file}`, url)
  const name = `popular_posts_test_${randomBytes(8).toString('hex')}`
  await pool.query(`create database ${name} template template0`)
  const restored = new URL(url)
  restored.pathname = `/${name}`
  const copy = new Pool({ connectionString: restored.href, max: 2 })
  copy.on('error', () => undefined)
  const db = inOwnSchema(new Kysely<Database>({ dialect: new PostgresDialect({ pool: copy }) }), () => 'popular_posts')
  t.teardown(async () => {
    await db.destroy()
    await pool.query(`drop database ${name} with (force)`)
  })
  await runIn('.', 'pg_restore', '--exit-on-error', `--dbname=${restored.href}`, file)
  const list = () => findPopularPosts(db, { sort: 'views', days: 0, limit: 9, timeZone: 'UTC' })
  t.match(await list(), [{ slug: 'one', views: 5, tags: ['Red'] }])
  const { revision } = await changesSince(db, undefined)
  await copy.query("update blog_post set status = 'PB'")
  t.equal((await changesSince(db, revision)).mode, 'hard')
  t.match((await runAdopt(t, restored.href, ['--check'])).stdout, /The views fit/)
  await runAdopt(t, restored.href, ['--drop'])
  await copy.query('alter table blog_post alter column title type varchar(200)')
  t.match((await runAdopt(t, restored.href, ['--apply'])).stdout, /The blog is connected/)
  t.match(await list(), [{ slug: 'one', views: 5 }, { slug: 'hidden' }])
})
