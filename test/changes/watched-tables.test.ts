import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { changesSince } from '../../changes/revision.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

/** An empty database with the functions; `announced` returns the announcements of a statement. */
async function setUp(t: Test) {
  const { db, pool } = await createTestDatabase(t)
  let { revision } = await changesSince(db, undefined)
  async function changeBy(...statements: string[]): Promise<string | undefined> {
    const client = await pool.connect()
    try {
      for (const statement of statements) await client.query(statement)
    } finally {
      // Closes the connection, because the statements may have changed its settings.
      client.release(true)
    }
    const found = await changesSince(db, revision)
    revision = found.revision
    return found.mode
  }
  const triggers = async (table: string) =>
    (
      await pool.query(
        `select tgname from pg_trigger where tgrelid = '${table}'::regclass and not tgisinternal order by 1`,
      )
    ).rows.map((row) => row.tgname)
  return { pool, changeBy, triggers }
}

t.test('a table of any name and shape can be watched with its own conditions', async (t) => {
  const { pool, changeBy } = await setUp(t)
  await pool.query(`
    create schema "Odd ""%s""";
    set search_path = "Odd ""%s""", public;
    create type mood as enum ('shown', 'hidden');
    create function is_shown(mood) returns boolean language sql immutable as $$ select $1 = 'shown' $$;
    create table "The Posts" ("Slug %" text, before json, after point, since xml, "mood" mood, popular_posts text);
    select popular_posts_watch('"The Posts"', hard_columns => '{"Slug %"}', live => 'is_shown(mood) -- or not');
    reset search_path`)
  const table = '"Odd ""%s"""."The Posts"'
  const insert = (mood: string) => `insert into ${table} values ('a', '{"a": 1}', '(1,2)', '<a/>', '${mood}', 'x')`
  t.equal(await changeBy(insert('hidden')), undefined)
  t.equal(await changeBy(`set search_path = ''`, insert('shown')), 'hard', 'whatever the search_path of the writer')
  t.equal(await changeBy(`update ${table} set before = '{"a": 2}' where mood = 'shown'`), 'soft')
  t.equal(await changeBy(`update ${table} set since = since, after = after`), undefined)
  t.equal(await changeBy(`update ${table} set "Slug %" = 'b' where mood = 'shown'`), 'hard')
  t.equal(await changeBy(`update ${table} set mood = 'hidden'`), 'hard')
  t.equal(await changeBy(`truncate ${table}`), 'hard')
})

t.test('a partitioned table is watched as one table', async (t) => {
  const { changeBy } = await setUp(t)
  await changeBy(`
    create table entries (id bigint, year integer, title text, primary key (id, year)) partition by list (year);
    create table entries_2025 partition of entries for values in (2025);
    create table entries_2026 partition of entries for values in (2026);
    select popular_posts_watch('entries', hard_columns => '{}')`)
  t.equal(await changeBy(`insert into entries values (1, 2025, 'a'), (2, 2026, 'b')`), 'hard')
  t.equal(await changeBy(`update entries set title = 'c'`), 'soft')
  t.equal(await changeBy('update entries set year = 2026 where id = 1'), 'hard', 'from one partition to the other')
  t.equal(await changeBy('delete from entries where id = 1'), 'hard')
  t.equal(await changeBy('truncate entries'), 'hard')
})

t.test('writers need and get only rights on their own table', async (t) => {
  const { pool, changeBy } = await setUp(t)
  const role = `popular_posts_test_${randomBytes(6).toString('hex')}`
  await pool.query(`
    create role ${role};
    revoke all on schema public from public;
    create schema blog;
    grant usage on schema blog to ${role};
    create table blog.entries (id integer, title text);
    grant select, insert, update on blog.entries to ${role};
    select popular_posts_watch('blog.entries')`)
  const as = `set role ${role}`
  t.equal(await changeBy(as, `insert into blog.entries values (1, 'a')`), 'soft')
  t.equal(await changeBy(as, `update blog.entries set title = 'b'`), 'soft')
  await pool.query(`grant usage, create on schema public to ${role}`)
  const refused = [
    `select popular_posts_announce('hard')`,
    `insert into popular_posts_change (change) values ('hard')`,
    `create table mine (id integer); create trigger evil after insert on mine for each statement
      execute function ${(await pool.query("select tgfoid::regproc as name from pg_trigger where tgrelid = 'blog.entries'::regclass")).rows[0].name}()`,
  ]
  for (const statement of refused) await t.rejects(changeBy(as, statement), { code: '42501' }, statement)
  await pool.query(`drop owned by ${role}; drop role ${role}`)
})

t.test('watching again replaces the triggers; unwatching removes them', async (t) => {
  const { pool, changeBy, triggers } = await setUp(t)
  const functions = async () =>
    (await pool.query(`select proname from pg_proc where proname like 'popular\\_posts\\_watch\\_entries%'`)).rowCount
  await pool.query('create table entries (id integer primary key, title text, body text)')
  for (const columns of ['{title}', '{body}'])
    await pool.query('select popular_posts_watch($1, columns => $2)', ['entries', columns])
  const all = ['popular_posts_delete', 'popular_posts_insert', 'popular_posts_truncate', 'popular_posts_update']
  t.same(
    (await triggers('entries')).map((name) => name.replace(/_[0-9a-f]{8}$/, '')),
    all,
  )
  t.equal(await functions(), 1)
  t.equal(await changeBy(`insert into entries values (1, 'a', 'a')`), 'soft')
  t.equal(await changeBy(`update entries set title = 'b'`), undefined)
  t.equal(await changeBy(`update entries set body = 'b'`), 'soft')
  await pool.query(`select popular_posts_unwatch('entries'), popular_posts_unwatch('entries')`)
  t.same(await triggers('entries'), [])
  t.equal(await functions(), 0)
  t.equal(await changeBy('delete from entries'), undefined)
})

t.test('watching an unsuitable table throws, and changes nothing', async (t) => {
  const { pool, triggers } = await setUp(t)
  await pool.query('create table entries (id integer, title text); create view shown as select * from entries')
  await pool.query(`select popular_posts_watch('entries')`)
  const before = await triggers('entries')
  const wrong: [string, RegExp][] = [
    [`'shown'`, /expected a table, got public.shown \(of a view, watch the tables it is made of\)/],
    [`'entries', hard_columns => '{id,slug}'`, /expected columns of public.entries, got slug/],
    [`'entries', columns => '{body}'`, /expected columns of public.entries, got body/],
    [`'entries', live => 'is_live'`, /column "is_live" does not exist/],
    [`'entries', live => 'title'`, /argument of AND must be type boolean/],
    [`'entries', live_from => 'id'`, /cannot cast type integer to timestamp/],
    [`'nowhere'`, /relation "nowhere" does not exist/],
  ]
  for (const [args, message] of wrong) await t.rejects(pool.query(`select popular_posts_watch(${args})`), { message })
  t.same(await triggers('entries'), before)
  await t.rejects(pool.query(`select popular_posts_announce('strong')`), { code: '23514' })
})
