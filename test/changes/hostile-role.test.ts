import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import t, { type Test } from 'tap'
import { migrateToLatest } from '../../db/migrate.ts'
import { findProblems } from '../../db/problems.ts'
import type { Database } from '../../db/schema.ts'
import { createHostileRole } from '../helpers/hostile-role.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

const VERSION_006 = readFileSync(new URL('../fixtures/version-006.sql', import.meta.url), 'utf8')

/** A database with an owner role, and connections as that role. */
async function createOwned(t: Test) {
  const { pool, url } = await createTestDatabase(t, { migrate: false })
  const owner = `blog_${randomBytes(6).toString('hex')}`
  await pool.query(`create role ${owner}; grant all on schema public to ${owner}`)
  const { rows } = await pool.query<{ name: string }>('select current_database() as name')
  await pool.query(`alter database ${rows[0]?.name} owner to ${owner}`)
  const own = new Pool({ connectionString: `${url}?options=-crole%3D${owner}`, max: 2 })
  own.on('error', () => undefined)
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool: own }) })
  t.teardown(() => db.destroy())
  await migrateToLatest(db)
  return {
    pool,
    owner,
    own,
    db,
    dropRole: () =>
      pool.query(
        `alter database ${rows[0]?.name} owner to current_user; drop owned by ${owner} cascade; drop role ${owner}`,
      ),
  }
}

/** The ordinary writes of the blog. */
const WRITES = [
  `insert into authors (slug, name) values ('ann', 'Ann')`,
  `insert into posts (slug, title, url, author_id, published_at) values ('a', 'A', '/a', 1, now() - interval '1 day'),
    ('b', 'B', '/b', 1, now() + interval '1 day')`,
  `update posts set title = 'C'`,
  `update posts set published_at = published_at + interval '1 hour'`,
  `insert into comments (post_id, author_name, body) values (1, 'Bob', 'Hm')`,
  `insert into post_views_daily values ('2026-01-01', 1, 1)`,
  `update post_views_daily set views = 2`,
  'truncate post_views_daily',
  `delete from posts where slug = 'b'`,
  'truncate posts cascade',
]

t.test('objects of a role that may create in public never run with the rights of the watching role', async (t) => {
  const { pool, own, owner, dropRole } = await createOwned(t)
  const mallory = await createHostileRole(pool)
  t.comment(`${mallory.lookAlikes} functions and operators`)
  t.ok(mallory.lookAlikes > 5_000)
  for (const statement of WRITES) {
    await own.query(statement)
    t.equal(await mallory.wasCalled(), false, statement)
  }
  t.equal((await pool.query('select from popular_posts_watch_failure')).rowCount, 0)

  await own.query(`create schema blog; create table blog.entries (
    id bigint primary key, state varchar(20), kind name, flag "char", at timestamp, body text)`)
  for (const statement of [
    `select public.popular_posts_watch('blog.entries'::regclass, '{state}'::text[],
      $$ state in ('shown', 'new') and kind = 'post' and flag <> 'x' and length(state) > 2 and body || kind like '%post' $$::text,
      $$ at at time zone 'UTC' $$::text, '{body,at}'::text[], array['public']::name[])`,
    `insert into blog.entries values (1, 'shown', 'post', 'a', '2020-01-01', ''), (2, 'new', 'post', 'a', '2999-01-01', '')`,
    `update blog.entries set state = 'new', at = at + interval '1 day'`,
    'delete from blog.entries where id = 2',
    'truncate blog.entries',
    `select public.popular_posts_unwatch('blog.entries'::regclass)`,
  ]) {
    await own.query(statement)
    t.equal(await mallory.wasCalled(), false, statement)
  }
  t.equal((await pool.query('select from popular_posts_watch_failure')).rowCount, 0)
  t.ok((await pool.query(`select from popular_posts_change where change = 'hard'`)).rowCount)

  await t.test('an object of an untrusted role is refused, also when its types fit better', async (t) => {
    await pool.query(
      `set role ${mallory.name}; create function public.is_shown(varchar) returns boolean language sql as 'select true'; reset role`,
    )
    await own.query(`create function public.is_shown(text) returns boolean language sql as $$ select $1 = 'shown' $$`)
    const watch = (live: string) => own.query(`select popular_posts_watch('blog.entries', live => '${live}')`)
    await t.rejects(watch('is_shown(body)'), {
      message:
        /function is_shown\(text\) does not exist. Names are not looked up in public, where other roles may create: write them with their schema, or take that right away \(revoke create on schema public from public\)/,
    })
    await t.rejects(watch('public.is_shown(state)'), {
      message: new RegExp(
        `expected what belongs to ${owner} or to a superuser, got the function public.is_shown\\(character varying\\) of the role ${mallory.name}`,
      ),
    })
    await watch('public.is_shown(body)')
    await watch('public.is_shown(state::text)')
    await own.query(`insert into blog.entries values (1, 'shown')`)
    t.equal(await mallory.wasCalled(), false)
  })
  await mallory.drop()
  await dropRole()
})

