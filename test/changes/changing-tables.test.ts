import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { migrateToLatest } from '../../db/migrate.ts'
import { openDatabase } from '../../db/open-database.ts'
import { startLoggedApp } from '../helpers/logged-app.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { until } from '../helpers/services/until.ts'
import { FOREIGN_BLOGS } from './foreign-blogs.ts'

const blocks = [
  ...readFileSync(new URL('../../docs/adopting.md', import.meta.url), 'utf8').matchAll(/```sql\n([\s\S]*?)```/g),
].map(([, sql = '']) => sql)
const blockWith = (text: string) => blocks.find((sql) => sql.includes(text)) ?? ''
const views = blockWith('create view popular_posts.posts')
const [takeDown = '', afterwards = ''] = blockWith('drop view popular_posts.posts').split(/-- Then .*\n/)
const loosen = blockWith('language sql stable')

/** The WordPress blog of the documents, with one post in its list, and a view of it. */
async function createBlog(t: Test) {
  const { pool, url } = await createTestDatabase(t, { migrate: false })
  await pool.query(blockWith('create table wp_posts'))
  const db = openDatabase(
    url,
    () => {},
    {},
    () => 'popular_posts',
  )
  t.teardown(() => db.destroy())
  await migrateToLatest(db, { adopt: { postId: 'bigint' }, schema: 'popular_posts' })
  for (const sql of [views, blockWith("popular_posts_watch('public.wp_posts'")]) await pool.query(sql)
  await pool.query(String(FOREIGN_BLOGS[0]?.fill))
  const logged = await startLoggedApp(t, { databaseUrl: url, viewFlushSeconds: 0 })
  const request = { method: 'POST', ip: '203.0.113.1', headers: { 'user-agent': 'Mozilla/5.0 Firefox/129.0' } }
  t.equal(await logged.app.postViews.record({ slug: 'one', request }), 'counted')
  await logged.app.postViews.flush()
  const list = async () => (await logged.app.inject('/posts/popular?days=0&category=news')).json()
  return { pool, url, list, logged }
}

const MIGRATION = 'alter table wp_posts alter column post_name type varchar(250)'

t.test('views are taken down and put back around a migration of the host, and counters stay', async (t) => {
  const { pool, list, logged } = await createBlog(t)
  await t.rejects(pool.query(MIGRATION), { code: '0A000' }, 'a view blocks it')
  const postsView = views.slice(
    views.indexOf('create view popular_posts.posts'),
    views.indexOf('create view popular_posts.authors'),
  )
  await pool.query(takeDown + postsView + afterwards)
  await logged.app.popularPosts.invalidate('hard')
  t.match(await list(), [{ slug: 'one', totalViews: 1, commentCount: 1 }])
  t.same(
    logged.warnings().filter((message) => !message.includes('-infinity')),
    [],
  )
})

t.test('views over functions do not block: types change, tables are dropped and restored', async (t) => {
  const { pool, url, list, logged } = await createBlog(t)
  await pool.query(loosen)
  await pool.query(loosen)
  await logged.app.popularPosts.invalidate('hard')
  t.match(await list(), [
    { slug: 'one', title: 'One', totalViews: 1, author: { name: 'Ann' }, categories: [{ slug: 'news' }] },
  ])
  for (const change of [
    MIGRATION,
    'alter table wp_posts alter column post_title type text',
    'alter table wp_posts alter column id type integer',
    'alter table wp_users alter column id type numeric',
    'alter table wp_posts add column extra text',
  ]) {
    await pool.query(change)
    await logged.app.popularPosts.invalidate('hard')
    t.match(await list(), [{ id: '1', slug: 'one', totalViews: 1, author: { name: 'Ann' } }], change)
  }

  await t.test('what a migration breaks is in the log, and the last good list is served', async (t) => {
    await pool.query('alter table wp_posts rename column post_title to headline')
    await logged.app.popularPosts.invalidate('soft')
    await until(async () => {
      t.match(await list(), [{ slug: 'one' }])
      return logged.of('load-failed').length > 0
    }, 'the refresh fails')
    t.match(logged.of('load-failed'), [{ err: { code: '42703', message: /^column \S*post_title does not exist$/ } }])
    await pool.query('alter table wp_posts rename column headline to post_title')
  })

  await t.test('a restore may drop and create the tables', async () => {
    await pool.query(
      `create table kept as select * from wp_comments; drop table wp_comments; alter table kept rename to wp_comments`,
    )
    await logged.app.popularPosts.invalidate('hard')
    // The load before failed, so the next may have to wait.
    await until(async () => JSON.stringify(await list()).includes('"commentCount":1'), 'the list has the comment')
  })

  await t.test('the query finds the data of a post by indexes, as before', async (t) => {
    await pool.query(
      `${FOREIGN_BLOGS[0]?.grow}; create index on wp_posts (post_name); create index on wp_comments (comment_post_id); analyze`,
    )
    const { rows } = await pool.query<Record<string, string>>(`
      explain select (select count(*) from popular_posts.comments where post_id = posts.id) from popular_posts.posts as posts
      where slug = 'post-7'`)
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
    t.match(plan, /Index.* on wp_posts[\s\S]*Index.* on wp_comments/)
    t.notMatch(plan, /Function Scan|Seq Scan/)
  })

  await t.test('a role for the service needs select on the tables', async (t) => {
    const role = `reader_${process.pid}`
    await pool.query(`create role ${role}; grant usage on schema popular_posts to ${role};
      grant select on all tables in schema popular_posts to ${role}`)
    t.teardown(() => pool.query(`drop owned by ${role}; drop role ${role}`))
    const reader = openDatabase(
      `${url}?options=-crole%3D${role}`,
      () => {},
      {},
      () => 'popular_posts',
    )
    const read = () => reader.selectFrom('posts').select('slug').execute()
    await t.rejects(read(), { code: '42501' })
    await pool.query(`grant select on all tables in schema public to ${role}`)
    t.ok((await read()).length > 0)
    await reader.destroy()
  })
})
