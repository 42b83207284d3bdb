import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { bucketStart, countBatch } from '../../../db/count-views.ts'
import { inOwnSchema } from '../../../db/own-schema.ts'
import { findPopularPosts } from '../../../db/ranking.ts'
import { createTestDatabase } from '../../helpers/postgres.ts'
import { runProgram } from '../../helpers/program.ts'
import { temporaryDirectory } from '../../helpers/temporary-directory.ts'
import { runAdopt } from './run-adopt.ts'

const tablesOf = (name: string) => readFileSync(new URL(`../../fixtures/adopt/${name}.sql`, import.meta.url), 'utf8')

async function createBlog(t: Test, tables: string) {
  const { db, pool, url } = await createTestDatabase(t, { migrate: false })
  await pool.query(tables)
  const own = inOwnSchema(db, () => 'popular_posts')
  return {
    pool,
    url,
    own,
    adopt: (args: string[], answers?: string) => runAdopt(t, url, args, answers),
    list: () => findPopularPosts(own, { sort: 'views', days: 0, limit: 10, timeZone: 'UTC' }),
  }
}

const POST = 'create table post (id bigint primary key, slug text not null, title text, published_at timestamptz)'

t.test('without --apply nothing is changed, and the printed SQL is what --apply runs', async (t) => {
  const { adopt, pool, list } = await createBlog(t, tablesOf('ghost'))
  const { stdout, code } = await adopt(['--url', '/{slug}/', '--grant', 'Blog Service'])
  t.equal(code, undefined)
  const { rows } = await pool.query("select from pg_namespace where nspname = 'popular_posts'")
  t.same(rows, [])
  t.match(stdout, /^-- .+\n/)
  t.match(stdout, /grant select on all tables in schema popular_posts to "Blog Service";\n/)
  for (const line of stdout.split('\n')) t.notMatch(line, /\s$/, 'no line ends in a space')
  const folder = await temporaryDirectory(t)
  const file = join(folder, 'adopt.sql')
  await writeFile(file, stdout.replace(/-- The rights[\s\S]*/, ''))
  t.match(await adopt(['--apply', file]), { code: undefined, stdout: /The blog is connected/ })
  t.match(await list(), [{ slug: 'one', url: '/one/' }])
})

t.test('where the tables do not tell, the command asks on a terminal', async (t) => {
  const { adopt, list } = await createBlog(
    t,
    `create table story (id integer primary key, slug text not null, headline text not null, state integer not null, created_at timestamptz not null);
     create table article (id integer primary key, slug text not null, title text not null, status text not null, created_at timestamptz not null);
     insert into story values (1, 'one', 'One', 7, '2020-01-01')`,
  )
  const failed = adopt(['--apply'])
  await t.rejects(failed, {
    name: 'StartupError',
    message:
      /^Cannot tell which table has the posts: public\.\w+, public\.\w+\. Set --posts: the table of the posts\.$/,
  })
  const answered = await adopt(['--apply'], 'public.story\nstate = 7\n')
  t.match(answered.stderr, /Cannot tell which table has the posts:\n {2}1\. public\.\w+\n {2}2\. /)
  t.match(answered.stderr, /Cannot tell which values of state readers see:\n {2}1\. state = 7\n/)
  t.match(answered.stdout, /The blog is connected/)
  t.match(await list(), [{ slug: 'one', title: 'One' }])
  t.match(
    await adopt(['--posts', 'story'], '\n'),
    { stdout: /case when \(post\.state = 7\) then/ },
    'the first is taken',
  )
  t.match(await adopt(['--posts', 'story'], '2\n'), { stdout: /post\.created_at as published_at/ }, 'always')
  await t.rejects(adopt(['--posts', 'story'], ''), { message: /^No answer came\. Set --published\.$/ })
})

t.test('JSON in columns of any name is read', async (t) => {
  const { adopt } = await createBlog(
    t,
    `create table post (id integer primary key, slug text not null, title json not null, published_at timestamptz not null);
     create table setting (key jsonb primary key, value json);
     insert into post values (1, 'one', '{"en": "One"}', '2020-01-01'), (2, 'two', '{"de": "Zwei", "en": "Two", "fr": null}', '2020-01-01'), (3, 'three', '"Three"', '2020-01-01');
     insert into setting values ('{"en": 1}', '{"en": "\\u0000"}'), ('[]', '1')`,
  )
  await t.rejects(adopt([]), { message: /^The titles of post have several languages.*: en, de\. Set --language/ })
})

