/**
 * Measures the database time of a cold list: the ranking over 10,000 posts with 1, 10 and 100 million views, for every
 * kind of window. It is compared with a table of one row a view, counted for each list (the blog that this package was
 * made for did that; up to `--raw` million views). `npm run bench:cold`; `-- --posts 10000 --views 1,10,100 --raw 10
 * --rounds 9 --write`.
 */
import { parseArgs } from 'node:util'
import { Kysely, PostgresDialect, sql } from 'kysely'
import { Pool } from 'pg'
import { migrateToLatest } from '../db/migrate.ts'
import { findPopularPosts } from '../db/ranking.ts'
import type { Database } from '../db/schema.ts'
import { materializeWindow } from '../db/store-rollups.ts'
import { startPostgres } from '../test/helpers/private-postgres.ts'
import { fillRawViews } from './fixtures/raw-views.ts'
import { versionOf } from './machine.ts'
import { createReport } from './report.ts'
import { median, medianRatio, ms } from './rounds.ts'

const { values } = parseArgs({
  options: {
    posts: { type: 'string', default: '10000' },
    views: { type: 'string', default: '1,10,100' },
    raw: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '9' },
    write: { type: 'boolean', default: false },
  },
})
const [posts, raw, rounds] = [Number(values.posts), Number(values.raw), Number(values.rounds)]
const millions = values.views.split(',').map(Number)
if (![posts, rounds, ...millions].every((count) => Number.isInteger(count) && count >= 1) || !(raw >= 0))
  throw new TypeError('Expected --posts, --views (in millions, with commas between them) and --rounds of at least 1.')

/** The days for which the blog has views. */
const DAYS = 400
const WINDOWS = [1, 7, 30, 365, 0]
const timeZone = 'UTC'

const nameOf = (days: number) => (days === 0 ? 'all time' : days === 1 ? '1 day' : `${days} days`)

/** The share of each post in all views: post n has 1/n of the views of the first post. */
const SHARES = `select id as post_id, 1.0 / id / (select sum(1.0 / n) from generate_series(1, ${posts}) n) as share from posts`

async function fill(pool: Pool, views: number): Promise<void> {
  await pool.query(`
    insert into posts (slug, title, url, excerpt, published_at)
    select 'post-' || n, 'A post of the blog, number ' || n, '/posts/post-' || n, repeat('x', 200), now() - interval '500 days'
    from generate_series(1, ${posts}) n`)
  // Fractions of views are rounded at random: 0.3 views are one view with a probability of 0.3.
  await pool.query(`
    select setseed(0.5);
    with s as (${SHARES})
    insert into post_views_daily
    select * from (
      select current_date - d, post_id, floor(share * ${views / DAYS} + random())::bigint as views
      from generate_series(0, ${DAYS - 1}) d, s
    ) as made where views > 0;
    with s as (${SHARES})
    insert into post_views_hourly
    select * from (
      select date_trunc('hour', now()) - h * interval '1 hour', post_id,
        floor(share * ${views / DAYS / 24} + random())::bigint as views
      from generate_series(0, 47) h, s
    ) as made where views > 0;
    insert into post_views_total
    select post_id, sum(views), max(extract(epoch from day)) / 86400 from post_views_daily group by post_id`)
  await pool.query('vacuum analyze')
}

const original = (days: number) => `
  select posts.*, count(raw_views.id) as views from posts
  left join raw_views on raw_views.post_id = posts.id
    ${days === 0 ? '' : `and raw_views.viewed_at >= now() - interval '${days} days'`}
  where posts.published_at <= now() group by posts.id order by views desc limit 10`

type Query = 'ours' | 'trending' | 'original'
type Work = () => Promise<unknown>
/** Milliseconds, one value a round, by window, query and million views. */
const samples = new Map<string, number[]>()
const key = (days: number, way: Query | 'first', million: number) => `${days} ${way} ${million}`
const note = (name: string, value: number) => samples.set(name, [...(samples.get(name) ?? []), value])

/** The queries to measure in a database with `million` million views. */
function queriesOf(db: Kysely<Database>, million: number): [string, Work][] {
  return WINDOWS.flatMap((days): [string, Work][] => [
    [key(days, 'ours', million), () => findPopularPosts(db, { days, sort: 'views', limit: 50, timeZone })],
    [key(days, 'trending', million), () => findPopularPosts(db, { days, sort: 'trending', limit: 50, timeZone })],
    ...(million <= raw
      ? [[key(days, 'original', million), () => sql.raw(original(days)).execute(db)] as [string, Work]]
      : []),
  ])
}

const report = createReport('bench:cold', values)
// Autovacuum after the tables are filled would take the second core.
// After an asynchronous commit, vacuum would not mark all pages as visible, so an index alone would not be enough.
const postgres = await startPostgres({
  settings: { shared_buffers: '1GB', autovacuum: 'off', synchronous_commit: 'on' },
})
const databases: Kysely<Database>[] = []
try {
  report.say(
    `${versionOf(postgres)}. ${posts} posts read for ${DAYS} days; milliseconds, medians of ${rounds} rounds in turn, after one to ` +
      'warm up.',
  )
  const admin = new Pool({ connectionString: postgres.url, max: 1 })
  const queries: [string, Work][] = []
  for (const million of millions) {
    const name = `cold_${million}`
    await admin.query(`create database ${name}`)
    const url = new URL(postgres.url)
    url.pathname = `/${name}`
    const pool = new Pool({ connectionString: url.href, max: 1 })
    // The server may end before the pool.
    pool.on('error', () => {})
    const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
    databases.push(db)
    await migrateToLatest(db)
    report.progress(`${million} million views${million <= raw ? ', and a row for each' : ''}`)
    await fill(pool, million * 1e6)
    if (million <= raw) {
      await fillRawViews(pool)
      await pool.query('vacuum analyze')
    }
    for (const days of WINDOWS)
      if (days > 1) note(key(days, 'first', million), await ms(() => materializeWindow(db, { days, timeZone })))
    queries.push(...queriesOf(db, million))
  }
  await admin.query('checkpoint')
  await admin.end()
  for (let round = 0; round <= rounds; round += 1) {
    report.progress(`round ${round} of ${rounds}`)
    for (const [name, work] of queries) {
      const took = await ms(work)
      if (round > 0) note(name, took)
    }
  }
  const [least, most] = [Math.min(...millions), Math.max(...millions)]
  const rowOf = (days: number, way: Query | 'first', name: string) => {
    const timesOf = (million: number) => samples.get(key(days, way, million)) ?? []
    const times = millions.map((million) => median(timesOf(million)).toFixed(1))
    const ratio = medianRatio(timesOf(most), timesOf(least))
    return [name, ...times, ratio.toFixed(2)].map((cell) => (cell.startsWith('NaN') ? '-' : cell))
  }
  report.table([
    ['window', ...millions.map((million) => `${million} million views`), `${most} / ${least} million`],
    ...WINDOWS.flatMap((days) => [
      rowOf(days, 'ours', `**${nameOf(days)}**`),
      rowOf(days, 'trending', `${nameOf(days)}, trending`),
      ...(days > 1 ? [rowOf(days, 'first', `${nameOf(days)}: to keep its sum, once a day`)] : []),
      ...(raw > 0 ? [rowOf(days, 'original', `${nameOf(days)}, a row for each view`)] : []),
    ]),
  ])
  report.end()
} finally {
  for (const db of databases) await db.destroy()
  await postgres.remove()
}
