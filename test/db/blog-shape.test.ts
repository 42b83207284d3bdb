import t, { type Test } from 'tap'
import { checkShape } from '../../db/blog-shape.ts'
import { migrateToLatest, type PostIdType } from '../../db/migrate.ts'
import { openDatabase } from '../../db/open-database.ts'
import { findProblems } from '../../db/problems.ts'
import type { PopularPostsOptions } from '../../index.ts'
import { startLoggedApp } from '../helpers/logged-app.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { until } from '../helpers/services/until.ts'

/** The columns of each view over no row, by the type of ids. */
const views = (id: string): Record<string, string> => ({
  posts: `null::${id} as id, null::varchar(9) as slug, ''::text as title, ''::name as url, 'a'::char as excerpt, null::${id} as author_id,
    now() as published_at, false as is_private, null::text as image_url, 1 as image_width, 1::numeric as image_height,
    '' as image_alt, 1::smallint as reading_minutes`,
  authors: `null::${id} as id, '' as slug, '' as name`,
  categories: `null::${id} as id, '' as slug, '' as name`,
  tags: `'' as id, '' as slug, '' as name`,
  post_categories: `null::${id} as post_id, null::${id} as category_id`,
  post_tags: `null::${id} as post_id, '' as tag_id`,
  comments: `null::${id} as post_id, true as is_approved`,
})

/** An adopted blog without a post; `changed` are views with other columns, `undefined` is a view that is missing. */
async function createAdopted(t: Test, postId: PostIdType, changed: Record<string, string | undefined> = {}) {
  const { pool, url } = await createTestDatabase(t, { migrate: false })
  const db = openDatabase(
    url,
    () => {},
    {},
    () => 'popular_posts',
  )
  t.teardown(() => db.destroy())
  await migrateToLatest(db, { adopt: { postId }, schema: 'popular_posts' })
  await pool.query('create domain short_text as varchar(20)')
  for (const [name, columns] of Object.entries({ ...views(postId), ...changed }))
    if (columns !== undefined) await pool.query(`create view popular_posts.${name} as select ${columns} where false`)
  return { pool, db, url }
}

/** The lines of the check of the database, of level error and warn. */
async function linesOf(t: Test, options: PopularPostsOptions, count = 1) {
  const logged = await startLoggedApp(t, options)
  const serious = () => logged.lines.filter(({ level, msg }) => level >= 40 && !/load-failed|polled/.test(msg))
  await until(() => serious().length >= count, 'it is logged')
  return { app: logged.app, of: logged.of, lines: serious }
}

for (const postId of ['bigint', 'uuid', 'text'] as const)
  t.test(
    `nothing is missing in a blog with ids of type ${postId}, whatever types of texts and numbers it has`,
    async (t) => {
      const { db } = await createAdopted(t, postId, {
        authors: `null::${postId} as id, ''::short_text as slug, '' as name`,
      })
      t.same(await checkShape(db), { missingTables: [], missingViews: [], problems: [] })
    },
  )

