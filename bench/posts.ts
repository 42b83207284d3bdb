/**
 * Measures the database time of cold lists in blogs of different sizes, beside other ways to rank posts: the same statement
 * when it reads all posts, a row for each view, a materialized view, and a sorted set of Redis for each day. Then readers request
 * six lists of the last blog while a post is withdrawn, or published again, every two seconds.
 * `npm run bench:posts`; `-- --blogs 10000:10000,1000000:10000,1000000:100000 --rounds 5 --write`. A blog is `POSTS:READ`: the
 * number of posts, and how many of them have a view on a day.
 */
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import { findCategories } from '../db/categories.ts'
import { findFilters } from '../db/filters.ts'
import { migrateToLatest } from '../db/migrate.ts'
import { findPopularPosts } from '../db/ranking.ts'
import type { Database } from '../db/schema.ts'
import { materializeWindow } from '../db/store-rollups.ts'
import { startPostgres } from '../test/helpers/private-postgres.ts'
import { runProgram } from '../test/helpers/program.ts'
import { startRedis } from '../test/helpers/redis.ts'
import { fillRawViews } from './fixtures/raw-views.ts'
import { sendLoad } from './http-load.ts'
import { versionOf } from './machine.ts'
import { createReport } from './report.ts'
import { median, ms, p99 } from './rounds.ts'

const { values } = parseArgs({
  options: {
    blogs: { type: 'string', default: '10000:10000,1000000:10000,1000000:100000' },
    rounds: { type: 'string', default: '5' },
    write: { type: 'boolean', default: false },
  },
})
const rounds = Number(values.rounds)
const blogs = values.blogs.split(',').map((name) => {
  const [posts = 0, read = 0] = name.split(':').map(Number)
  return { name, posts, read }
})
if (!(rounds >= 1) || !blogs.every(({ posts, read }) => read >= 2 && posts >= read))
  throw new TypeError('Expected --blogs as POSTS:READ, with commas between them, and --rounds of at least 1.')

/** The days for which the blogs have views. */
const DAYS = 40
const WINDOW = 30
const timeZone = 'UTC'

/** Half of the posts that are read on a day are read each day, the first ones most; the others have a view or two. */
async function fill(pool: Pool, { posts, read }: { posts: number; read: number }): Promise<void> {
  await pool.query(`
    insert into categories (slug, name) select 'category-' || n, 'Category ' || n from generate_series(0, 49) n;
    insert into tags (slug, name) select 'tag-' || n, 'Tag ' || n from generate_series(0, 999) n;
    insert into authors (slug, name) select 'author-' || n, 'Author ' || n from generate_series(0, 99) n;
    insert into posts (slug, title, url, excerpt, published_at, author_id)
    select 'post-' || n, 'A post of the blog, number ' || n, '/posts/post-' || n, repeat('x', 200), now() - interval '500 days', authors.id
    from generate_series(1, ${posts}) n join authors on authors.slug = 'author-' || n % 100;
    insert into post_categories (post_id, category_id)
    select posts.id, categories.id from posts join categories on categories.slug = 'category-' || posts.id % 50;
    insert into post_tags (post_id, tag_id) select posts.id, tags.id from posts join tags on tags.slug = 'tag-' || posts.id % 1000;
    insert into authors (slug, name) values ('guest', 'Guest');
    update posts set author_id = authors.id from authors where authors.slug = 'guest' and posts.id % (${posts} / 20) = 1;
    update posts set published_at = now() - interval '10 hours' where id % (${posts} / 40) = 1;
    update posts set language = 'fr' where id % (${posts} / 50) = 1`)
  await pool.query(`
    select setseed(0.5);
    insert into post_views_daily
    select current_date - d, post, 1 + floor(random() * ${read} / post)
    from generate_series(0, ${DAYS - 1}) d, generate_series(1, ${read}) n,
      lateral (select case when n <= ${read / 2} then n
        else ${read / 2} + 1 + (n::bigint * 104729 + d * 7919) % ${posts - read / 2} end::bigint as post) as chosen
    on conflict do nothing;
    insert into post_views_hourly
    select date_trunc('hour', now()) - h * interval '1 hour', post_id, 1 + views / 24
    from generate_series(0, 47) h join post_views_daily on day = current_date - h / 24 and (post_id + h) % 24 < 3;
    insert into post_views_total
    select post_id, sum(views), max(extract(epoch from day)) / 86400 + ln(sum(views)) from post_views_daily group by post_id`)
  await fillRawViews(pool)
  await pool.query(`
    create materialized view popular as
    select post_id, sum(views) as views from post_views_daily where day >= current_date - ${WINDOW} group by post_id;
    create unique index on popular (post_id);
    create index on popular (views)`)
  await pool.query('vacuum analyze')
}

