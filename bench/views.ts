/**
 * Measures how many views a second a server records, against an INSERT and an UPDATE for each view, on the same
 * PostgreSQL: over HTTP with the same route and clients, and without HTTP; ours until all views are in PostgreSQL. Also
 * measures the latency of a view against that of a cached list. `npm run bench:views`; `-- --rounds 5 --write`;
 * `-- --posts 1` (a launch: all views are of one post).
 */
import { parseArgs } from 'node:util'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import { migrateToLatest } from '../db/migrate.ts'
import type { Database } from '../db/schema.ts'
import { startPostgres } from '../test/helpers/private-postgres.ts'
import { runProgram } from '../test/helpers/program.ts'
import { startRedis } from '../test/helpers/redis.ts'
import { BROWSER, type RecordingMode, slugOf, visitorAddress } from './fixtures/views.ts'
import { sendLoad } from './http-load.ts'
import { versionOf } from './machine.ts'
import { createReport } from './report.ts'
import { median, medianRatio } from './rounds.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    posts: { type: 'string', default: '100' },
    write: { type: 'boolean', default: false },
  },
})
const [rounds, posts] = [Number(values.rounds), Number(values.posts)]
if (!(Number.isInteger(rounds) && rounds >= 2 && Number.isInteger(posts) && posts >= 1))
  throw new TypeError('Expected --rounds of at least 2 and --posts of at least 1.')

const AT_ONCE = 64
const VIEWS: Record<RecordingMode, number> = { ours: 20_000, original: 4_000, nothing: 20_000 }
/** One client, and enough clients to keep the server busy. */
const [ALONE, BUSY] = [
  { connections: 1, requests: 3_000 },
  { connections: 10, requests: 5_000 },
]
/** Durable, as in production. The servers of the tests are not. */
const settings = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' }

const report = createReport('bench:views', values)
const cleanups: (() => Promise<unknown>)[] = []
const t = { teardown: (end: () => Promise<unknown>) => cleanups.unshift(end) }
let visitors = 0

const [postgres, redis] = await Promise.all([startPostgres({ settings }), startRedis()])
t.teardown(() => Promise.all([postgres.remove(), redis.stop()]))
const pool = new Pool({ connectionString: postgres.url, max: 2 })
const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
t.teardown(() => db.destroy())

async function fill(): Promise<void> {
  await migrateToLatest(db)
  const rows = Array.from({ length: Math.max(posts, 50) }, (_none, index) => ({
    slug: `post-${index}`,
    title: `A post of the blog, number ${index}`,
    url: `/posts/post-${index}`,
    excerpt: 'x'.repeat(200),
    published_at: new Date(0),
  }))
  await db.insertInto('posts').values(rows).execute()
  // The lists of the original need a count to sort by, and an index on post and time.
  await pool.query(`
    alter table posts add column view_count bigint not null default 0;
    create index on posts (view_count);
    create table raw_views (id bigserial primary key, post_id bigint not null, viewed_at timestamptz not null default now(),
      ip text, user_agent text);
    create index on raw_views (post_id, viewed_at)`)
}

async function start(way: RecordingMode): Promise<string> {
  const server = runProgram(t, 'bench/views-server.ts', { args: [way, postgres.url, redis.url] })
  const [url = ''] = await server.says(/http:\S+/)
  return url
}

const COUNTED: Record<RecordingMode, string> = {
  ours: 'select coalesce(sum(views), 0) as views from post_views_total',
  original: 'select least(sum(view_count), (select count(*) from raw_views)) as views from posts',
  nothing: 'select 0 as views',
}

async function counted(way: RecordingMode): Promise<number> {
  const { rows } = await pool.query<{ views: string }>(COUNTED[way])
  return Number(rows[0]?.views)
}

/** Views a second, from the first request until the last view is in PostgreSQL. */
async function viewsPerSecond(way: RecordingMode, send: (views: number) => Promise<unknown>): Promise<number> {
  const before = await counted(way)
  const startedAtMs = performance.now()
  await send(VIEWS[way])
  if (way === 'ours') await (await fetch(`${urls.ours}/flush`, { method: 'POST' })).arrayBuffer()
  const seconds = (performance.now() - startedAtMs) / 1000
  if (way === 'nothing') return VIEWS[way] / seconds
  const views = (await counted(way)) - before
  if (views < VIEWS[way])
    report.say(`${way}: ${VIEWS[way] - views} of ${VIEWS[way]} views were dropped; the result leaves them out`)
  return views / seconds
}

