import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool, type QueryResultRow } from 'pg'
import t, { type Test } from 'tap'
import { changesSince, recordChange } from '../../changes/revision.ts'
import { bucketStart, countBatch } from '../../db/count-views.ts'
import { checkHostViews } from '../../db/host-views.ts'
import { isAdopted, migrateToLatest, type PostIdType, pendingMigrations } from '../../db/migrate.ts'
import { inOwnSchema } from '../../db/own-schema.ts'
import { findProblems } from '../../db/problems.ts'
import { findPopularPosts } from '../../db/ranking.ts'
import { prune } from '../../db/retention.ts'
import type { Database } from '../../db/schema.ts'
import { materializeWindow } from '../../db/store-rollups.ts'
import { readConfig } from '../../service/config.ts'
import { openServiceDatabase } from '../../service/database.ts'
import { createService } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { runProgram } from '../helpers/program.ts'
import { until } from '../helpers/services/until.ts'
import { createSite } from '../helpers/site.ts'
import { FOREIGN_BLOGS, uuid } from './foreign-blogs.ts'

const document = readFileSync(new URL('../../docs/adopting.md', import.meta.url), 'utf8')
/** The SQL blocks below a heading of the document. */
function sqlOf(heading: string): string[] {
  const section = document.split('\n## ').find((text) => text.startsWith(heading)) ?? ''
  return [...section.matchAll(/```sql\n([\s\S]*?)```/g)].map(([, sql = '']) => sql)
}
/** The tables, views and triggers of an example. The second example is an app, with SQL files. */
function exampleOf(heading: string): string[] {
  if (!heading.startsWith('Example: uuids')) return sqlOf(heading)
  const read = (file: string) => readFileSync(new URL(`../../examples/own-schema/${file}`, import.meta.url), 'utf8')
  const [, tables = ''] = /(create schema magazine[\s\S]*?)insert into/.exec(read('blog.sql')) ?? []
  const [, views = '', triggers = ''] = /([\s\S]*?)(select popular_posts\.[\s\S]*)/.exec(read('views.sql')) ?? []
  return [tables, views, triggers]
}
const [grants = ''] = sqlOf('Another user')
/** What a URL had to say in earlier versions. */
const options = '?options=-csearch_path%3Dpopular_posts,public'

/** A database with an empty blog, and a URL that puts the schema of this package first, as earlier versions needed it. */
async function createForeign(t: Test, tables: string, search = options) {
  const { pool, url: plainUrl } = await createTestDatabase(t, { migrate: false })
  await pool.query(tables)
  if (search !== '') await pool.query('create schema popular_posts')
  const url = plainUrl + search
  const db = openKysely(t, url)
  return { db, pool, url }
}

function openKysely(t: Test, url: string, onQuery = (_sql: string, _parameters: readonly unknown[]): void => {}) {
  const pool = new Pool({ connectionString: url, max: 5 })
  pool.on('error', () => undefined)
  const db = new Kysely<Database>({
    dialect: new PostgresDialect({ pool }),
    log: ({ query }) => onQuery(query.sql, query.parameters),
  })
  t.teardown(() => db.destroy())
  return url.includes(options) ? db : inOwnSchema(db, () => 'popular_posts')
}

const popularPosts = (t: Test, databaseUrl: string, args: string[], input?: string) =>
  runProgram(t, 'bin/popular-posts.ts', {
    args,
    env: { DATABASE_URL: databaseUrl },
    ...(input === undefined ? {} : { input }),
  })

