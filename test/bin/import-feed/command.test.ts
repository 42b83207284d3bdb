import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { migrateToLatest } from '../../../db/migrate.ts'
import { createTestDatabase, type TestDatabase } from '../../helpers/postgres.ts'
import { runProgram } from '../../helpers/program.ts'
import { command } from '../../helpers/service.ts'
import { fillWithDemo } from '../../helpers/site.ts'
import { temporaryDirectory } from '../../helpers/temporary-directory.ts'

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/feeds/${name}`, import.meta.url))

/** Runs `import-feed`. */
async function importFeed(t: Test, { url }: Pick<TestDatabase, 'url'>, ...args: string[]) {
  const program = command(t, ['import-feed', ...args], { DATABASE_URL: url })
  const code = await program.ended()
  return { code, out: program.stdout(), error: program.stderr() }
}

/** A file whose text a test changes. */
async function feedFile(t: Test) {
  const file = join(await temporaryDirectory(t), 'feed.xml')
  return { file, write: (items: string) => writeFile(file, `<rss><channel>${items}</channel></rss>`) }
}

const item = (link: string, more = '') => `<item><link>https://blog.example/${link}</link>${more}</item>`

/** All posts as texts: slug, title, author, categories, tags. */
async function postsIn({ pool }: TestDatabase): Promise<string[]> {
  const { rows } = await pool.query<{ post: string }>(`
    select concat_ws(' | ', slug, title, (select name from authors where id = author_id),
      nullif((select string_agg(name, ',' order by name) from categories join post_categories on category_id = id where post_id = posts.id), ''),
      nullif((select string_agg(name, ',' order by name) from tags join post_tags on tag_id = id where post_id = posts.id), '')
    ) as post from posts order by id desc`)
  return rows.map(({ post }) => post)
}

/** Counts the announced changes, and the rows that were written. */
async function writes({ pool }: TestDatabase): Promise<string> {
  const { rows } = await pool.query<{ writes: string }>(`
    select (select count(*) from popular_posts_change) || ' ' || (select string_agg(xmin::text, ',' order by id) from posts) as writes`)
  return rows.map(({ writes }) => writes).join()
}

t.test('posts of a feed are created, and a second run changes nothing', async (t) => {
  const database = await createTestDatabase(t)
  const first = await importFeed(t, database, fixture('wordpress.xml'))
  t.match(first, {
    code: 0,
    error: '',
    out: /^1 post created, 0 changed, 0 up to date\.\n1 entry was left out: without a link to a post\..*\nTry next/,
  })
  t.same(await postsIn(database), ['bread-butter | Bread & butter: it’s “good” | admin | Food & Drink | baking'])
  const { rows } = await database.pool.query(
    'select url, excerpt, published_at, image_url, image_width, image_height, image_alt, language, reading_minutes, is_private from posts',
  )
  t.match(rows, [
    {
      url: 'https://word.example/2025/06/03/bread-butter/',
      excerpt: 'Welcome to bread. […]',
      published_at: new Date('2025-06-03T09:39:21Z'),
      image_url: 'https://word.example/wp-content/uploads/bread.jpg',
      image_width: 1024,
      image_height: 683,
      image_alt: 'A loaf & a knife',
      language: 'en-US',
      is_private: false,
    },
  ])
  const before = await writes(database)
  const second = await importFeed(t, database, fixture('wordpress.xml'))
  t.match(second, { code: 0, error: '', out: /^Nothing changed: 1 post is up to date\.\n1 entry/ })
  t.equal(await writes(database), before, 'no row was written, and no change announced')
})

t.test('a run changes only what has changed, and posts that are gone stay', async (t) => {
  const database = await createTestDatabase(t)
  const { file, write } = await feedFile(t)
  await write(
    item('b', '<category>One</category><pubDate>Tue, 03 Jun 2025 10:00:00 GMT</pubDate><description>B</description>') +
      item('a', '<title>A</title><dc:creator>Ann</dc:creator>'),
  )
  t.match((await importFeed(t, database, file)).out, /^2 posts created/)
  t.same(await postsIn(database), ['b | B | One', 'a | A | Ann'], 'the latest is the last row')
  await database.pool.query("update posts set is_private = true, reading_minutes = 9 where slug = 'a'")
  const before = await writes(database)
  await write(
    item('c') + item('b', '<category>Two</category><category>one</category>') + item('a', '<title>A 2</title>'),
  )
  t.match((await importFeed(t, database, file)).out, /^1 post created, 2 changed, 0 up to date\.\n/)
  t.not(await writes(database), before)
  t.same(await postsIn(database), ['c | C', 'b | B | One,Two', 'a | A 2 | Ann'], 'what an entry lacks stays')
  const { rows } = await database.pool.query("select is_private, reading_minutes from posts where slug = 'a'")
  t.same(rows, [{ is_private: true, reading_minutes: 9 }])
  await write(item('b', '<category>Two</category>'))
  t.match((await importFeed(t, database, file)).out, /^0 posts created, 1 changed, 0 up to date\.\n$/)
  t.same(await postsIn(database), ['c | C', 'b | B | Two', 'a | A 2 | Ann'])
  await write('')
  t.match(await importFeed(t, database, file), { code: 0, out: 'Nothing changed: no entry is a post.\n' })
  t.equal((await postsIn(database)).length, 3)
})

