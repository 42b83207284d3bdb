import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import type { PoolClient } from 'pg'
import t, { type Test } from 'tap'
import { changesSince } from '../../changes/revision.ts'
import { findProblems } from '../../db/problems.ts'
import popularPosts from '../../index.ts'
import { createService } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { until } from '../helpers/services/until.ts'

/** A table of the host, watched with every argument, and a connection with its warnings. */
async function setUp(t: Test, { watch = '', table = 'entries' } = {}) {
  const { db, pool, url } = await createTestDatabase(t)
  await pool.query(`
    create table entries (id integer primary key, title text, state text, at text, parts integer default 1, note text);
    create function is_shown(text) returns boolean language sql as $$ select $1 = 'shown' $$;
    select popular_posts_watch('entries', hard_columns => '{title}', live => $$ public.is_shown(state) and 4 / parts > 1 $$,
      live_from => 'at', columns => '{state,note}');
    ${watch}`)
  let { revision } = await changesSince(db, undefined)
  const change = async () => {
    const found = await changesSince(db, revision)
    revision = found.revision
    return found.mode
  }
  const client = await connect(t, pool)
  return { ...client, db, pool, url, change, table }
}

async function connect(t: Test, pool: { connect(): Promise<PoolClient> }) {
  const client = await pool.connect()
  t.teardown(async () => client.release(true))
  const warnings: string[] = []
  client.on('notice', ({ message, severity }) => {
    if (severity === 'WARNING') warnings.push(String(message))
  })
  return { client, warnings }
}

const insert = (id: number) => `insert into entries (id, title, at) values (${id}, 'a', '2020-01-01')`

/** Changes that break a watcher, writes that must still succeed, and the reason at the next start. */
const BREAKS: Record<string, { breaks: string; writes?: string[]; reason?: RegExp; warning?: RegExp }> = {
  'a column is renamed': {
    breaks: 'alter table entries rename column state to status',
    reason: /42703 column "state" does not exist/,
  },
  'a column of the key is renamed': {
    breaks: 'alter table entries rename column id to number',
    writes: [],
    reason: /42703/,
  },
  'a column is dropped': { breaks: 'alter table entries drop column title', writes: ["update entries set note = 'x'"] },
  'a column gets another type': { breaks: 'alter table entries alter column state type integer using 1' },
  'a function is dropped': { breaks: 'drop function is_shown' },
  'a function has a bug': {
    breaks: `create or replace function is_shown(text) returns boolean language plpgsql as $$ begin return 'secret'; end $$`,
    reason: /\(22P02\)/,
  },
  'a function fails in words of its own': {
    breaks: `create or replace function is_shown(text) returns boolean language plpgsql as $$ begin raise 'no'; end $$`,
    reason: /\(P0001\)/,
  },
  'a function asserts': {
    breaks: `create or replace function is_shown(text) returns boolean language plpgsql as $$ begin assert false; return true; end $$`,
    reason: /\(P0004\)/,
  },
  'a value does not convert': {
    breaks: '',
    writes: [
      `insert into entries (id, state, at) values (7, 'shown', 'tomorrow, or so')`,
      'delete from entries where id = 7',
    ],
    reason: /\(22007\)/,
  },
  'a value divides by zero': {
    breaks: '',
    writes: [
      `insert into entries (id, state, at, parts) values (7, 'shown', '2020-01-01', 0)`,
      'update entries set parts = 0',
    ],
    reason: /\(22012\)/,
  },
}

