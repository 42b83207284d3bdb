import { randomUUID } from 'node:crypto'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import popularPosts from '../../index.ts'
import { servicesOf } from '../../plugins/popular-posts.ts'
import { heapGrowth } from '../helpers/heap-growth.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { redisUrl } from '../helpers/redis.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

/** An app with the plugin on a blog with `posts` posts: `post-1`, `post-2`, … */
async function setUp(t: Test, posts: number, options: { redisUrl?: string; redisPrefix?: string } = {}) {
  const { pool, url: databaseUrl } = await createTestDatabase(t)
  await pool.query(`
    insert into posts (slug, title, url, published_at)
    select 'post-' || n, 'A post', '/posts/post-' || n, now() from generate_series(1, ${posts}) n`)
  const warnings: string[] = []
  const stream = { write: (line: string) => void warnings.push(line) }
  const app = Fastify({ logger: { level: 'warn', stream } })
  t.teardown(() => app.close())
  await app.register(popularPosts, { databaseUrl, viewFlushSeconds: 0, ...options })
  await app.ready()
  return { app, pool, warnings }
}

t.test('without Redis, closing counts all views in memory', async (t) => {
  const posts = 2_500
  const { app, pool } = await setUp(t, posts)
  const request = { method: 'GET', ip: '203.0.113.9', headers: { 'user-agent': FIREFOX } }
  for (let post = 1; post <= posts; post += 1) await app.postViews.record({ slug: `post-${post}`, request })
  await app.close()
  const { rows } = await pool.query('select count(*), sum(views) from post_views_total')
  t.match(rows, [{ count: `${posts}`, sum: `${posts}` }])
})

t.test('with Redis, invalid counts of another program are left out, and logged once', async (t) => {
  const [url, prefix] = [await redisUrl(), `test:${randomUUID()}`]
  const { app, pool, warnings } = await setUp(t, 1, { redisUrl: url, redisPrefix: prefix })
  const { rows } = await pool.query<{ id: string }>('select id from posts')
  const client = new Redis(url)
  t.teardown(() => client.disconnect())
  for (const time of ['first', 'second']) {
    const fields = { 'no view': 1, [`0 ${randomUUID()}`]: 1, [`0 ${rows[0]?.id}`]: 2 }
    await client.hset(`{${prefix}}:views:buffer`, fields)
    t.match(await app.postViews.flush(), { batches: 1, waiting: 0, aside: 0 }, time)
  }
  t.match((await pool.query('select views from post_views_total')).rows, [{ views: '4' }])
  t.equal(warnings.length, 2)
  t.match(warnings[0], /counts in Redis that another program has written/)
  t.match(warnings[1], /not of the type of posts\.id/)
})

t.test('a batch that cannot be counted is set aside, with a warning, and the others are counted', async (t) => {
  const { app, pool, warnings } = await setUp(t, 2, { redisUrl: await redisUrl(), redisPrefix: `test:${randomUUID()}` })
  // As with a partitioned counter that lacks a partition.
  await pool.query(`
    create function refuse() returns trigger language plpgsql as $$ begin
      if new.post_id = (select id from posts where slug = 'post-1') then raise check_violation; end if; return new;
    end $$;
    create trigger refuse before insert on post_views_daily for each row execute function refuse()`)
  const view = (slug: string) =>
    app.postViews.record({ slug, request: { method: 'GET', ip: '203.0.113.9', headers: { 'user-agent': FIREFOX } } })
  t.equal(await view('post-1'), 'counted')
  await t.rejects(app.postViews.flush(), { code: '23514' })
  t.equal(await view('post-2'), 'counted')
  t.match(await app.postViews.flush(), { views: 1, batches: 1, aside: 1 })
  const { rows } = await pool.query('select slug, views from post_views_total join posts on id = post_id')
  t.strictSame(rows, [{ slug: 'post-2', views: '1' }])
  t.match(
    warnings.map((line) => JSON.parse(line).msg),
    [/a batch of views cannot be counted, retrying it in ten minutes/, /views could not be counted/],
  )
})

t.test('unknown slugs take no memory', async (t) => {
  const { app } = await setUp(t, 1)
  const findPost = async (slug: string) => servicesOf(app).database?.views.findPost(slug)
  const slugs = 1_000
  /** Slugs that are looked up together share a statement. */
  async function findPosts(slugOf: (number: number) => string): Promise<void> {
    for (let first = 0; first < slugs; first += 100)
      await Promise.all(Array.from({ length: 100 }, (_none, index) => findPost(slugOf(first + index))))
  }
  await findPost('warm')
  const inLongAddresses = await heapGrowth(async () => {
    await findPosts((number) => {
      const address = Buffer.from(`/posts/no-such-post-${number}/views?`.padEnd(15_000, 'x')).toString()
      return address.slice('/posts/'.length, address.indexOf('/views'))
    })
  })
  t.ok(inLongAddresses < slugs * 5_000, `${inLongAddresses} bytes`)
  const long = await heapGrowth(async () => {
    await findPosts((number) => `${number}`.padEnd(15_000, 'x'))
  })
  t.ok(long < slugs * 5_000, `${long} bytes`)
})