t.test('an error names the candidates and the flag', async (t) => {
  const { adopt } = await createBlog(
    t,
    `create table post (id integer, part integer, headline text not null, happened text, ${Array.from({ length: 15 }, (_, index) => `extra_${index} text`).join(', ')}, primary key (id, part));
     create table bare (id integer primary key, x point)`,
  )
  for (const [args, message] of [
    [['--posts', 'nothing'], /^There is no table nothing that the user can read: public\.post\. Set --posts/],
    [
      ['--posts', 'post'],
      /^post has no key of one column .*: concat_ws\(':', id, part\), id, part, .* and \d+ more\. Set --id/,
    ],
    [['--posts', 'post', '--id', 'nr'], /^There is no column nr in post: id, part, headline, happened, .*\. Set --id/],
    [
      ['--posts', 'post', '--id', 'id'],
      /^Found no slug in post, .*: id, part, trim\(.*headline,.*\) \|\| '-' \|\| id \|\| '-' \|\| part, headline, happened, .*\. Set --slug/,
    ],
    [['--posts', 'post', '--id', 'id', '--slug', 'nr'], /^There is no column nr in post/],
    [['--posts', 'post', '--id', 'id', '--slug', 'id'], /^Found no time of publication: id, part\. Set --date/],
    [['--posts', 'post', '--id', 'id', '--slug', 'id', '--date', 'nr'], /^There is no column nr in post.*Set --date/],
    [['--posts', 'post', '--id', 'id', '--slug', 'id', '--date', 'now()', '--language', 'nr'], /Set --language/],
    [['--posts', 'post', '--id', 'id', '--slug', 'id', '--title', 'nr'], /Set --title/],
    [
      ['--posts', 'post', '--id', 'id', '--slug', 'id', '--date', 'now()', '--url', '/{nr}/{slug}'],
      /^There is no column nr in post.*Set --url/,
    ],
    [['--posts', 'bare', '--slug', 'id'], /^Found no title in bare: none\. Set --title/],
  ] as const)
    await t.rejects(adopt([...args]), { name: 'StartupError', message }, args.join(' '))
  const given = [
    '--posts',
    'bare',
    '--id',
    'id % 10',
    '--slug',
    "'p' || id",
    '--title',
    'id',
    '--date',
    "'2020-01-01'::timestamptz",
  ]
  t.match(await adopt([...given, '--language', "'en'"]), { stdout: /\(post\.id % 10\)::text as id/ })
})

t.test('arguments that contradict each other are refused', async (t) => {
  const { adopt } = await createBlog(t, POST)
  t.match(await adopt(['--drop', '--check']), { code: 1, stderr: /expected one of --apply, --drop and --check/ })
  for (const args of [['--drop'], ['--check'], ['--apply', 'adopt.sql']])
    t.match(await adopt([...args, '--posts', 'post']), { code: 1, stderr: /have no effect here/ })
  await t.rejects(adopt(['--apply', '/nowhere/adopt.sql']), { message: /^Cannot open \/nowhere\/adopt\.sql: ENOENT/ })
})

t.test('SQL that fails changes nothing, and the error has its line', async (t) => {
  const { adopt, pool } = await createBlog(t, POST)
  const folder = await temporaryDirectory(t)
  const file = join(folder, 'adopt.sql')
  const apply = async (sql: string) => {
    await writeFile(file, sql)
    return adopt(['--apply', file])
  }
  for (const [sql, message] of [
    [
      'create view popular_posts.posts as\nselect nothing from public.post;',
      /does not accept the SQL \(42703, line 2\): column "nothing" does not exist/,
    ],
    ["do $$ begin raise exception 'no'; end $$", /does not accept the SQL \(P0001\): no\./],
    ['select 1', /^Nothing was changed: the SQL creates no view popular_posts\.posts/],
    ['create view popular_posts.posts as select id, slug, title from public.post', /do not fit .*published_at/],
    [
      '-- migrate --adopt --post-id uuid\ncreate view popular_posts.posts as select id, slug, title, published_at from public.post',
      /ids must be of one type/,
    ],
  ] as const) {
    await t.rejects(apply(sql), { name: 'StartupError', message }, sql)
    t.same((await pool.query("select from pg_namespace where nspname = 'popular_posts'")).rows, [])
  }
  await t.rejects(adopt(['--drop']), { message: /has no SQL of "popular-posts adopt"/ })
})

t.test('--drop lets a migration change a type, and --apply puts the views back with all counts', async (t) => {
  const { adopt, pool, own, list } = await createBlog(t, tablesOf('django'))
  await adopt(['--published', "status = 'PB'", '--apply'])
  const buckets = [{ postId: '1', bucketStartMs: bucketStart(Date.now()), views: 5 }]
  await countBatch(own, { id: 'first', timeZone: 'UTC', nowMs: Date.now(), buckets })
  t.match(await list(), [{ slug: 'one', views: 5 }])
  const longer = 'alter table blog_post alter column title type varchar(200)'
  await t.rejects(pool.query(longer), { message: /used by a view/ })

  t.match(await adopt(['--drop']), { stdout: /were dropped/ })
  await pool.query(longer)
  await pool.query("update blog_post set title = repeat('x', 150) where id = 1")
  const triggers = () =>
    pool.query("select from pg_trigger where tgname like 'popular_posts%' and tgrelid = 'blog_post'::regclass")
  t.equal((await triggers()).rowCount, 0)
  t.match(await adopt(['--drop']), { stdout: /were dropped/ }, 'again')
  t.match(await adopt(['--apply']), { stdout: /The blog is connected/ })
  t.equal((await triggers()).rowCount, 4)
  t.match(await list(), [{ slug: 'one', title: 'x'.repeat(150), views: 5 }])
  t.match(await adopt(['--apply']), { stdout: /The blog is connected/ }, 'again, over its own views')

  await adopt(['--drop'])
  await pool.query('alter table blog_post rename column title to headline')
  await t.rejects(adopt(['--apply']), { message: /column post\.title does not exist/ })
  t.match(await adopt(['--published', "status = 'PB'", '--apply']), { stdout: /The blog is connected/ })
  t.match(await list(), [{ title: 'x'.repeat(150), views: 5 }])
})