function viewRequest(): string {
  visitors += 1
  const head = `POST /posts/${slugOf(visitors, posts)}/views HTTP/1.1\r\nhost: blog\r\nuser-agent: ${BROWSER}\r\n`
  return `${head}x-forwarded-for: ${visitorAddress(visitors)}\r\ncontent-length: 0\r\n\r\n`
}
const listRequest = () => `GET /posts/popular HTTP/1.1\r\nhost: blog\r\nuser-agent: ${BROWSER}\r\n\r\n`

async function overHttp(way: RecordingMode): Promise<number> {
  const load = { port: Number(new URL(urls[way]).port), connections: AT_ONCE, requestOf: viewRequest }
  return viewsPerSecond(way, async (requests) => {
    const { statuses } = await sendLoad({ ...load, requests })
    if (statuses['204'] !== requests) throw new Error(`expected only 204, got ${JSON.stringify(statuses)}`)
  })
}

async function withoutHttp(way: RecordingMode): Promise<number> {
  return viewsPerSecond(way, async (views) => {
    const body = JSON.stringify({ from: visitors + 1, views, atOnce: AT_ONCE, posts })
    visitors += views
    await fetch(`${urls[way]}/record`, { method: 'POST', body, headers: { 'content-type': 'application/json' } })
  })
}

async function latencyMs(load: typeof ALONE, requestOf: () => string): Promise<number> {
  return median((await sendLoad({ port: Number(new URL(urls.ours).port), ...load, requestOf })).latenciesMs)
}

/** The measurements of a round, in this order. */
const measures = {
  'ours, HTTP': () => overHttp('ours'),
  'original, HTTP': () => overHttp('original'),
  'only an answer, HTTP': () => overHttp('nothing'),
  ours: () => withoutHttp('ours'),
  original: () => withoutHttp('original'),
  'ms to answer a view': () => latencyMs(ALONE, viewRequest),
  'ms to answer a cached list': () => latencyMs(ALONE, listRequest),
  'ms to answer a view, busy': () => latencyMs(BUSY, viewRequest),
  'ms to answer a cached list, busy': () => latencyMs(BUSY, listRequest),
}
type Measure = keyof typeof measures
const names = Object.keys(measures) as Measure[]
const urls: Record<RecordingMode, string> = { ours: '', original: '', nothing: '' }

try {
  await fill()
  for (const way of ['ours', 'original', 'nothing'] as const) urls[way] = await start(way)
  report.say(
    `${versionOf(postgres)}, durable; ${versionOf(redis)}. ${AT_ONCE} views at once, of ${posts} posts; medians of ${rounds} rounds in ` +
      'turn, after one to warm up.',
  )
  const samples = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Measure, number[]>
  for (let round = 0; round <= rounds; round += 1) {
    report.progress(`round ${round} of ${rounds}`)
    for (const name of names) {
      const value = await measures[name]()
      if (round > 0) samples[name].push(value)
    }
  }
  const row = (title: string, a: Measure, b: Measure) => [
    ...[title, shown(median(samples[a])), shown(median(samples[b])), medianRatio(samples[a], samples[b]).toFixed(1)],
  ]
  report.table([
    ['views a second, until all are in PostgreSQL', 'ours', 'an INSERT and an UPDATE each', 'ratio'],
    row('recording', 'ours', 'original'),
    row('over HTTP, clients on the same cores', 'ours, HTTP', 'original, HTTP'),
    row('a route that only answers, instead of ours', 'only an answer, HTTP', 'original, HTTP'),
  ])
  report.table([
    ['milliseconds until it is answered', 'a view', 'a cached list', 'ratio'],
    row('one client', 'ms to answer a view', 'ms to answer a cached list'),
    row('a server that is never idle', 'ms to answer a view, busy', 'ms to answer a cached list, busy'),
  ])
  report.end()
} finally {
  for (const end of cleanups) await end()
}

function shown(value: number): string {
  return value < 100 ? value.toFixed(2) : String(Math.round(value))
}
