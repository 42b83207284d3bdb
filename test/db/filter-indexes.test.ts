import { sql, type Transaction } from 'kysely'
import t, { type Test } from 'tap'
import { findFilters } from '../../db/filters.ts'
import { migrateToLatest } from '../../db/migrate.ts'
import { findPopularPosts } from '../../db/ranking.ts'
import type { Database } from '../../db/schema.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { until } from '../helpers/services/until.ts'

const NAMES = [
  'post_categories_category_id_post_id_idx',
  'post_tags_tag_id_post_id_idx',
  'posts_published_at_idx',
  'posts_replace_idx',
]
const WAITS = `select from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())`

/** A blog before the migration. */
async function setUp(t: Test) {
  const { db, pool } = await createTestDatabase(t)
  await fillBlog(db, 3)
  await pool.query(`delete from popular_posts_migration where name = '030-filter-indexes';
    drop index ${NAMES};
    create index post_categories_category_id_idx on post_categories (category_id);
    create index post_tags_tag_id_idx on post_tags (tag_id)`)
  return {
    db,
    pool,
    /** The columns of each index that is not of a key, or of what an operator has made. */
    indexes: async () => {
      const { rows } = await sql<{ of: string }>`
        select substring(indexdef from ' ON \\S+\\.(.*)$') as of from pg_indexes
        where tablename in ('post_categories', 'post_tags', 'posts')
        and indexdef !~ 'UNIQUE INDEX posts|pkey|author_id|title' order by 1`.execute(db)
      return rows.map((row) => row.of)
    },
  }
}

const NEW = [
  'post_categories USING btree (category_id, post_id)',
  'post_tags USING btree (tag_id, post_id)',
  'posts USING btree (published_at)',
  `posts USING btree (replace(lower(("left"(language, 500) COLLATE "C")), '_'::text, '-'::text))`,
]

t.test('the indexes are created, whatever an operator has made of the old and the new ones', async (t) => {
  const cases: [change: string, more: string[]][] = [
    ['drop index post_tags_tag_id_idx', []],
    ['alter index post_tags_tag_id_idx rename to mine', ['post_tags USING btree (tag_id)']],
    [`create index ${NAMES[1]} on post_tags (tag_id, post_id)`, ['post_tags USING btree (tag_id, post_id)']],
    [`create index ${NAMES[1]} on posts (title)`, []],
    [`alter table post_tags add constraint ${NAMES[1]} unique (tag_id)`, ['post_tags USING btree (tag_id)']],
    [`create table ${NAMES[0]} (of_another integer)`, []],
  ]
  for (const [change, more] of cases) {
    const { db, pool, indexes } = await setUp(t)
    await pool.query('delete from post_tags')
    await pool.query(change)
    t.same(await migrateToLatest(db), ['030-filter-indexes'], change)
    t.same((await indexes()).toSorted(), [...NEW, ...more].toSorted(), change)
  }
})

t.test('a writer of both tables is in no deadlock with the migration, in whatever order it writes', async (t) => {
  const writes = [
    'insert into post_tags (post_id, tag_id) select max(post_id), max(tag_id) from post_tags on conflict do nothing',
    'insert into post_categories (post_id, category_id) select max(post_id), max(category_id) from post_categories on conflict do nothing',
  ]
  for (const [first = '', second = ''] of [writes, writes.toReversed()]) {
    const { db, pool, indexes } = await setUp(t)
    const writer = await pool.connect()
    await writer.query('begin')
    await writer.query(first)
    const migrated = migrateToLatest(db)
    await until(async () => (await pool.query(WAITS)).rowCount !== 0, 'the migration waits')
    await writer.query(second)
    await writer.query('commit')
    writer.release()
    t.same(await migrated, ['030-filter-indexes'])
    t.same(await indexes(), NEW)
  }
})

t.test('an open transaction that has read the tables holds up the migration, and no list', async (t) => {
  const { db, pool, indexes } = await setUp(t)
  const dump = await pool.connect()
  await dump.query('begin; select from post_categories')
  const migrated = t.rejects(migrateToLatest(db), { code: '55P03' })
  for (let wait = 0; wait < 2; wait += 1) {
    await until(async () => (await pool.query(WAITS)).rowCount !== 0, 'the migration waits')
    // Waits behind the migration, which gives up its place.
    t.equal((await pool.query('select from post_categories join post_tags using (post_id)')).rowCount, 2)
  }
  await migrated
  t.same(await indexes(), ['post_categories USING btree (category_id)', 'post_tags USING btree (tag_id)'])
  await dump.query('commit')
  dump.release()
  t.same(await migrateToLatest(db), ['030-filter-indexes'], 'run again')
  t.same(await indexes(), NEW)
})

t.test('lists of a language and the slugs of filters read the index', async (t) => {
  const { db, pool } = await createTestDatabase(t)
  await fillBlog(db, 3)
  await pool.query("update posts set language = 'pt_BR' where slug = 'post-2'")
  const read = async (transaction: Transaction<Database>) => {
    const query = { days: 0, sort: 'views', limit: 5, timeZone: 'UTC', language: 'pt' } as const
    t.match(await findPopularPosts(transaction, query, 5), [{ slug: 'post-2' }])
    t.same((await findFilters(transaction)).languages, ['pt-br'])
  }
  const scans = (index: string) =>
    db.transaction().execute(async (transaction) => {
      await sql`set local enable_seqscan = off`.execute(transaction)
      await read(transaction)
      const { rows } = await sql<{ scans: string }>`
        select pg_stat_get_xact_numscans(${index}::regclass) as scans`.execute(transaction)
      return Number(rows[0]?.scans)
    })
  t.ok((await scans('posts_replace_idx')) > 0)
  // Of another collation or kind, an index cannot be read in the order of languages.
  const expression = `replace(lower(left(language, 500)), '_', '-')`
  for (const other of [
    `(${expression})`,
    `using hash (${expression})`,
    `(${expression} collate "C" text_pattern_ops)`,
  ]) {
    await pool.query(`drop index posts_replace_idx; create index posts_replace_idx on posts ${other}`)
    t.equal(await scans('posts_replace_idx'), 0, other)
  }
  // An adopted blog may have an index of its own.
  await pool.query(`
    create table entry as select * from posts;
    create index entry_language on entry (replace(lower(left(language, 500) collate "C"), '_', '-'));
    alter table posts rename to former;
    create view posts as select * from entry`)
  t.ok((await scans('entry_language')) > 0)
})

t.test('a text of any length may be the language of a post', async (t) => {
  const { db, pool } = await createTestDatabase(t)
  await fillBlog(db, 3)
  await pool.query(`update posts set language = (
    select 'x-' || string_agg(md5(n::text), '-') from generate_series(1, 400) n) where slug = 'post-2'`)
  const query = { days: 0, sort: 'views', limit: 5, timeZone: 'UTC', language: 'x' } as const
  for (const reach of [0, 5]) t.match(await findPopularPosts(db, query, reach), [{ slug: 'post-2' }])
})