for (const [what, { breaks, writes, reason = /42/ }] of Object.entries(BREAKS)) {
  t.test(`when ${what}, writes of the host succeed, and the next start names the table`, async (t) => {
    const { client, warnings, db, pool, change, url } = await setUp(t)
    await client.query(`insert into entries (id, state, at) values (1, 'hidden', '2020-01-01')`)
    t.equal(await change(), undefined)
    t.same(await findProblems(db), [])
    await client.query(breaks)
    const statements = writes ?? [insert(2), `update entries set note = 'x'`, 'delete from entries where id = 2']
    for (const statement of [...statements, 'truncate entries']) {
      await client.query(statement)
      t.equal(await change(), 'hard', statement)
    }
    if (statements.length === 0) {
      await client.query(
        `insert into entries (number, state, at) values (3, 'shown', '2020-01-01'); update entries set note = 'y'`,
      )
      t.equal(await change(), 'hard')
    }
    const other = await connect(t, pool)
    for (const statement of statements) await other.client.query(statement)
    t.equal(warnings.length, 1, 'it is said once')
    t.match(
      warnings[0],
      /^popular posts: the trigger function popular_posts_watch_entries_\w+ fails \(.*call popular_posts_watch/,
    )
    t.notMatch(warnings[0], /secret|tomorrow/, 'without what is in a row')
    t.same(other.warnings, [], 'also by other connections')
    t.match(await findProblems(db), [{ subject: 'entries', message: reason }])
    t.equal((await findProblems(db)).length, 1)

    const lines: { msg: string; subject?: string }[] = []
    const logger = { level: 'warn', stream: { write: (line: string) => lines.push(JSON.parse(line)) } }
    const host = Fastify({ logger })
    t.teardown(() => host.close())
    await host.register(popularPosts, { db })
    await host.ready()
    await until(() => lines.length > 0, 'the plugin tells it')
    t.match(lines, [{ subject: 'entries', msg: /^popular posts: .*call popular_posts_watch for it again/ }])
    const service = await createService(t, url)
    const told: string[] = []
    service.log.warn = (...args: unknown[]) => void told.push(JSON.stringify(args))
    await service.ready()
    await until(() => told.length > 0, 'the service tells it')
    t.match(told[0], /"entries".*call popular_posts_watch/)

    await pool.query(`truncate entries; select popular_posts_watch('entries')`)
    t.same(await findProblems(db), [], 'watched again')
  })
}

t.test('when the failure cannot be announced, writes succeed, and each connection gets one warning', async (t) => {
  const breaks = [
    'drop table popular_posts_change',
    'drop function popular_posts_announce',
    'drop function popular_posts_failed, popular_posts_announce',
    'drop table popular_posts_watch_failure',
    'alter table popular_posts_change drop column change',
  ]
  for (const statement of breaks) {
    const { client, warnings, pool } = await setUp(t)
    await client.query(statement)
    const writes = [
      insert(1),
      `update entries set state = 'shown'`,
      `update entries set title = 'b'`,
      'delete from entries',
      'truncate entries',
    ]
    for (const write of writes) await client.query(write)
    if (!statement.includes('failure')) t.equal(warnings.length, 1, statement)
    await client.query('alter table entries rename column state to status')
    for (let count = 2; count < 5; count += 1) await client.query(insert(count))
    t.equal(warnings.length, 1, statement)
    t.match(warnings[0], /popular posts: (?:a change of public.entries cannot be announced|the trigger function)/)
    t.equal((await pool.query('select from entries')).rowCount, 3)
  }
})

t.test('a role without the right to announce cannot watch; after losing that right its writes succeed', async (t) => {
  const { pool } = await createTestDatabase(t)
  const role = `popular_posts_test_${randomBytes(6).toString('hex')}`
  const { client, warnings } = await connect(t, pool)
  await client.query(`
    create role ${role}; grant create, usage on schema public to ${role}; set role ${role};
    create table entries (id integer)`)
  const watch = `select popular_posts_watch('entries')`
  await t.rejects(client.query(watch), {
    code: '42501',
    message: `popular_posts_watch: ${role} may not announce changes: grant execute on function public.popular_posts_announce, public.popular_posts_failed to ${role}`,
  })
  await client.query(
    `reset role; grant execute on function public.popular_posts_announce, public.popular_posts_failed to ${role}; set role ${role}`,
  )
  await client.query(watch)
  await client.query('insert into entries values (1)')
  t.same(warnings, [])
  await client.query(
    `reset role; revoke execute on function public.popular_posts_announce, public.popular_posts_failed from ${role}; set role ${role}`,
  )
  for (const id of [2, 3]) await client.query(`insert into entries values (${id})`)
  t.equal(warnings.length, 1)
  await client.query(`reset role; drop owned by ${role}; drop role ${role}`)
})

t.test('a broken watcher does not fail transactions', async (t) => {
  const { client, warnings, pool, change } = await setUp(t)
  await client.query('alter table entries rename column state to status')
  const begin = async (level: string, statements: string[]) => {
    await client.query(`begin isolation level ${level}`)
    for (const statement of statements) await client.query(statement)
    await client.query('commit')
  }
  await begin('serializable', [insert(1), 'savepoint here', insert(2), 'rollback to savepoint here', insert(3)])
  await begin('repeatable read', [
    `update entries set note = 'x'`,
    'savepoint here',
    'release savepoint here',
    'delete from entries where id = 3',
  ])
  t.equal(await change(), 'hard')
  await client.query(`copy entries (id, title) from program 'printf "10\\tten\\n11\\televen\\n"'`)
  await client.query(`insert into entries (id) values (10), (12) on conflict (id) do update set note = 'again'`)
  await client.query(
    `do $$ begin for i in 100 .. 300 loop insert into entries (id) values (i); begin update entries set note = 'x' where id = i; raise 'no'; exception when others then null; end; end loop; end $$`,
  )
  t.equal(await change(), 'hard')
  const { rows } = await pool.query<{ version: number }>(`select current_setting('server_version_num')::int as version`)
  if (Number(rows[0]?.version) >= 150_000)
    await client.query(`merge into entries using (values (10), (13)) as given (id) on entries.id = given.id
      when matched then update set note = 'merged' when not matched then insert (id) values (given.id)`)
  await client.query('alter table entries rename to articles')
  await client.query('delete from articles')
  t.equal(await change(), 'hard')
  t.equal(warnings.length, 1)
})

t.test('a renamed table stays watched, and its old name can be used again', async (t) => {
  const { client, warnings, change, db } = await setUp(t)
  await client.query('alter table entries rename to articles; create table entries (id integer)')
  await client.query(`select popular_posts_watch('entries', hard_columns => '{}')`)
  await client.query(`insert into articles (id, state, at) values (1, 'shown', '2020-01-01')`)
  t.equal(await change(), 'hard')
  await client.query('update articles set parts = 2')
  t.equal(await change(), undefined)
  await client.query('insert into entries values (1)')
  t.equal(await change(), 'hard')
  await client.query(
    `create schema äöü; create table äöü."${'ÄÖ$ü'.repeat(15)}" (id integer); select popular_posts_watch(oid) from pg_class where relname like 'ÄÖ%'`,
  )
  t.same([warnings, await findProblems(db)], [[], []])
})

t.test('a statement timeout of the host still applies, and serializable writers do not conflict', async (t) => {
  const { client, pool, warnings } = await setUp(t, {
    watch: `select popular_posts_unwatch('entries');
      create function slow(text) returns boolean language plpgsql as $$ begin if $1 = 'slow' then perform pg_sleep(60); end if; return true; end $$;
      select popular_posts_watch('entries', hard_columns => '{}', live => 'public.slow(state)')`,
  })
  await client.query(`set statement_timeout = '300ms'`)
  await t.rejects(client.query(`insert into entries (id, state) values (1, 'slow')`), { code: '57014' })
  await client.query('reset statement_timeout')
  t.equal((await pool.query('select from entries')).rowCount, 0)
  const clients = await Promise.all([1, 2, 3, 4].map(() => connect(t, pool)))
  for (const { client } of clients) await client.query('begin isolation level serializable')
  for (const [index, { client }] of clients.entries()) await client.query(`insert into entries (id) values (${index})`)
  for (const { client } of clients) await client.query('commit')
  t.equal((await pool.query('select from entries')).rowCount, 4)
  t.same(warnings, [])
})
