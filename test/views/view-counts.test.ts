import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import t, { type Test } from 'tap'
import { migrateToLatest } from '../../db/migrate.ts'
import type { Database } from '../../db/schema.ts'
import popularPosts, { type PopularPostsOptions } from '../../index.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { startPostgres } from '../helpers/private-postgres.ts'
import { redisUrl } from '../helpers/redis.ts'
import { until } from '../helpers/services/until.ts'

const READER = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/129.0' }
const COUNTS = /left join "post_views_total"/

async function start(t: Test, options: PopularPostsOptions) {
  const app = Fastify({ trustProxy: true })
  t.teardown(() => app.close())
  await app.register(popularPosts, { viewFlushSeconds: 0, viewsPerMinute: 0, ...options })
  await app.ready()
  let visitors = 0
  const view = (slug: string) => {
    visitors += 1
    const headers = { ...READER, 'x-forwarded-for': `203.0.113.${visitors}` }
    return app.inject({ method: 'POST', url: `/posts/${encodeURIComponent(slug)}/views`, headers })
  }
  return { app, view }
}

t.test('the count of a post is exact as of the last flush', async (t) => {
  const { db, url: databaseUrl } = await createTestDatabase(t)
  // fillBlog gives post-N 1,000 - N views.
  await fillBlog(db, 3)
  await db
    .insertInto('posts')
    .values([
      { slug: 'unread', title: 'Unread', url: '/unread', published_at: new Date(0) },
      { slug: 'draft', title: 'Draft', url: '/draft', published_at: null },
      { slug: 'later', title: 'Later', url: '/later', published_at: new Date(Date.now() + 86_400_000) },
      { slug: 'größe-é', title: 'Größe', url: '/g', published_at: new Date(0) },
    ])
    .execute()
  const { app, view } = await start(t, { databaseUrl })
  const { count, countMany } = app.postViews
  t.equal(await count('post-1'), 999)
  t.equal(await count('unread'), 0)
  for (const slug of ['draft', 'later', 'no-such-post', '', 'a\u0000b', 'x'.repeat(5_000)])
    t.equal(await count(slug), undefined, slug.slice(0, 20))
  for (const slug of ['größe-é', 'gr%C3%B6%C3%9Fe-%C3%A9', 'gro\u0308ße-e\u0301']) t.equal(await count(slug), 0, slug)

  t.equal((await view('post-1')).statusCode, 204)
  t.equal((await view('unread')).statusCode, 204)
  t.equal(await count('post-1'), 999, 'recorded views do not count yet')
  await app.postViews.flush()
  t.equal(await count('post-1'), 1000)
  t.same([...(await countMany(['unread', 'post-1', 'no-such-post', 'post-1', 'draft']))].sort(), [
    ['post-1', 1000],
    ['unread', 1],
  ])
  t.same(await countMany([]), new Map())

  await db.updateTable('posts').set({ slug: 'renamed' }).where('slug', '=', 'post-2').execute()
  t.equal(await count('renamed'), 998)
  t.equal(await count('post-2'), 998, 'by an earlier slug')
  t.equal((await countMany(['renamed', 'post-2'])).size, 2, 'both names of one post')
  await db.updateTable('posts').set({ published_at: null }).where('slug', '=', 'post-3').execute()
  t.equal(await count('post-3'), undefined, 'withdrawn, and not read before')
})

t.test('the ids of posts may have any type', async (t) => {
  for (const type of ['uuid', 'text'] as const) {
    const { db, pool, url: databaseUrl } = await createTestDatabase(t, { migrate: false })
    await pool.query(`
      create table article (key ${type} primary key default gen_random_uuid()::${type}, path text unique, day timestamptz);
      insert into article (path, day) values ('one', now()), ('two', now());
      create view posts as select key as id, path as slug, path as title, '/' || path as url, '' as excerpt,
        null::${type} as author_id, day as published_at, false as is_private, null as image_url, null::int as image_width,
        null::int as image_height, '' as image_alt, 1 as reading_minutes from article;
      create view authors as select null::text as id, '' as slug, '' as name where false;
      create view categories as select null::text as id, '' as slug, '' as name where false;
      create view post_categories as select null::${type} as post_id, null::text as category_id where false;
      create view tags as select null::text as id, '' as slug, '' as name where false;
      create view post_tags as select null::${type} as post_id, null::text as tag_id where false;
      create view comments as select null::${type} as post_id, true as is_approved where false`)
    await migrateToLatest(db, { adopt: { postId: type } })
    const { app, view } = await start(t, { databaseUrl })
    t.equal((await view('one')).statusCode, 204, type)
    await app.postViews.flush()
    t.same(
      [...(await app.postViews.countMany(['one', 'two']))].sort(),
      [
        ['one', 1],
        ['two', 0],
      ],
      type,
    )
  }
})

t.test('counts cost the database little, whatever the number of calls', async (t) => {
  const { db, url: databaseUrl, countStatements, resetStatements } = await createTestDatabase(t)
  await fillBlog(db, 30)
  const { app } = await start(t, { databaseUrl })
  const slugs = Array.from({ length: 30 }, (_none, index) => `post-${index + 1}`)
  await resetStatements()
  const counts = await Promise.all(Array.from({ length: 50 }, () => app.postViews.countMany(slugs)))
  t.ok(counts.every((each) => each.get('post-30') === 970))
  const cold = await countStatements(COUNTS)
  t.ok(cold <= 3, `1,500 counts at once: ${cold} statements`)
  await Promise.all(Array.from({ length: 200 }, (_none, index) => app.postViews.count(`unknown-${index}`)))
  const unknown = await countStatements(/post_aliases/)
  t.ok(unknown <= 6, `200 unknown slugs at once: ${unknown} statements`)
})

t.test('a process of a fleet sees the flush of another one within seconds', async (t) => {
  const { db, url: databaseUrl } = await createTestDatabase(t)
  await fillBlog(db, 1)
  const shared = { databaseUrl, redisUrl: await redisUrl(), redisPrefix: `counts-${process.pid}` }
  const [one, other] = [await start(t, shared), await start(t, shared)]
  t.equal(await other.app.postViews.count('post-1'), 999)
  await one.view('post-1')
  await until(() => one.app.postViews.stats().counted === 1, 'the view is in the buffer')
  await one.app.postViews.flush()
  t.equal(await one.app.postViews.count('post-1'), 1000)
  await until(async () => (await other.app.postViews.count('post-1')) === 1000, 'the other process sees it', 20_000)
})

t.test('while PostgreSQL hangs, the last known count is returned', async (t) => {
  const server = await startPostgres()
  t.teardown(() => server.remove())
  t.teardown(() => server.kill('SIGCONT'))
  const pool = new Pool({ connectionString: server.url, max: 4 })
  pool.on('error', () => {}).on('connect', (client) => client.on('error', () => {}))
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
  t.teardown(() => db.destroy())
  await migrateToLatest(db)
  await fillBlog(db, 2)
  const { app } = await start(t, { db })
  t.equal(await app.postViews.count('post-1'), 999)
  await sleep(1_100)
  await server.kill('SIGSTOP')
  t.equal(await app.postViews.count('post-1'), 999)
  const failed = { code: 'PP_LOOKUP_FAILED', statusCode: 503, retryAfterMs: 1000 }
  await t.rejects(app.postViews.count('post-2'), failed)
  await t.rejects(app.postViews.countMany(['post-1', 'post-2']), failed)
  await server.kill('SIGCONT')
  await until(async () => (await app.postViews.count('post-2').catch(() => 0)) === 998, 'it is back')
})