for (const { heading, postId, fill, publish, edit, invisible, grow } of FOREIGN_BLOGS) {
  t.test(heading, async (t) => {
    const [tables = '', views = '', triggers = ''] = exampleOf(heading)
    const { db, pool, url } = await createForeign(t, tables, postId === 'uuid' ? '' : options)
    t.match(document, `migrate --adopt --post-id ${postId}`)
    const type = postId === 'bigint' ? [] : ['--post-id', postId]
    const migrate = popularPosts(t, url, ['migrate', '--adopt', ...type])
    t.equal(await migrate.ended(), 0, migrate.stderr())
    t.equal(migrate.stdout(), 'The tables of this package were created, in the schema popular_posts.\n')
    for (const sql of [views, triggers, fill]) await pool.query(sql)
    const ids = new Map(
      (await db.selectFrom('posts').select(['id', 'slug']).execute()).map(({ id, slug }) => [slug, String(id)]),
    )
    const app = await createService(t, url)
    const list = async (query = 'days=0') => (await app.inject(`/posts/popular?${query}`)).json()
    const site = await createSite(t, { db, url, isAdopted: true })
    const { body: page } = await site.inject('/')
    t.same(page.match(/<h2><a href="[^"]+">(?:One|Two)</g)?.length, 2, 'the page links to where its posts are')
    t.notMatch(page, 'The database does not answer')

    t.match(await list(), [
      { slug: 'two', views: 0, author: { name: 'Bob', slug: 'bob' }, categories: [], tags: [], commentCount: 0 },
      {
        id: ids.get('one'),
        slug: 'one',
        title: 'One',
        publishedAt: '2020-01-01T00:00:00.000Z',
        image: null,
        readingMinutes: 1,
        categories: [{ name: 'News', slug: 'news' }],
        tags: ['Red'],
        commentCount: 1,
      },
    ])
    const categories = async () => (await app.inject('/categories')).json<{ slug: string }[]>().map(({ slug }) => slug)
    const namesOfDraft = ['category=secret', 'tag=blue', 'author=cyd']
    t.same(await categories(), ['news'])
    for (const filter of namesOfDraft) t.same(await list(filter), [], filter)
    for (const filter of ['category=news', 'tag=red', 'author=ann']) t.match(await list(filter), [{ slug: 'one' }])

    await t.test('views are counted for ids of the adopted type', async (t) => {
      const nowMs = Date.now()
      const postIds = [ids.get('one') ?? '', postId === 'uuid' ? uuid(99) : '99']
      const buckets = postIds.map((id) => ({ postId: id, bucketStartMs: bucketStart(nowMs), views: 5 }))
      const batch = { id: 'first', timeZone: 'UTC', nowMs, buckets }
      t.equal(await countBatch(db, batch), 'counted')
      t.equal(await countBatch(db, batch), 'before')
      const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/129.0' }
      t.equal((await app.inject({ method: 'POST', url: '/posts/two/views', headers })).statusCode, 204)
      await until(() => app.postViews.stats().counted === 1, 'it is recorded')
      await app.postViews.flush()
      await recordChange(db, 'hard')
      await until(async () => (await list())[0].slug === 'one', 'it shows')
      for (const query of ['days=0', 'days=1', 'days=7', 'sort=trending'])
        t.match(
          await list(query),
          [
            { slug: 'one', views: 5, totalViews: 5 },
            { slug: 'two', views: 1 },
          ],
          query,
        )
    })

    await t.test('changes by the writers of the blog invalidate at once', async (t) => {
      let { revision } = await changesSince(db, undefined)
      const change = async () => {
        const found = await changesSince(db, revision)
        revision = found.revision
        return found.mode
      }
      await pool.query(invisible)
      t.equal(await change(), undefined)
      await pool.query(publish)
      t.equal(await change(), 'hard')
      const shown = async () => JSON.stringify(await list())
      await until(async () => (await shown()).includes('"hidden"'), 'the published post is in the list')
      t.same((await categories()).sort(), ['news', 'secret'])
      for (const filter of namesOfDraft) t.match(await list(filter), [{ slug: 'hidden' }], filter)
      await pool.query(edit)
      t.equal(await change(), 'soft')
    })

    await t.test('a log is imported without creating posts', async (t) => {
      const agent = 'Mozilla/5.0 (X11; Linux) Firefox/129.0'
      const line = (slug: string) =>
        `192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /blog/${slug} HTTP/1.1" 200 1 "-" "${agent}"\n`
      const importLog = (...more: string[]) =>
        popularPosts(t, url, ['import-log', '--post', '^/blog/(?<slug>[^/]+)', ...more], line('two') + line('nowhere'))
      const imported = importLog()
      t.equal(await imported.ended(), 0, imported.stderr())
      t.match(imported.stdout(), /views counted +1\n/)
      const again = importLog()
      await again.ended()
      t.match(again.stdout(), /counted before +1 /)
      const creating = importLog('--create-posts')
      t.equal(await creating.ended(), 1)
      t.match(creating.stderr(), /in which this command creates no posts: import without --create-posts/)
    })

    await t.test('the query finds the data of a post by indexes', async (t) => {
      await pool.query(`${grow}; analyze`)
      const queries: { sql: string; parameters: readonly unknown[] }[] = []
      const watched = openKysely(t, url, (sql, parameters) => queries.push({ sql, parameters }))
      await findPopularPosts(watched, { sort: 'views', days: 30, limit: 50, timeZone: 'UTC' })
      const own = new Pool({ connectionString: url, max: 1 })
      t.teardown(() => own.end())
      const [query = { sql: '', parameters: [] }] = queries
      const { rows } = await own.query<QueryResultRow>(`explain ${query.sql}`, [...query.parameters])
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
      t.match(plan, /Index (?:Only )?Scan/)
      t.notMatch(plan, /Seq Scan on (?:wp_comments|wp_term_relationships|reply|article_label)/, plan)
    })

    await t.test('dropping the schema removes everything', async (t) => {
      await app.close()
      await pool.query('drop schema popular_posts cascade')
      await pool.query(publish)
      t.equal((await pool.query("select from pg_trigger where tgname like 'popular%'")).rowCount, 0)
    })
  })
}

t.test('an adopted blog may add the parents of categories and the languages of posts', async (t) => {
  const [{ heading, fill } = { heading: '', fill: '' }] = FOREIGN_BLOGS
  const [tables = '', views = '', triggers = ''] = sqlOf(heading)
  const [withParents = ''] = sqlOf('Optional columns')
  const { db, pool, url } = await createForeign(t, tables)
  await migrateToLatest(db, { adopt: { postId: 'bigint' } })
  for (const sql of [views, triggers, fill]) await pool.query(sql)
  await pool.query(`
    alter table wp_term_taxonomy add column parent bigint not null default 0;
    alter table wp_posts add column locale varchar(20);
    insert into wp_terms values (5, 'Local news', 'local'), (6, 'Town', 'town');
    insert into wp_term_taxonomy (term_taxonomy_id, term_id, taxonomy) values (15, 5, 'category'), (16, 6, 'category');
    insert into wp_term_relationships values (2, 16)`)
  const app = await createService(t, url)
  const slugs = async (query: string) =>
    (await app.inject(`/posts/popular?${query}`)).json<{ slug: string }[]>().map(({ slug }) => slug)
  t.same(await slugs('category=news'), ['one'], 'without parents')
  t.same(await slugs('category=local'), [])
  t.same(await slugs('language=en'), [], 'without languages')
  t.same(await slugs('excludeCategory=news&publishedWithin=365'), [])
  t.same(await slugs('excludeCategory=news'), ['two'])

  await pool.query(`${withParents};
    update wp_posts set locale = 'en_GB' where post_name = 'two'`)
  const { rows } = await pool.query<{ text: string }>("select pg_get_viewdef('popular_posts.posts'::regclass) as text")
  await pool.query(
    `create or replace view popular_posts.posts as ${rows[0]?.text.replace(/\s+FROM wp_posts/, ', locale as language FROM wp_posts')}`,
  )
  await checkHostViews(db)
  await pool.query(`
    update wp_term_taxonomy set parent = 1 where term_taxonomy_id = 15;
    update wp_term_taxonomy set parent = 5 where term_taxonomy_id = 16`)
  await until(async () => (await slugs('category=news')).length === 2, 'the change of a parent shows')
  t.same(await slugs('category=news'), ['two', 'one'])
  t.same(await slugs('category=local'), ['two'])
  t.same(
    (await app.inject('/categories')).json<{ slug: string }[]>().map(({ slug }) => slug),
    ['news', 'local', 'town'],
  )
  t.same(await slugs('language=en'), ['two'])
  t.same(await slugs('language=en-gb'), ['two'])
})

t.test('the service user needs only the documented grants, and can write nothing else', async (t) => {
  const [{ heading, fill } = { heading: '', fill: '' }] = FOREIGN_BLOGS
  const [tables = '', views = '', triggers = ''] = sqlOf(heading)
  const { db, pool, url } = await createForeign(t, tables)
  await migrateToLatest(db, { adopt: { postId: 'bigint' } })
  const role = `blog_service_${randomBytes(6).toString('hex')}`
  await pool.query(`create role ${role}`)
  for (const sql of [views, triggers, fill, grants.replaceAll('blog_service', role)]) await pool.query(sql)
  const serviceUrl = `${url}%20-crole%3D${role}`
  const service = openKysely(t, serviceUrl)

  await t.test(
    'the service user counts, prunes, stores sums, imports, announces, listens, and runs the checks',
    async (t) => {
      const { revision } = await changesSince(service, undefined)
      await recordChange(service, 'soft')
      t.match(await changesSince(service, revision), { mode: 'soft' })
      const nowMs = Date.now()
      const timeZone = 'UTC'
      const views = [0, 3, 500].map((days) => ({
        postId: 1,
        bucketStartMs: bucketStart(nowMs - days * 86_400_000),
        views: 2,
      }))
      t.equal(await countBatch(service, { id: 'first', timeZone, nowMs, buckets: views }), 'counted')
      t.equal(await countBatch(service, { id: 'second', timeZone, nowMs, buckets: views }), 'counted')
      await materializeWindow(service, { days: 7, timeZone })
      t.match(await prune(service, { nowMs, timeZone }), { days: 1 })
      const [first] = await findPopularPosts(service, { sort: 'views', days: 7, limit: 1, timeZone })
      t.match(first, { slug: 'one', views: 8 })
      t.match(await findProblems(service), [{ subject: '4', message: /published_at is -infinity/ }])
      const line =
        '192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /blog/two HTTP/1.1" 200 1 "-" "Mozilla/5.0 (X11; Linux) Firefox/129.0"\n'
      for (const log of [line, line + line.replace('192.0.2.1', '192.0.2.2')]) {
        const imported = popularPosts(t, serviceUrl, ['import-log', '--post', '^/blog/(?<slug>[^/]+)'], log)
        t.equal(await imported.ended(), 0, imported.stderr())
        t.match(imported.stdout(), /views counted +1\n/)
      }
      const app = await createService(t, serviceUrl)
      t.equal((await app.inject('/posts/popular')).json().length, 2)
      await pool.query("update wp_posts set post_status = 'publish' where post_name = 'hidden'")
      await until(async () => (await app.inject('/posts/popular')).body.includes('"hidden"'), 'it hears of changes')
      await app.close()
    },
  )

  await t.test('the service user can change no other table, also not through a view', async (t) => {
    const own = new Pool({ connectionString: serviceUrl, max: 1 })
    t.teardown(() => own.end())
    const { rows } = await pool.query<{ name: string; kind: string; column: string }>(`
      select format('%I.%I', nspname, relname) as name, relkind as kind, (
        select quote_ident(attname) from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped and attidentity = '' order by attnum limit 1
      ) as column
      from pg_class c join pg_namespace n on n.oid = relnamespace
      where nspname in ('public', 'popular_posts') and relkind in ('r', 'p', 'v', 'm')`)
    const written =
      /\.(?:post_views_(?:hourly|daily|total|batch|touch|window|log_import|log_visits|import|import_count)|popular_posts_change)$/
    const refused = async (statement: string) =>
      t.rejects(own.query(statement), { code: /^42501|55000|42809/ }, statement)
    for (const { name, kind, column } of rows) {
      if (kind !== 'v') await refused(`truncate ${name}`)
      await refused(`drop ${kind === 'v' ? 'view' : 'table'} ${name}`)
      if (written.test(name)) continue
      await refused(`delete from ${name}`)
      await refused(`update ${name} set ${column} = ${column}`)
      // The first process writes the time zone of the site, which no other process of this user can change.
      if (!name.endsWith('popular_posts_site')) await refused(`insert into ${name} default values`)
    }
    t.equal(rows.filter(({ name }) => written.test(name)).length, 11)
    t.ok(rows.length > 20)
    await refused('create table popular_posts.mine ()')
    await refused('select from public.wp_users')
    await refused("select popular_posts.popular_posts_watch('public.wp_posts')")
    await refused("select popular_posts.popular_posts_unwatch('public.wp_posts')")
    await refused("select popular_posts.popular_posts_failed('a', 'b', 'c')")
    t.equal((await pool.query('select from wp_posts')).rowCount, 4)
  })
  await pool.query(`drop owned by ${role}; drop role ${role}`)
})

t.test('an adopted blog may provide the earlier slugs of its posts', async (t) => {
  const [{ heading, fill } = { heading: '', fill: '' }] = FOREIGN_BLOGS
  const [tables = '', views = ''] = sqlOf(heading)
  const [aliases = ''] = sqlOf('Slugs and old addresses')
  const { db, pool, url } = await createForeign(t, tables)
  await migrateToLatest(db, { adopt: { postId: 'bigint' } })
  for (const sql of [views, fill]) await pool.query(sql)
  await pool.query(`
    create table wp_postmeta (meta_id serial, post_id bigint not null, meta_key varchar(255), meta_value text);
    insert into wp_postmeta (post_id, meta_key, meta_value)
      values (1, '_wp_old_slug', 'old-one'), (1, '_wp_old_slug', '%c3%bcber'), (1, 'other', 'no-slug')`)
  const app = await createService(t, url)
  const view = async (slug: string) => {
    const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/129.0' }
    const path = `/posts/${encodeURIComponent(slug)}/views`
    return (await app.inject({ method: 'POST', url: path, headers })).statusCode
  }
  t.equal(await view('one'), 204)
  t.equal(await view('old-one'), 404)
  await pool.query(aliases)
  for (const slug of ['old-one', 'Old-One', 'über', '%c3%bcber']) t.equal(await view(slug), 204, slug)
  t.equal(await view('no-slug'), 404)
  const line = (slug: string, host: number) =>
    `192.0.2.${host} - - [17/May/2015:10:05:03 +0000] "GET /blog/${slug} HTTP/1.1" 200 1 "-" "Mozilla/5.0 (X11; Linux) Firefox/129.0"\n`
  const log = line('old-one', 1) + line('%C3%BCber', 2) + line('one', 3)
  const imported = popularPosts(t, url, ['import-log', '--post', '^/blog/(?<slug>[^/]+)'], log)
  t.equal(await imported.ended(), 0, imported.stderr())
  t.match(imported.stdout(), /views counted +3\n/)
  await pool.query(`
    drop view popular_posts.post_aliases;
    create view popular_posts.post_aliases as select 'x' as slug, gen_random_uuid() as post_id`)
  await t.rejects(openServiceDatabase(readConfig({ DATABASE_URL: url })), {
    name: 'StartupError',
    message: /^The views over your tables do not fit/,
  })
})

t.test('ids may be any text', async (t) => {
  const { db, pool } = await createForeign(t, 'create table notes (id text)')
  await migrateToLatest(db, { adopt: { postId: 'text' } })
  const ids = [String.raw`a"b\c,(d)`, "it's {1}", '']
  await pool.query('insert into notes select unnest($1::text[])', [ids])
  await pool.query('create view popular_posts.posts as select id from notes')
  const buckets = ids.map((postId, index) => ({ postId, bucketStartMs: 0, views: index + 1 }))
  t.equal(await countBatch(db, { id: 'odd', timeZone: 'UTC', nowMs: Date.now(), buckets }), 'counted')
  const counted = await db.selectFrom('post_views_total').select(['post_id', 'views']).orderBy('views').execute()
  t.same(
    counted.map((row) => row.post_id),
    ids,
  )
})

t.test('an unsuitable blog fails with one sentence', async (t) => {
  const [{ heading } = { heading: '' }] = FOREIGN_BLOGS
  const [tables = '', views = ''] = sqlOf(heading)
  const { pool, url, db } = await createForeign(t, tables)
  const config = readConfig({ DATABASE_URL: url })
  const fails = (opening: Promise<unknown>, message: RegExp) => t.rejects(opening, { name: 'StartupError', message })
  const adopt = (postId: PostIdType) =>
    openServiceDatabase(config, { migrate: { adopt: { postId } } }).then((database) => database.close())

  t.equal(await isAdopted(db), false, 'not yet')
  await adopt('uuid')
  t.equal(await isAdopted(db), true)
  t.same(await pendingMigrations(db), [])
  t.same(await migrateToLatest(db), [], 'updates need not say what it is')
  await fails(adopt('bigint'), /are for post ids of type uuid, not bigint: to start again/)

  const service = () => openServiceDatabase(config)
  await fails(service(), /^The views .* do not fit \(relation "categories" does not exist\): see docs\/adopting\.md/)
  await pool.query(views)
  await fails(service(), /^The views .* do not fit \(operator does not exist: .*uuid.*\): ids must be of one type/)
  const { rows } = await pool.query('select name from popular_posts.popular_posts_migration order by name')
  t.same(
    rows.map(({ name }) => name),
    [
      '001-view-counters',
      '003-log-imports',
      '004-signals',
      '006-kept-windows',
      '007-safe-functions',
      '010-site',
      '014-own-triggers',
      '020-adoption',
      '024-log-visits',
      '026-count-imports',
      '027-ranks',
    ],
  )
  await pool.query('drop schema popular_posts cascade; create schema popular_posts')
  await adopt('bigint')
  await pool.query(views)
  await pool.query('drop view popular_posts.authors; create view popular_posts.authors as select 1::bigint as id')
  await fails(service(), /^The views .* do not fit \(column authors\.slug does not exist\)/)
  const away = openKysely(t, 'postgres://127.0.0.1:9/nobody')
  await t.rejects(checkHostViews(away), { code: 'ECONNREFUSED' }, 'no view is to blame')
  await fails(
    openServiceDatabase(readConfig({}), { migrate: { adopt: { postId: 'bigint' } } }),
    /^The embedded database has no blog to adopt: set DATABASE_URL\.$/,
  )
  const { url: ours } = await createTestDatabase(t)
  await fails(
    openServiceDatabase(readConfig({ DATABASE_URL: ours }), { migrate: { adopt: { postId: 'bigint' } } }),
    /^This schema has the blog tables of this package/,
  )
  const { url: nowhere } = await createTestDatabase(t, { migrate: false })
  await fails(
    openServiceDatabase(readConfig({ DATABASE_URL: `${nowhere}?options=-csearch_path%3Dnone` })),
    /^No schema of the search_path exists/,
  )
})

t.test('the command line works with an adopted blog', async (t) => {
  const [{ heading } = { heading: '' }] = FOREIGN_BLOGS
  const [tables = '', views = ''] = sqlOf(heading)
  const { pool, url, db } = await createForeign(t, tables)
  await migrateToLatest(db, { adopt: { postId: 'bigint' } })
  await pool.query(views)
  const wrong = popularPosts(t, url, ['migrate', '--post-id', 'uuid'])
  const demo = popularPosts(t, url, ['demo'])
  const service = runProgram(t, 'server.ts', { env: { DATABASE_URL: url, PORT: '0' } })
  t.equal(await wrong.ended(), 1)
  t.match(wrong.stderr(), /^error: --post-id needs --adopt$/m)
  t.equal(await demo.ended(), 1)
  t.equal(demo.stderr(), 'Nothing was changed: the blog in DATABASE_URL has its own tables.\n')
  const [, address] = await service.says(
    /Popular posts of your blog, on (\S+)\n[\s\S]*Data: 0 posts in the PostgreSQL in DATABASE_URL/,
  )
  t.match(await (await fetch(`${address}/`)).text(), 'There is no post yet')
  t.notMatch(service.stdout(), '--create-posts')
  await service.stop()
})