t.test('--check says what does not fit', async (t) => {
  const { adopt, pool, url } = await createBlog(t, POST)
  await pool.query(`insert into post values (1, 'one', 'One', '2020-01-01')`)
  await adopt(['--apply'])
  t.match(await adopt(['--check']), { code: undefined, stdout: 'The views fit.\n' })
  await pool.query(
    `insert into post values (2, 'one', 'One', '2020-01-01'), (3, 'three', null, '2020-01-01'), (4, '', 'Four', '2020-01-01'), (5, 'five', 'Five', '-infinity')`,
  )
  const { code, stdout, stderr } = await adopt(['--check'])
  t.equal(code, 1)
  t.match(stderr, /^error: 4 problems/)
  t.match(stdout, /^one: the view posts has more than one row with this slug/m)
  t.match(stdout, /^3: a post has no title in lists, because its title is null/m)
  t.match(stdout, /^4: the views of a post cannot be counted/m)
  t.match(stdout, /^5: a post is in no list, because its published_at is -infinity/m)
  t.match((await adopt(['--apply'])).stdout, /^one: .*\n[\s\S]*The blog is connected/m, '--apply says it, too')

  await pool.query('drop view popular_posts.posts')
  t.match(await adopt(['--check']), { code: 1, stdout: /^posts: a table, a view or a column is missing/ })
  await pool.query(`create view popular_posts.posts as select id, slug, title, '/' as url, '' as excerpt, null::text as author_id,
    published_at::timestamp as published_at, 'f'::text as is_private, null::text as image_url, 8 as image_width, null::integer as image_height, '' as image_alt, 1 as reading_minutes from public.post where id = 1`)
  const program = runProgram(t, 'bin/popular-posts.ts', { args: ['adopt', '--check'], env: { DATABASE_URL: url } })
  t.equal(await program.ended(), 1)
  t.match(
    program.stdout(),
    /^posts\.published_at: a column has the type timestamp without time zone, whose times depend on/m,
  )
  t.match(program.stdout(), /^posts\.is_private: a column has the type text, expected boolean/m)
})

t.test('--check names each table that the views read and nothing watches', async (t) => {
  const { adopt, pool } = await createBlog(t, POST)
  await adopt(['--apply'])
  await pool.query(`
    create table "Other Words" (post_id integer, words text) partition by range (post_id);
    create table half partition of "Other Words" default;
    create table never_read (id integer);
    create view newest_words as select post_id, max(words) as words from "Other Words" group by post_id;
    create or replace view popular_posts.comments as
      select post_id::bigint, words <> '' as is_approved from newest_words`)
  t.match(await adopt(['--check']), {
    code: 1,
    stdout: /^"Other Words": a view reads this table, .*\n$/,
    stderr: /^error: 1 problem/,
  })
  await pool.query(`select popular_posts.popular_posts_watch('"Other Words"')`)
  t.match(await adopt(['--check']), { code: undefined, stdout: 'The views fit.\n' })
})

t.test('the command line', async (t) => {
  const { url, list } = await createBlog(t, tablesOf('keystone'))
  const run = async (args: string[], env: NodeJS.ProcessEnv = { DATABASE_URL: url }) => {
    const program = runProgram(t, 'bin/popular-posts.ts', { args: ['adopt', ...args], env })
    return { code: await program.ended(), stdout: program.stdout(), stderr: program.stderr() }
  }
  t.match(await run(['--apply']), { code: 0, stdout: /in the schema popular_posts\.\n$/ })
  t.match(await list(), [{ slug: 'one' }])
  t.match(await run(['--apply', '--schema', 'second_blog']), { code: 0, stdout: /in the schema second_blog\.\n$/ })
  t.match(await run(['--check', '--schema', 'second_blog']), { code: 0, stdout: 'The views fit.\n', stderr: '' })
  t.match(await run(['--posts', 'nothing']), { code: 1, stderr: /^There is no table nothing .*\n$/ })
  t.match(await run([], { DATABASE_URL: '' }), {
    code: 1,
    stderr: /^The embedded database has no blog to adopt: set DATABASE_URL\.\n$/,
  })
})