const ROW_FOR_EACH_VIEW = `
  select posts.*, count(raw_views.id) as views from posts
  left join raw_views on raw_views.post_id = posts.id and raw_views.viewed_at >= now() - interval '${WINDOW} days'
  where posts.published_at <= now() group by posts.id order by views desc limit 50`
const FROM_MATERIALIZED_VIEW = `
  select posts.*, popular.views from popular join posts on posts.id = popular.post_id
  where posts.published_at <= now() order by popular.views desc limit 50`

/** The names of the sorted sets of a window, and their creation from the counters. */
async function fillRedis(redis: Redis, pool: Pool, name: string): Promise<string[]> {
  const keys = Array.from({ length: WINDOW + 1 }, (_none, day) => `${name}:${day}`)
  for (const [day, key] of keys.entries()) {
    const { rows } = await pool.query(
      'select post_id, views from post_views_daily where day = current_date - $1::integer',
      [day],
    )
    for (let start = 0; start < rows.length; start += 5_000)
      await redis.zadd(key, ...rows.slice(start, start + 5_000).flatMap((row) => [row.views, row.post_id]))
  }
  return keys
}

/** Milliseconds, one value a round, by way and blog. */
const samples = new Map<string, number[]>()
const key = (way: string, blog: string) => `${way} ${blog}`
const note = (name: string, value: number) => samples.set(name, [...(samples.get(name) ?? []), value])

type Ways = Record<string, () => Promise<unknown>>

function waysOf(db: Kysely<Database>, pool: Pool, redis: Redis, keys: string[]): Ways {
  const list =
    (days: number, filter: object = {}, reach?: number) =>
    () =>
      findPopularPosts(db, { days, sort: 'views', limit: 50, timeZone, ...filter }, reach)
  return {
    '**1 day**': list(1),
    '**30 days**': list(30),
    '**all time**': list(0),
    '**trending**': list(30, { sort: 'trending' }),
    '**30 days, a category of 2 %**': list(30, { category: ['category-7'] }),
    '**30 days, a tag of 0.1 %**': list(30, { tag: ['tag-7'] }),
    '**30 days, an author of 20 posts**': list(30, { author: ['guest'] }),
    '**30 days, 40 posts of the last day**': list(30, { publishedWithin: 1 }),
    '**30 days, a language of 50 posts**': list(30, { language: 'fr' }),
    '**30 days, all but a category**': list(30, { excludeCategory: ['category-7'] }),
    '**categories, 30 days**': () => findCategories(db, { days: 30, timeZone }),
    '**the slugs of all filters**': () => findFilters(db),
    '30 days, reading all posts': list(30, {}, 0),
    '30 days, a row for each view': () => pool.query(ROW_FOR_EACH_VIEW),
    '30 days, from a materialized view': () => pool.query(FROM_MATERIALIZED_VIEW),
    '30 days, to refresh that view': () => pool.query('refresh materialized view concurrently popular'),
    '30 days, a sorted set for each day': async () => {
      await redis.zunionstore('united', keys.length, keys)
      await redis.zrevrange('united', 0, 49, 'WITHSCORES')
    },
  }
}

const PATHS = ['', '?days=0', '?sort=trending', '?category=category-7', '?tag=tag-7', '?days=7']