t.test('a post whose address has changed is recognized by its id, and its old slug still counts', async (t) => {
  const database = await createTestDatabase(t)
  const { file, write } = await feedFile(t)
  const named = (link: string, id: string) => item(link, `<guid isPermaLink="false">${id}</guid>`)
  await write(named('one', '1') + named('two', '2') + named('three', '3'))
  await importFeed(t, database, file)
  // A new post has the old slug of the second, and the third wants the slug of the first, which is not in the feed any more.
  await write(named('two', '4') + named('second', '2') + named('one', '3'))
  const { out } = await importFeed(t, database, file)
  t.match(
    out,
    /^1 post created, 2 changed \(1 with a new slug\), 0 up to date\.\n1 slug belongs to more than one post, .*: one\. A longer slug/,
  )
  t.same(await postsIn(database), ['two | Two', 'one | One', 'second | Two', 'three | Three'])
  const { rows } = await database.pool.query('select slug from post_aliases')
  t.same(rows, [{ slug: 'two' }])
  const urls = await database.pool.query("select url from posts where slug = 'three'")
  t.same(urls.rows, [{ url: 'https://blog.example/one' }], 'it links to its new address all the same')
  t.match((await importFeed(t, database, file)).out, /^Nothing changed: 3 posts are up to date\.\n1 slug/)
  // The same id at another blog is another post.
  await write('<item><link>https://other.example/other</link><guid isPermaLink="false">2</guid></item>')
  t.match((await importFeed(t, database, file)).out, /^1 post created/)
  // Another generator gives other ids; an id that comes twice is of the first.
  await write(named('second', 'x2') + named('second-b', '2'))
  t.match((await importFeed(t, database, file)).out, /second|created/)
  t.match(await postsIn(database), [
    'second | Second',
    'other | Other',
    'two | Two',
    'one | One',
    'second-b | Two',
    'three | Three',
  ])
})

t.test('posts, authors and categories that are there already are used', async (t) => {
  const database = await createTestDatabase(t)
  const { pool } = database
  await pool.query(`
    insert into posts (slug, title, url) values ('caf\u00e9', 'Cafe', '/caf%C3%A9'), ('%e6%97%a5', 'Day', '/x');
    insert into authors (slug, name) values ('ann', 'Ann Author'), ('other', 'Zoe'), ('another', 'Zoe');
    insert into categories (slug, name) values ('news', 'Newsroom'), ('c-sharp', 'C#')`)
  const { file, write } = await feedFile(t)
  await write(
    item(
      'cafe%CC%81/',
      '<title>Caf\u00e9</title><author>Ann</author><category>NEWS</category><category>C#</category>',
    ) +
      item(
        '%E6%97%A5',
        '<author>zoe</author><category>C++</category><category>C</category><category>C </category><category>\u2764</category>',
      ),
  )
  t.match((await importFeed(t, database, file)).out, /^0 posts created, 2 changed, 0 up to date\.\n$/)
  t.same(await postsIn(database), [
    '%e6%97%a5 | Day | Zoe | C,C++,\u2764',
    'caf\u00e9 | Caf\u00e9 | Ann Author | C#,Newsroom',
  ])
  const { rows } = await pool.query<{ slug: string }>(
    'select slug from categories union all select slug from authors order by slug',
  )
  t.same(rows.map(({ slug }) => slug).toSorted(), [
    'ann',
    'another',
    'c',
    'c-plus-plus',
    'c-sharp',
    'news',
    'other',
    '\u2764',
  ])
  t.match((await importFeed(t, database, file)).out, /^Nothing changed: 2 posts/)
})