t.test('the migration makes the watchers of a database of the first version safe', async (t) => {
  const { pool, own, db, dropRole } = await createOwned(t)
  await own.query(`
    create function is_shown(varchar) returns boolean language sql as $$ select $1 = 'shown' $$;
    create table entries (id bigint primary key, state varchar(20), at timestamp, title text, body text)`)
  await own.query(VERSION_006)
  await own.query(
    `select popular_posts_watch('entries', '{state}', $$state in ('shown', 'new') -- so far$$, $$at at time zone 'UTC'$$, '{title}')`,
  )
  t.same(await findProblems(db), [], 'tables of this version are not missed')
  let mallory = await createHostileRole(pool)
  await own.query(`insert into entries values (1, 'shown', '2020-01-01', '')`)
  t.equal(await mallory.wasCalled(), true, 'functions of the first version call those of the other role')

  await t.rejects(migrateToLatest(db), {
    name: 'StartupError',
    message: new RegExp(
      `^The (?:function|operator) \\S.* of the role ${mallory.name} would be called in place of PostgreSQL's own`,
    ),
  })
  t.equal(await mallory.wasCalled(), false, 'the refusal calls none')
  t.match(await findProblems(db), [
    { subject: new RegExp(`of the role ${mallory.name}`), message: /let no other role create objects in a schema/ },
  ])
  await mallory.wasCalled()
  await mallory.drop()
  t.equal((await migrateToLatest(db))[0], '007-safe-functions')
  mallory = await createHostileRole(pool)
  for (const statement of WRITES) {
    await own.query(statement)
    t.equal(await mallory.wasCalled(), false, statement)
  }
  const change = async (statement: string) => {
    await pool.query('truncate popular_posts_change')
    await own.query(statement)
    t.equal(await mallory.wasCalled(), false, statement)
    return (await pool.query<{ change: string }>('select change from popular_posts_change')).rows.map(
      (row) => row.change,
    )
  }
  t.same(await change(`insert into entries values (2, 'draft', '2020-01-01', '')`), [])
  t.same(await change(`insert into entries values (3, 'new', '2020-01-01', '')`), ['hard'])
  t.same(await change(`insert into entries values (4, 'new', '2999-01-01', '')`), ['hard'], 'later')
  t.same(await change(`update entries set body = 'x'`), [])
  t.same(await change(`update entries set title = 'x' where id = 1`), ['soft'])
  t.same(await change(`update entries set state = 'new' where id = 1`), ['hard'])
  t.same((await pool.query('select * from popular_posts_watch_failure')).rows, [])
  await mallory.drop()
  await dropRole()
})

t.test('watchers that the migration cannot parse announce every change, and each start names them', async (t) => {
  const { pool, own, db, dropRole } = await createOwned(t)
  await own.query(`
    create function is_shown(text) returns boolean language sql as $$ select $1 = 'shown' $$;
    create table entries (state text); create table notes (state text); create table foreign_notes (state text)`)
  await own.query(VERSION_006)
  const other = `other_${randomBytes(6).toString('hex')}`
  await pool.query(`create role ${other}; grant create on schema public to ${other}`)
  await own.query(`select popular_posts_watch('entries', '{state}', 'is_shown(state)')`)
  for (const table of ['notes', 'foreign_notes'])
    await own.query(`select popular_posts_watch($1, live => 'true')`, [table])
  const { rows } = await pool.query<{ name: string; table: string }>(
    `select distinct tgfoid::regproc::text as name, tgrelid::regclass::text as table from pg_trigger
    where tgrelid in ('notes'::regclass, 'foreign_notes'::regclass)`,
  )
  const nameOf = (table: string) => rows.find((row) => row.table === table)?.name
  // No version has written this text: neither it nor any part of it may run.
  await own.query(`create or replace function ${nameOf('notes')}() returns trigger language plpgsql
    set search_path = public, pg_temp as $$ begin return null; end $$`)
  await pool.query(
    `alter function ${nameOf('foreign_notes')} owner to ${other}; grant create on schema public to public`,
  )
  t.equal((await migrateToLatest(db))[0], '007-safe-functions')

  const troubles = await findProblems(db)
  t.same(troubles.map(({ subject }) => subject).sort(), ['entries', 'foreign_notes', 'notes'])
  const messageOf = (table: string) => troubles.find(({ subject }) => subject === table)?.message
  t.match(messageOf('entries'), /Names are not looked up in public, where other roles may create/)
  t.match(messageOf('notes'), /it belongs to another role, or was changed by hand/)
  t.match(messageOf('foreign_notes'), /must be owner of function/)
  for (const [table, change] of [
    ['entries', 'hard'],
    ['notes', 'soft'],
  ]) {
    await pool.query('truncate popular_posts_change')
    await own.query(`insert into ${table} values ('hidden')`)
    t.match((await pool.query('select change from popular_posts_change')).rows, [{ change }], String(table))
  }
  await own.query(`select popular_posts_watch('entries', '{state}', 'public.is_shown(state)')`)
  t.same((await findProblems(db)).map(({ subject }) => subject).sort(), ['foreign_notes', 'notes'])
  await pool.query(`drop owned by ${other} cascade; drop role ${other}`)
  await dropRole()
})
