import Fastify from 'fastify'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import t, { type Test } from 'tap'
import { freePort } from '../../db/embedded/server.ts'
import { migrateToLatest } from '../../db/migrate.ts'
import popularPosts, { type PopularPostsOptions } from '../../index.ts'
import { createService } from '../helpers/blog.ts'
import { startLoggedApp } from '../helpers/logged-app.ts'
import { startPgBouncer } from '../helpers/pgbouncer.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { runProgram } from '../helpers/program.ts'
import { redisUrl } from '../helpers/redis.ts'
import { command, startService } from '../helpers/service.ts'
import { until } from '../helpers/services/until.ts'
import { startProxy } from '../helpers/tcp-proxy.ts'

const AGENT = 'Mozilla/5.0 (X11; Linux) Firefox/129.0'
const READER = { 'user-agent': AGENT }

/** The tables of a host, each of a name of this package, with other columns. They are in its search_path. */
const TABLES = `
  create table posts (
    post_no integer generated always as identity primary key, slug varchar(80) unique, headline text not null,
    body text not null, state text not null default 'draft', at timestamptz not null default now(), cover jsonb, writer integer
  );
  create table authors (name text, slug text, author_no integer);
  create table categories (label text primary key);
  create table tags (label text primary key);
  create table post_tags (post_no integer, label text);
  create table post_categories (post_no integer, label text);
  create table comments (post_no integer, body text);
  create table post_aliases (alias text);
  create table site_facts (fact text);
  create table post_views_log_chunk (mine text);
  create table popular_posts_site (mine text);
  create table popular_posts_change (mine text);
  create function popular_posts_announce(change text) returns void language plpgsql as $$ begin raise exception 'not mine'; end $$;
  insert into authors values ('Ann', 'ann', 1);
  insert into tags values ('Red');
  insert into categories values ('News');
  insert into posts (slug, headline, body, state, at, cover, writer) values
    ('one', 'One', 'Text', 'live', '2020-01-01', '{"width": 640}', 1),
    ('two', 'Two', 'Text', 'live', '2020-01-02', null, null),
    ('bad', 'Bad', 'Text', 'live', '2020-01-03', '{"width": "wide"}', null),
    ('draft', 'Draft', 'Text', 'draft', '2020-01-04', null, null);
  insert into post_tags values (1, 'Red');
  insert into post_categories values (1, 'News');
  insert into comments values (1, 'Hm')`

/** The views of the schema over these tables, and the trigger. `quoted` is the schema as an identifier. */
const viewsIn = (quoted: string) => `
  create view ${quoted}.posts as select post_no as id, slug::text, headline as title, '/' || slug as url, '' as excerpt,
    writer as author_id, case when state = 'live' then at end as published_at, false as is_private,
    case when cover is not null then '/cover.png' end as image_url, (cover ->> 'width')::integer as image_width,
    null::integer as image_height, '' as image_alt, 1 as reading_minutes from public.posts;
  create view ${quoted}.authors as select author_no as id, slug, name from public.authors;
  create view ${quoted}.categories as select label as id, lower(label) as slug, label as name from public.categories;
  create view ${quoted}.tags as select label as id, lower(label) as slug, label as name from public.tags;
  create view ${quoted}.post_categories as select post_no as post_id, label as category_id from public.post_categories;
  create view ${quoted}.post_tags as select post_no as post_id, label as tag_id from public.post_tags;
  create view ${quoted}.comments as select post_no as post_id, true as is_approved from public.comments;
  create view ${quoted}.post_aliases as select 'uno'::text as slug, 1 as post_id;
  select ${quoted}.popular_posts_watch('public.posts', hard_columns => '{slug}', live => $$state = 'live'$$)`

const quote = (schema: string) => `"${schema.replaceAll('"', '""')}"`

/** A host with these tables, adopted by the command into a schema. */
async function createHost(t: Test, schema: string, flags: string[]) {
  const { pool, url } = await createTestDatabase(t, { migrate: false })
  await pool.query(TABLES)
  const migrate = command(t, ['migrate', '--adopt', ...flags], { DATABASE_URL: url })
  t.equal(await migrate.ended(), 0, migrate.stderr())
  t.equal(migrate.stdout(), `The tables of this package were created, in the schema ${schema}.\n`)
  await pool.query(viewsIn(quote(schema)))
  return { pool, url }
}