/** About 500 requests a second to the service for 20 seconds or more. */
async function readDuringChanges(url: string, pool: Pool): Promise<string> {
  const ends: (() => unknown)[] = []
  const t = { teardown: (end: () => unknown) => ends.unshift(end) }
  const service = runProgram(t, 'server.ts', { env: { PORT: '0', DATABASE_URL: url } })
  let changes = 0
  const timer = setInterval(() => {
    changes += 1
    void pool.query('update posts set is_private = not is_private where id = 1')
  }, 2_000)
  try {
    const [, port] = await service.says(/http:\/\/127\.0\.0\.1:(\d+)/)
    const requestOf = (number: number) =>
      `GET /posts/popular${PATHS[number % PATHS.length]} HTTP/1.1\r\nhost: blog\r\n\r\n`
    const load = { port: Number(port), connections: 50, pauseMs: 100, requests: 10_000, requestOf }
    const { latenciesMs, statuses, seconds } = await sendLoad(load)
    return (
      `${changes} hard invalidations in ${seconds.toFixed(0)} s under 10,000 requests for six lists: ` +
      `${Object.entries(statuses)
        .map(([status, count]) => `${count} of status ${status}`)
        .join(', ')}; ` +
      `median ${median(latenciesMs).toFixed(1)} ms, p99 ${p99(latenciesMs).toFixed(0)} ms.`
    )
  } finally {
    clearInterval(timer)
    for (const end of ends) await end()
  }
}

const FIRST = '30 days: to store its sum, once a day'
const report = createReport('bench:posts', values)
// Autovacuum after the tables are filled would take the second core.
// After an asynchronous commit, vacuum would not mark all pages as visible, so an index alone would not be enough.
const settings = { shared_buffers: '6GB', autovacuum: 'off', synchronous_commit: 'on', max_wal_size: '8GB' }
const [postgres, server] = await Promise.all([startPostgres({ settings }), startRedis()])
const redis = new Redis(server.url)
const ends: (() => Promise<unknown>)[] = []
try {
  report.say(
    `${versionOf(postgres)}, ${versionOf(server)}. A blog is its posts, and how many of them have a view on a day, for ${DAYS} ` +
      `days; milliseconds, medians of ${rounds} rounds in turn, after one to warm up.`,
  )
  const all: { name: string; url: string; pool: Pool; ways: Ways }[] = []
  for (const blog of blogs) {
    const database = `posts_${blog.name.replace(':', '_')}`
    const admin = new Pool({ connectionString: postgres.url, max: 1 })
    await admin.query(`create database ${database}`)
    await admin.end()
    const url = new URL(postgres.url)
    url.pathname = `/${database}`
    const pool = new Pool({ connectionString: url.href, max: 1 })
    // The server may end before the pool.
    pool.on('error', () => {})
    const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
    ends.push(() => db.destroy())
    await migrateToLatest(db)
    report.progress(`${blog.name}: posts, views, and a row for each view`)
    await fill(pool, blog)
    const keys = await fillRedis(redis, pool, blog.name)
    note(key(FIRST, blog.name), await ms(() => materializeWindow(db, { days: WINDOW, timeZone })))
    // The others that a service stores after its first flushes.
    for (const days of [7, 90, 365]) await materializeWindow(db, { days, timeZone })
    await pool.query('vacuum analyze post_views_window')
    all.push({ name: blog.name, url: url.href, pool, ways: waysOf(db, pool, redis, keys) })
  }
  for (let round = 0; round <= rounds; round += 1) {
    report.progress(`round ${round} of ${rounds}`)
    for (const { name, ways } of all)
      for (const [way, work] of Object.entries(ways)) {
        const took = await ms(work)
        if (round > 0) note(key(way, name), took)
      }
  }
  const [first] = all
  report.table([
    ['list', ...all.map(({ name }) => name.replace(':', ' posts, ').concat(' read'))],
    ...[FIRST, ...Object.keys(first?.ways ?? {})].map((way) => [
      way,
      ...all.map(({ name }) => median(samples.get(key(way, name)) ?? []).toFixed(1)),
    ]),
  ])
  const [last] = all.slice(-1)
  if (last !== undefined) report.say(await readDuringChanges(last.url, last.pool))
  report.end()
} finally {
  redis.disconnect()
  for (const end of ends) await end()
  await Promise.all([postgres.remove(), server.stop()])
}