t.test('a database that was not migrated: the app starts, the log says what to run, and then lists load', async (t) => {
  for (const more of [{}, { backgroundWork: false }]) {
    const { pool, url, db } = await createTestDatabase(t, { migrate: false })
    const logged = await startLoggedApp(t, Object.assign({ databaseUrl: url }, more))
    const { app } = logged
    const response = await app.inject('/posts/popular')
    t.match([response.statusCode, response.json().code], [503, 'PP_LOAD_FAILED'])
    t.match(logged.of('load-failed'), [
      { err: { type: 'TablesMissing', code: '42P01', message: /found none: run "npx/ } },
    ])
    if (!('backgroundWork' in more)) {
      const errors = () => logged.lines.filter(({ level }) => level === 50)
      await until(() => errors().length > 0, 'it is logged')
      t.match(errors(), [{ msg: /^popular posts: lists cannot be loaded: .* run "npx popular-posts migrate"/ }])
      t.same(
        logged.warnings().filter((message) => message.includes('polled')),
        [],
      )
    }
    await migrateToLatest(db)
    await until(async () => (await app.inject('/posts/popular')).statusCode === 200, 'the list loads', 20_000)
    await pool.query("insert into posts (slug, title, url, published_at) values ('a', 'A', '/a', now())")
    t.equal(
      await app.postViews.record({
        slug: 'a',
        request: { method: 'POST', ip: '203.0.113.1', headers: { 'user-agent': 'Mozilla/5.0 Firefox/129.0' } },
      }),
      'counted',
    )
    t.match(await app.postViews.flush(), { views: 1 })
    await app.close()
  }
})

t.test('missing views and columns are named in one error, with what to do, and the app starts', async (t) => {
  const { url } = await createAdopted(t, 'bigint', {
    tags: undefined,
    comments: undefined,
    posts: views('bigint')['posts']?.replace("''::text as title, ", '').replace("'' as image_alt, ", ''),
  })
  const { app, lines, of } = await linesOf(t, { databaseUrl: url })
  t.match(lines(), [
    {
      level: 50,
      missing: ['tags', 'comments', 'posts.title', 'posts.image_alt'],
      msg: /are missing: tags, comments, posts\.title, posts\.image_alt\. For a blog .*docs\/adopting\.md/,
    },
  ])
  t.equal((await app.inject('/posts/popular')).statusCode, 503)
  t.match(of('load-failed'), [{ err: { code: /^42/, message: /^(?:relation|column) \S+ does not exist$/ } }])
})

t.test('missing counters are named, with what to run', async (t) => {
  const { url, pool } = await createAdopted(t, 'bigint')
  await pool.query('drop table popular_posts.post_views_window, popular_posts.post_views_touch cascade')
  const { lines } = await linesOf(t, { databaseUrl: url })
  t.match(lines(), [
    {
      level: 50,
      missing: ['post_views_window', 'post_views_touch'],
      msg: /tables are missing: post_views_window, post_views_touch\. Run "npx popular-posts migrate"/,
    },
  ])
})

t.test('columns of wrong types are named, with what to write', async (t) => {
  const { db, url } = await createAdopted(t, 'bigint', {
    posts: `1 as id, '{}'::json as slug, 1 as title, '' as url, '' as excerpt, gen_random_uuid() as author_id,
      localtimestamp as published_at, 'no' as is_private, null::text as image_url, 1 as image_width, 1 as image_height,
      '' as image_alt, 1 as reading_minutes`,
    authors: `'a' as id, '' as slug, '' as name`,
    post_aliases: `'' as slug, '1' as post_id`,
  })
  const { missingViews, problems } = await checkShape(db)
  t.same(missingViews, [])
  t.match(problems, [
    { subject: 'posts.slug', message: /^a column has the type json, expected text: convert it in the view$/ },
    { subject: 'posts.title', message: /the type integer, expected text/ },
    {
      subject: 'posts.published_at',
      message: /the type timestamp without time zone, .*\(posts\.published_at at time zone 'Europe\/Vienna'\)/,
    },
    { subject: 'posts.is_private', message: /the type text, expected boolean/ },
    { subject: 'authors.id, posts.author_id', message: /have the types text and uuid: convert/ },
    { subject: 'posts.id, post_aliases.post_id', message: /have the types integer and text/ },
  ])
  const { lines } = await linesOf(t, { databaseUrl: url }, 6)
  t.match(
    lines().map(({ level, subject }) => [level, subject]),
    problems.map(({ subject }) => [40, subject]),
  )
  const { db: other } = await createAdopted(t, 'uuid', {
    posts: views('uuid')['posts']?.replace('now() as', 'current_date as').replace('null::uuid as id', '1 as id'),
  })
  t.match((await checkShape(other)).problems, [
    { subject: 'posts.published_at', message: /the type date, whose times depend/ },
    { subject: 'posts.id, post_views_total.post_id', message: /integer and uuid/ },
    { subject: 'posts.id, post_categories.post_id' },
    { subject: 'posts.id, post_tags.post_id' },
    { subject: 'posts.id, comments.post_id' },
  ])
  const { db: third } = await createAdopted(t, 'bigint', {
    posts: views('bigint')['posts']?.replace('now() as', 'extract(epoch from now()) as'),
  })
  t.match((await checkShape(third)).problems, [
    { subject: 'posts.published_at', message: /^a column has the type \S+( \S+)?, expected timestamp with time zone/ },
  ])
})

t.test('posts without a title and slugs that are there twice are named', async (t) => {
  const { pool, db } = await createAdopted(t, 'bigint', { posts: undefined })
  const row = (id: number, slug: string, title: string) =>
    `(${id}, '${slug}', ${title}, '/a', '', null, now(), false, null, null, null, '', 1)`
  await pool.query(`create view popular_posts.posts as select column1::bigint as id, column2 as slug, column3 as title,
    column4 as url, column5 as excerpt, column6::bigint as author_id, column7 as published_at, column8 as is_private,
    column9::text as image_url, column10::integer as image_width, column11::integer as image_height, column12 as image_alt,
    column13 as reading_minutes from (values ${[row(1, 'a', "'A'"), row(2, 'a', "'B'"), row(3, 'c', 'null')].join()}) as v`)
  t.match(
    (await findProblems(db)).toSorted((a, b) => (a.subject < b.subject ? -1 : 1)),
    [
      { subject: '3', message: /its title is null/ },
      { subject: 'a', message: /more than one row with this slug/ },
    ],
  )
})