let posts = 0
/** What an app on the host's tables does, with each part of this package that uses the database. */
async function useApp(t: Test, pool: Pool, options: PopularPostsOptions) {
  const warnings: { msg: string; subject?: string }[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line) => void warnings.push(JSON.parse(line)) } } })
  await app.register(popularPosts, Object.assign({ viewFlushSeconds: 0 }, options))
  const list = async (query: string) =>
    (await app.inject(`/posts/popular?${query}`)).json<{ slug: string }[]>().map(({ slug }) => slug)
  t.match((await app.inject('/posts/popular?days=0&category=news&sort=trending')).json(), [
    { slug: 'one', author: { name: 'Ann' }, tags: ['Red'], categories: [{ slug: 'news' }], commentCount: 1 },
  ])
  for (const query of ['tag=red', 'author=ann', 'days=7&category=news']) t.same(await list(query), ['one'], query)
  t.ok((await list('excludeCategory=news&days=1&limit=50')).includes('two'))
  t.match((await app.inject('/categories?days=7')).json(), [{ slug: 'news', postCount: 1 }])
  for (const slug of ['one', 'uno'])
    t.equal(
      await app.postViews.record({ slug, request: { method: 'POST', ip: `203.0.113.${posts + 1}`, headers: READER } }),
      slug === 'one' ? 'counted' : 'repeat',
    )
  t.match(await app.postViews.flush(), { views: 1, batches: 1, waiting: 0 })
  t.match(await app.postViews.prune(), { hasMore: false })
  await app.popularPosts.invalidate('hard')
  posts += 1
  // What the host has always written.
  await pool.query("insert into posts (slug, headline, body, state) values ($1, 'New', 'Text', 'live')", [
    `new-${posts}`,
  ])
  await until(
    async () => (await list('days=0&limit=50')).includes(`new-${posts}`),
    'the new post is in the list',
    20_000,
  )
  t.match(warnings, [{ msg: /a row of a view cannot be read/, subject: '3' }])
  t.equal(warnings.length, 1, JSON.stringify(warnings))
  await app.close()
}

for (const [schema, flags, given] of [
  ['popular_posts', [], undefined],
  ['My "Own" Schema %s', ['--schema', 'My "Own" Schema %s'], 'My "Own" Schema %s'],
] as const) {
  t.test(`a host whose tables have the names of this package works: the schema ${schema}`, async (t) => {
    const { pool, url } = await createHost(t, schema, [...flags])
    const pooler = await startPgBouncer(t, url, { mode: 'transaction', settings: { default_pool_size: 3 } })
    const hostPool = new Pool({ connectionString: pooler.url, max: 10 })
    hostPool.on('error', () => {})
    const db = new Kysely<never>({ dialect: new PostgresDialect({ pool: hostPool }) })
    t.teardown(() => db.destroy())
    const direct = new Kysely<never>({ dialect: new PostgresDialect({ pool }) })
    for (const [name, source] of [
      ['databaseUrl', { databaseUrl: url }],
      ['db', { db: direct }],
      ['databaseUrl of PgBouncer', { databaseUrl: pooler.url }],
      ['db on PgBouncer', { db }],
      ['a process that is suspended', { databaseUrl: url, backgroundWork: false }],
      ['db with withSchema, where the option says where', { db: direct.withSchema('public'), schema }],
    ] as const)
      await t.test(name, async (t) => {
        const options = Object.assign({ schema: given }, source)
        if (!('backgroundWork' in source)) return useApp(t, pool, options)
        const app = Fastify()
        await app.register(popularPosts, Object.assign({ viewFlushSeconds: 0 }, options))
        t.match((await app.inject('/posts/popular?days=0&tag=red')).json(), [{ slug: 'one' }])
        t.equal(
          await app.postViews.record({ slug: 'two', request: { method: 'POST', ip: '203.0.113.99', headers: READER } }),
          'counted',
        )
        t.match(await app.postViews.flush(), { views: 1 })
        return app.close()
      })

    await t.test('the service and the command line', async (t) => {
      const prefix = `schema-${process.pid}-${posts}`
      const variables: NodeJS.ProcessEnv = { DATABASE_URL: url, DATABASE_SCHEMA: given }
      const run = async (args: string[], more: NodeJS.ProcessEnv = {}) => {
        const program = command(t, args, Object.assign({}, variables, more))
        t.equal(await program.ended(), 0, program.stderr())
        return program.stdout()
      }
      t.match(await run(['time-zone'], { SITE_TIME_ZONE: 'Europe/Vienna' }), 'is Europe/Vienna')
      await run(['time-zone'], { SITE_TIME_ZONE: 'UTC' })
      const { address } = await startService(t, variables)
      t.match(await (await fetch(`${address}/`)).text(), 'One')
      t.match(await (await fetch(`${address}/posts/popular?days=0&tag=red`)).json(), [{ slug: 'one' }])
      t.match(await run(['invalidate']), /All lists are outdated \(hard\)/)
      const redis = { REDIS_URL: await redisUrl(), CACHE_PREFIX: prefix }
      const totalViews = async () => {
        const { rows } = await pool.query<{ views: string }>(
          `select sum(views) as views from ${quote(schema)}.post_views_total join posts on post_no = post_id where slug = 'two'`,
        )
        return Number(rows[0]?.views)
      }
      const before = await totalViews()
      const buffer = Fastify()
      await buffer.register(popularPosts, {
        databaseUrl: url,
        schema: given,
        redisUrl: redis.REDIS_URL,
        redisPrefix: prefix,
        viewFlushSeconds: 0,
      })
      const view = { slug: 'two', request: { method: 'POST', ip: '203.0.113.98', headers: READER } }
      t.equal(await buffer.postViews.record(view), 'counted')
      t.match(await run(['flush'], redis), 'Counted 1 view in 1 batch.')
      await buffer.close()
      t.equal(await totalViews(), before + 1)
      const log = `192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /blog/two HTTP/1.1" 200 1 "-" "${AGENT}"\n`
      const args = ['import-log', '--post', '/blog/', '--schema', schema]
      const imported = runProgram(t, 'bin/popular-posts.ts', { args, env: { DATABASE_URL: url }, input: log })
      t.equal(await imported.ended(), 0, imported.stderr())
      t.match(imported.stdout(), /views counted +1\n/)
      t.equal(await totalViews(), before + 2)
      t.match(await run(['migrate'], { DATABASE_URL: pooler.url }), `in the schema ${schema}`)
    })
    const { rows } = await pool.query<{ mine: string | null }>(`
      select (select count(*) from popular_posts_site) + (select count(*) from popular_posts_change)
        + (select count(*) from post_views_log_chunk) + (select count(*) from site_facts) as mine`)
    t.equal(Number(rows[0]?.mine), 0, 'nothing of this package is in the tables of the host')
  })
}