t.test('posts without a date are published now, in the order of the feed', async (t) => {
  const database = await createTestDatabase(t)
  const { file, write } = await feedFile(t)
  await write(
    item('c') + item('b', '<pubDate>soon</pubDate>') + item('a') + item('z', '<atom:updated>2020-01-01</atom:updated>'),
  )
  await importFeed(t, database, file)
  const dates = async () =>
    (
      await database.pool.query<{ slug: string; published_at: Date }>(
        'select slug, published_at from posts order by published_at desc',
      )
    ).rows
  const before = await dates()
  t.same(
    before.map(({ slug }) => slug),
    ['c', 'b', 'a', 'z'],
  )
  t.ok(Math.abs(Date.now() - Number(before[0]?.published_at)) < 60_000)
  await write(item('c') + item('z', '<atom:updated>2021-01-01</atom:updated>'))
  await importFeed(t, database, file)
  t.same(await dates(), before, 'a later change is no publication')
})

t.test('more posts than one statement takes, by two imports at once', async (t) => {
  const database = await createTestDatabase(t)
  const { file, write } = await feedFile(t)
  await write(
    Array.from({ length: 2_500 }, (_none, index) => item(`post-${index}`, `<category>${index % 7}</category>`)).join(
      '',
    ),
  )
  const outs = await Promise.all([importFeed(t, database, file), importFeed(t, database, file)])
  t.match(outs.map(({ out }) => out.split('\n')[0]).toSorted(), [
    /^2,?500 posts created/,
    /^Nothing changed: 2,?500 posts/,
  ])
  t.equal((await postsIn(database)).length, 2_500)
})

t.test('a feed replaces the demo, and an empty feed does not', async (t) => {
  const database = await createTestDatabase(t)
  await fillWithDemo(database.db)
  const { file, write } = await feedFile(t)
  await write('')
  await importFeed(t, database, file)
  t.equal((await postsIn(database)).length, 63)
  await write(item('real'))
  t.match(await importFeed(t, database, file), { code: 0, error: /^The demo blog \(63 posts\) was removed\.\n$/ })
  t.same(await postsIn(database), ['real | Real'])
})

t.test('a wrong argument, or a blog with tables of its own, is refused in one sentence', async (t) => {
  const database = await createTestDatabase(t)
  const refused = async (args: string[], message: RegExp) => {
    const { code, out, error } = await importFeed(t, database, ...args)
    t.equal(code, 1, args.join(' '))
    t.equal(out, '')
    t.match(error, message)
    t.notMatch(error, /\n\s+at /, 'no stack')
  }
  await refused(
    ['ftp://blog.example/feed'],
    /^error: Expected an address with http or https, or the path of a file\.\n/,
  )
  await refused([fixture('hugo.xml'), '--post', '('], /^error: --post is neither a folder/)
  await refused([fixture('hugo.xml'), '--base-url', 'blog.example'], /^error: --base-url needs the address of the blog/)
  await refused([fixture('sitemap.xml')], /^error: A sitemap names pages of all kinds.* such as --post \/blog\/\.\n/)
  await refused(['/nowhere.xml'], /^error: \/nowhere\.xml could not be read: ENOENT/)
  t.same(await postsIn(database), [])

  const adopted = await createTestDatabase(t, { migrate: false })
  await migrateToLatest(adopted.db, { adopt: { postId: 'bigint' } })
  await adopted.pool.query(`
    create view posts as select 1::bigint as id, 'a' as slug, 'A' as title, '/a' as url, '' as excerpt, null::bigint as author_id,
      now() as published_at, false as is_private, null as image_url, null::int as image_width, null::int as image_height, '' as image_alt, 1 as reading_minutes;
    create view authors as select 1::bigint as id, '' as slug, '' as name where false;
    create view categories as select * from authors; create view tags as select * from authors;
    create view post_categories as select 1::bigint as post_id, 1::bigint as category_id where false;
    create view post_tags as select 1::bigint as post_id, 1::bigint as tag_id where false;
    create view comments as select 1::bigint as post_id, true as is_approved where false`)
  const { code, error } = await importFeed(t, adopted, fixture('hugo.xml'))
  t.equal(code, 1)
  t.match(
    error,
    /^The blog in DATABASE_URL has its own tables, in which this command creates no posts: a blog with tables needs no feed\.\n$/,
  )
})

t.test('without htmlparser2 the command says what to install', async (t) => {
  const program = runProgram(t, 'test/fixtures/without-htmlparser2.ts', { args: ['import-feed', fixture('hugo.xml')] })
  t.equal(await program.ended(), 1)
  t.equal(program.stderr(), 'error: This command needs a package that is not installed: run npm install htmlparser2.\n')
})
