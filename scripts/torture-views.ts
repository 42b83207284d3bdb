/**
 * Views are sent by parallel clients to two servers, while servers and flushers are killed and frozen at random and
 * their connections cut. At the end the database must have counted exactly the views that Redis took, for each post,
 * day and hour. `npm run torture:views -- --views 100000 --kills 50 --seed 1`
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import { migrateToLatest } from '../db/migrate.ts'
import type { Database } from '../db/schema.ts'
import { startPostgres } from '../test/helpers/private-postgres.ts'
import { runProgram } from '../test/helpers/program.ts'
import { createRandom } from '../test/helpers/random.ts'
import { startRedis } from '../test/helpers/redis.ts'
import { startViewCounter, type ViewCounter } from '../test/helpers/view-fleet.ts'
import { describe, readCountedViews, watchAcceptedViews } from '../test/helpers/view-ledger.ts'

const { values } = parseArgs({
  options: {
    views: { type: 'string', default: '100000' },
    kills: { type: 'string', default: '50' },
    seed: { type: 'string', default: '1' },
  },
})
const [views, kills, seed] = [Number(values.views), Number(values.kills), Number(values.seed)]
if (![views, kills, seed].every((number) => Number.isInteger(number) && number > 0))
  throw new TypeError('Expected --views, --kills and --seed, whole numbers above 0.')

const [SERVERS, FLUSHERS, CLIENTS, POSTS] = [2, 2, 16, 20]
const PREFIX = 'torture'
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

const say = (text: string) => process.stdout.write(`${text}\n`)
const random = createRandom(seed)
const between = (from: number, to: number) => from + (to - from) * random()
const pick = <T>(choices: readonly T[]) => choices[Math.floor(between(0, choices.length))]
const ends: (() => Promise<unknown>)[] = []
const t = { teardown: (end: () => Promise<unknown>) => ends.unshift(end) }

const [postgres, redis] = await Promise.all([startPostgres(), startRedis()])
t.teardown(() => Promise.all([postgres.remove(), redis.stop()]))
const pool = new Pool({ connectionString: postgres.url, max: 3 })
pool.on('error', () => undefined)
const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
t.teardown(() => db.destroy())
await migrateToLatest(db)
const slugs = Array.from({ length: POSTS }, (_none, index) => `post-${index}`)
await db
  .insertInto('posts')
  .values(slugs.map((slug) => ({ slug, title: slug, url: `/${slug}`, published_at: new Date(0) })))
  .execute()
const ledger = await watchAcceptedViews(redis.url)
t.teardown(async () => ledger.close())

const options = {
  databaseUrl: postgres.url,
  redisUrl: redis.url,
  prefix: PREFIX,
  viewsPerMinute: 0,
  viewFlushSeconds: 1,
  viewDedupSeconds: 86_400,
}
const running = new Set<ViewCounter>()
const work = new Set<Promise<void>>()
const counts = { sent: 0, repeats: 0, unanswered: 0, kills: 0, freezes: 0, terminated: 0, cuts: 0 }
let started = 0
let isOver = false

async function start(flushes: boolean): Promise<void> {
  started += 1
  const name = `${flushes ? 'flusher' : 'server'}-${started}`
  const counter = await startViewCounter(t, name, crashed, { ...options, flushes })
  if (isOver) await counter.kill('SIGKILL')
  else running.add(counter)
}

/** A process that ends by itself ends the run. */
function crashed(sentence: string): void {
  say(sentence)
  process.exit(1)
}

/** Runs a task while views are sent. */
function inBackground(task: Promise<void>): void {
  const tracked = task.finally(() => work.delete(tracked))
  work.add(tracked)
}

/** Takes one out of service. */
async function takeOne(): Promise<ViewCounter> {
  let victim = pick([...running])
  for (; victim === undefined; victim = pick([...running])) await sleep(5)
  running.delete(victim)
  return victim
}

