/**
 * Measures the latency of cached lists while the same process counts the backlog of a long outage of PostgreSQL, and
 * without that work, in alternating rounds. At the end it counts the rest and compares the sums.
 * `npm run bench:backlog`; `-- --posts 100000 --quarters 960` (posts with views in each quarter of an hour, and
 * quarters of an hour).
 */
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import { bucketStart } from '../db/count-views.ts'
import { migrateToLatest } from '../db/migrate.ts'
import type { Database } from '../db/schema.ts'
import { startPostgres } from '../test/helpers/private-postgres.ts'
import { runProgram } from '../test/helpers/program.ts'
import { startRedis } from '../test/helpers/redis.ts'
import type { FlushResult } from '../views/flusher.ts'
import { sendLoad } from './http-load.ts'
import { machine, versionOf } from './machine.ts'
import { inTurn, median, medianRatio, p99 } from './rounds.ts'

const { values } = parseArgs({
  options: {
    posts: { type: 'string', default: '10000' },
    quarters: { type: 'string', default: '96' },
    rounds: { type: 'string', default: '5' },
    requests: { type: 'string', default: '5000' },
  },
})
const [posts, quarters, rounds] = [Number(values.posts), Number(values.quarters), Number(values.rounds)]
const requests = Number(values.requests)
if (![posts, quarters, rounds, requests].every((count) => Number.isInteger(count) && count >= 1))
  throw new TypeError('Expected --posts, --quarters, --rounds and --requests, whole numbers above 0.')

const BUFFER = '{blog:popular}:views:buffer'
const VIEWS = 3
/** About 1,000 requests a second: the process has idle time, as in production. */
const READERS = { connections: 10, pauseMs: 10 }
const say = (text: string) => process.stdout.write(`${text}\n`)
const cleanups: (() => Promise<unknown>)[] = []
const t = { teardown: (end: () => Promise<unknown>) => cleanups.unshift(end) }

/** Durable, as in production. The servers of the tests are not. */
const settings = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' }
const [postgres, redis] = await Promise.all([startPostgres({ settings }), startRedis()])
t.teardown(() => Promise.all([postgres.remove(), redis.stop()]))
const pool = new Pool({ connectionString: postgres.url, max: 2 })
pool.on('error', () => undefined)
const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
t.teardown(() => db.destroy())
const client = new Redis(redis.url)
t.teardown(async () => client.disconnect())

async function fill(): Promise<void> {
  await migrateToLatest(db)
  await pool.query(`
    insert into posts (slug, title, url, published_at)
    select 'post-' || n, 'A post', '/posts/post-' || n, now() from generate_series(1, ${posts}) n`)
  const nowMs = bucketStart(Date.now())
  for (let quarter = 0; quarter < quarters; quarter += 1) {
    for (let first = 1; first <= posts; first += 1_000) {
      const numbers: (string | number)[] = []
      for (let post = first; post < first + 1_000 && post <= posts; post += 1)
        numbers.push(`${nowMs - quarter * 900_000} ${post}`, VIEWS)
      await client.hset(BUFFER, ...numbers)
    }
  }
}

let url = ''
async function flush(): Promise<FlushResult> {
  return (await (await fetch(`${url}/flush`, { method: 'POST' })).json()) as FlushResult
}

/** The p99 of cached lists, in milliseconds. */
async function read(): Promise<number> {
  const request = 'GET /posts/popular HTTP/1.1\r\nhost: x\r\n\r\n'
  const port = Number(new URL(url).port)
  const load = { port, ...READERS, requests, requestOf: () => request }
  const { latenciesMs, statuses } = await sendLoad(load)
  if (statuses['200'] !== requests) throw new Error(`expected 200, got ${JSON.stringify(statuses)}`)
  return p99(latenciesMs)
}

try {
  say(`${machine()}; ${versionOf(postgres)}; ${versionOf(redis)}`)
  await fill()
  say(`${posts} posts in ${quarters} quarters of an hour: ${posts * quarters} numbers wait in Redis`)
  const server = runProgram(t, 'bench/views-server.ts', { args: ['ours', postgres.url, redis.url, '0'] })
  url = (await server.says(/http:\S+/))[0] ?? ''
  await read()
  const latencies = { without: [] as number[], with: [] as number[] }
  let waiting = Infinity
  let seconds = 0
  /** Runs one flush, which ends after about 10 s. */
  async function runFlush(): Promise<void> {
    const startedAtMs = performance.now()
    waiting = (await flush()).waiting
    seconds += (performance.now() - startedAtMs) / 1000
  }
  for (let round = 0; round < rounds && waiting > 0; round += 1) {
    for (const way of inTurn(['without', 'with'] as const, round)) {
      if (way === 'without') latencies.without.push(await read())
      else {
        const counting = runFlush()
        latencies.with.push(await read())
        await counting
      }
    }
  }
  while (waiting > 0) await runFlush()
  const [without, during] = [median(latencies.without), median(latencies.with)]
  say(
    `p99 of cached lists: ${without.toFixed(2)} ms; during a flush: ${during.toFixed(2)} ms; ratio ` +
      `${medianRatio(latencies.with, latencies.without).toFixed(2)}, the median of ${latencies.with.length} rounds`,
  )
  const { rows } = await pool.query<{ total: string; days: string }>(
    'select (select sum(views) from post_views_total) as total, (select sum(views) from post_views_daily) as days',
  )
  const all = posts * quarters * VIEWS
  const isExact = [rows[0]?.total, rows[0]?.days].every((sum) => Number(sum) === all)
  const verdict = isExact ? 'the sums are exact' : `WRONG: ${JSON.stringify(rows)} of ${all}`
  say(`the flushes took ${seconds.toFixed(0)} s; ${verdict}`)
  process.exitCode = isExact ? 0 : 1
} finally {
  for (const end of cleanups) await end()
}