t.test('a name that no schema can have, or that the database does not have, is refused', async (t) => {
  const { url } = await createTestDatabase(t)
  const register = async (options: PopularPostsOptions) => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(popularPosts, options)
  }
  for (const schema of ['', 'pg_blog', 'information_schema', 'x\0', 'ä'.repeat(32), 3 as unknown as string]) {
    const message = /schema: expected the name of a schema, .* up to 63 bytes/
    await t.rejects(
      register({ databaseUrl: url, schema }),
      { code: 'PP_INVALID_OPTIONS', message },
      JSON.stringify(schema),
    )
  }
  await t.resolves(register({ databaseUrl: url, schema: 'public' }))
  await t.rejects(register({ databaseUrl: url, schema: '"public"' }), {
    code: 'PP_NO_SUCH_SCHEMA',
    message: /got ""public"", which does not exist: .* "npx popular-posts migrate --schema '"public"'"/,
  })
  const gone = 'postgres://127.0.0.1:9/nobody'
  await t.resolves(register({ databaseUrl: gone, schema: 'any' }), 'a database that is down is no reason to refuse')
  const run = async (args: string[], env: NodeJS.ProcessEnv = {}) => {
    const program = command(t, args, Object.assign({ DATABASE_URL: url }, env))
    t.equal(await program.ended(), 1)
    return program.stderr()
  }
  t.match(await run(['time-zone', '--schema', 'nope']), /lacks tables of this version in the schema nope \(.*migrate/)
  t.match(await run(['time-zone', '--schema', 'pg_nope']), /DATABASE_SCHEMA: expected the name of a schema/)
  t.match(
    await run(['time-zone'], { DATABASE_SCHEMA: 'x'.repeat(64) }),
    /DATABASE_SCHEMA: expected the name of a schema/,
  )
})

t.test('the flag of the command line wins over the variable', async (t) => {
  const { pool, url } = await createTestDatabase(t, { migrate: false })
  const migrate = command(t, ['migrate', '--schema', 'b'], { DATABASE_URL: url, DATABASE_SCHEMA: 'a' })
  t.equal(await migrate.ended(), 0, migrate.stderr())
  t.equal(migrate.stdout(), 'The tables were created, in the schema b.\n')
  const { rows } = await pool.query(
    "select nspname from pg_class join pg_namespace n on n.oid = relnamespace where relname = 'posts'",
  )
  t.same(rows, [{ nspname: 'b' }])
  const demo = command(t, ['demo', '--schema', 'b'], { DATABASE_URL: url })
  t.equal(await demo.ended(), 0, demo.stderr())
  const app = await createService(t, url, { DATABASE_SCHEMA: 'b' })
  t.equal((await app.inject('/posts/popular?days=0')).json<unknown[]>().length, 10)
})