const faults = {
  async kill() {
    const victim = await takeOne()
    await victim.kill('SIGKILL')
    counts.kills += 1
    inBackground(start(victim.flushes))
  },
  async freeze() {
    const victim = await takeOne()
    await victim.kill('SIGSTOP')
    counts.freezes += 1
    // Sometimes longer than the timeouts of commands to Redis and of connections.
    const thawAtMs = performance.now() + (random() < 0.2 ? 11_000 : between(50, 2_000))
    const thaw = async () => {
      while (performance.now() < thawAtMs && !isOver) await sleep(10)
      await victim.kill(isOver ? 'SIGKILL' : 'SIGCONT')
      running.add(victim)
    }
    inBackground(thaw())
  },
  /** PostgreSQL ends the connections that are in use. */
  async terminate() {
    const { rowCount } = await pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name ~ '^(server|flusher)-' and (state <> 'idle' or random() < 0.3)`,
    )
    counts.terminated += rowCount ?? 0
  },
  async cut() {
    await ledger.cut(() => random() < 0.5)
    counts.cuts += 1
  },
}
const extras = (['freeze', 'terminate', 'cut'] as const).flatMap((name) => Array(Math.ceil(kills / 4)).fill(name))
const plan = [...Array(kills).fill('kill'), ...extras]
  .map((name: keyof typeof faults) => ({ name, atView: Math.floor(between(0, views)) }))
  .sort((a, b) => a.atView - b.atView)

async function makeFaults(): Promise<void> {
  for (;;) {
    const [next] = plan
    if (next === undefined) return
    if (counts.sent < next.atView) await sleep(2)
    else {
      await faults[next.name]()
      plan.shift()
    }
  }
}

/** Each view has its own visitor; every tenth is sent twice. Retries until a server answers. */
async function sendViews(): Promise<void> {
  while (counts.sent < views) {
    const number = counts.sent
    // Most views are of a few posts.
    const slug = slugs[Math.floor(POSTS * random() ** 3)] ?? ''
    counts.sent += 1
    counts.repeats += number % 10 === 0 ? 1 : 0
    for (let times = number % 10 === 0 ? 2 : 1; times > 0; times -= 1) {
      while ((await sendOne(slug, number)) !== 204) counts.unanswered += 1
    }
    // Waits for the faults, which run in order.
    while ((plan[0]?.atView ?? views) < counts.sent - CLIENTS) await sleep(2)
  }
}

async function sendOne(slug: string, visitor: number): Promise<number> {
  const isServer = ({ flushes }: ViewCounter) => !flushes
  let server = pick([...running].filter(isServer))
  for (; server === undefined; server = pick([...running].filter(isServer))) await sleep(10)
  const ip = `10.${visitor >> 16}.${(visitor >> 8) & 255}.${visitor & 255}`
  return server.view(slug, { ip, userAgent: FIREFOX })
}

function report(): string {
  const { sent, repeats, unanswered, kills, freezes, terminated, cuts } = counts
  return (
    `${Math.round(performance.now() / 1000)} s: ${sent} views sent (and ${repeats} twice, ${unanswered} without an answer), ` +
    `${ledger.views()} taken by Redis; ${kills} killed, ${freezes} frozen, ${terminated} connections to PostgreSQL ended, ` +
    `to Redis cut ${cuts} times; ${ledger.unfinished()} flushes ended with a batch in their hands`
  )
}

say(`torture: ${views} views, ${kills} kills, seed ${seed}`)
const progress = setInterval(() => say(report()), 10_000)
const wrong: string[] = []
try {
  await Promise.all([...Array(SERVERS).fill(false), ...Array(FLUSHERS).fill(true)].map(start))
  await Promise.all([makeFaults(), ...Array.from({ length: CLIENTS }, sendViews)])
  isOver = true
  await Promise.all([...running].map((counter) => counter.kill('SIGKILL')))
  await Promise.all(work)
  // Retries, because PostgreSQL may still run the transaction of a killed process.
  for (let tries = 0; tries < 10; tries += 1) {
    const { buffers, batches } = await ledger.waiting(PREFIX)
    if (buffers + batches === 0) break
    say(`no process runs; ${buffers} buffer and ${batches} batches wait in Redis`)
    const env = { DATABASE_URL: postgres.url, REDIS_URL: redis.url, CACHE_PREFIX: PREFIX }
    const flush = runProgram(t, 'bin/popular-posts.ts', { args: ['flush'], env, isCovered: false })
    await flush.ended()
    say(`popular-posts flush: ${flush.stdout().trim()}${flush.stderr()}`)
  }
  const counted = await readCountedViews(pool)
  say(`Redis took ${ledger.views()} views; counted ${describe(counted)}`)
  wrong.push(...(await ledger.compare(counted)))
  if (ledger.views() > views) wrong.push(`Redis took ${ledger.views()} of ${views} views`)
  if (counts.kills !== kills) wrong.push(`${counts.kills} kills, expected ${kills}`)
} finally {
  clearInterval(progress)
  for (const end of ends) await end()
}
for (const sentence of wrong) say(sentence)
say(`seed ${seed}, ${report()}: ${wrong.length === 0 ? 'every view is counted exactly once' : 'WRONG'}`)
process.exitCode = wrong.length === 0 ? 0 : 1