t.test('where two schemas have the tables, that of the search_path is used, and the log says so', async (t) => {
  const { pool, db, url } = await createTestDatabase(t)
  await migrateToLatest(db, { adopt: { postId: 'bigint' }, schema: 'popular_posts' })
  const unset = await startLoggedApp(t, { databaseUrl: url })
  t.match(
    unset.lines.filter(({ level }) => level >= 40),
    [{ schemas: ['public', 'popular_posts'], msg: /two schemas have the tables .*: set the option schema/ }],
  )
  await pool.query("insert into posts (slug, title, url, published_at) values ('a', 'A', '/a', now())")
  t.match((await unset.app.inject('/posts/popular?days=0')).json(), [{ slug: 'a' }])
  const set = await startLoggedApp(t, { databaseUrl: url, schema: 'public' })
  t.same(set.warnings(), [])
})

t.test('a database that is down at the start: the schema is found when it is back', async (t) => {
  const { pool, url } = await createHost(t, 'popular_posts', [])
  const server = new URL(url)
  const port = await freePort()
  const away = new URL(url)
  away.port = String(port)
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(popularPosts, { databaseUrl: away.href, viewFlushSeconds: 0 })
  t.equal((await app.inject('/posts/popular?days=0')).statusCode, 503)
  const proxy = await startProxy(t, Number(server.port), port)
  await until(async () => (await app.inject('/posts/popular?days=0')).statusCode === 200, 'the list loads', 20_000)
  t.equal(
    await app.postViews.record({ slug: 'one', request: { method: 'POST', ip: '203.0.113.7', headers: READER } }),
    'counted',
  )
  t.match(await app.postViews.flush(), { views: 1 })
  t.equal((await pool.query('select from popular_posts.post_views_total')).rowCount, 1)
  await app.close()
  await proxy.stop()
})

t.test('two adopted schemas watch one table, and each hears only of its own changes', async (t) => {
  const { pool, url } = await createHost(t, 'popular_posts', [])
  const second = command(t, ['migrate', '--adopt', '--schema', 'second'], { DATABASE_URL: url })
  t.equal(await second.ended(), 0, second.stderr())
  await pool.query(viewsIn('second'))
  const first = await startLoggedApp(t, { databaseUrl: url, schema: 'popular_posts' })
  const other = await startLoggedApp(t, { databaseUrl: url, schema: 'second' })
  const shows = async ({ app }: typeof first, slug: string) =>
    until(async () => (await app.inject('/posts/popular?days=0')).body.includes(`"${slug}"`), `${slug} shows`)
  await pool.query("insert into posts (slug, headline, body, state) values ('both', 'Both', 'Text', 'live')")
  await Promise.all([shows(first, 'both'), shows(other, 'both')])
  for (const schema of ['popular_posts', 'second'])
    t.equal((await pool.query(`select from ${schema}.popular_posts_change where change = 'hard'`)).rowCount, 1, schema)

  const invalidated = ({ of }: typeof first) => of('invalidated').length
  const before = invalidated(other)
  await pool.query("select second.popular_posts_unwatch('posts')")
  await pool.query("insert into posts (slug, headline, body, state) values ('one-of-them', 'One', 'Text', 'live')")
  await shows(first, 'one-of-them')
  t.equal(invalidated(other), before, 'the other one still watches, and that is not its change')
  await pool.query("select popular_posts.popular_posts_unwatch('posts')")
  t.equal(
    (await pool.query("select from pg_trigger where tgname like 'popular%' and tgrelid = 'posts'::regclass")).rowCount,
    0,
  )
})

t.test('a notification of another schema causes no query', async (t) => {
  const database = await createTestDatabase(t)
  const { app } = await startLoggedApp(t, { databaseUrl: database.url })
  await app.inject('/posts/popular')
  const looks = () => database.countStatements(/popular_posts_change/)
  await until(async () => (await looks()) > 0, 'it listens')
  await until(async () => {
    const before = await looks()
    await new Promise((resolve) => setTimeout(resolve, 300))
    return (await looks()) === before
  }, 'it is at rest')
  const before = await looks()
  for (const name of ['hard 1 1', 'soft 2 2', 'later'])
    await database.pool.query("select pg_notify('popular_posts', $1)", [`${name} another schema`])
  // Its own changes are heard, so the others were, too.
  await database.pool.query("select popular_posts_announce('hard')")
  await until(async () => (await looks()) > before, 'it hears of its own change')
  t.equal(await looks(), before + 1, 'one query, for its own change')
})
