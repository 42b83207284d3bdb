/**
 * Sends views from parallel clients to two servers, while it kills and freezes servers and flushers at random and cuts
 * their connections. At the end the database must have exactly the views that Redis accepted, for each post, day and
 * hour. `npm run torture:views -- --views 100000 --kills 50 --seed 1`
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
  redisPrefix: PREFIX,
  viewsPerMinute: 0,
  viewFlushSeconds: 1,
  viewDedupSeconds: 86_400,
}
const running = new Set<ViewCounter>()
const backgroundTasks = new Set<Promise<void>>()
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

/** Ends the run when a process ends by itself. */
function crashed(sentence: string): void {
  say(sentence)
  process.exit(1)
}

/** Runs a background task while the clients send views. */
function runInBackground(task: Promise<void>): void {
  const tracked = task.finally(() => backgroundTasks.delete(tracked))
  backgroundTasks.add(tracked)
}

/** Removes a random process from those that clients and faults use. */
async function takeRandomProcess(): Promise<ViewCounter> {
  let victim = pick([...running])
  for (; victim === undefined; victim = pick([...running])) await sleep(5)
  running.delete(victim)
  return victim
}

const faults = {
  async kill() {
    const victim = await takeRandomProcess()
    await victim.kill('SIGKILL')
    counts.kills += 1
    runInBackground(start(victim.flushes))
  },
  async freeze() {
    const victim = await takeRandomProcess()
    await victim.kill('SIGSTOP')
    counts.freezes += 1
    // Sometimes longer than the timeouts of Redis commands and of connections.
    const thawAtMs = performance.now() + (random() < 0.2 ? 11_000 : between(50, 2_000))
    const thaw = async () => {
      while (performance.now() < thawAtMs && !isOver) await sleep(10)
      await victim.kill(isOver ? 'SIGKILL' : 'SIGCONT')
      running.add(victim)
    }
    runInBackground(thaw())
  },
  /** Terminates the connections to PostgreSQL that run a statement, and some idle ones. */
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

/** Sends views of different visitors, every tenth view twice. Retries each request until a reply with 204. */
async function sendViews(): Promise<void> {
  while (counts.sent < views) {
    const number = counts.sent
    // A few posts get most of the views.
    const slug = slugs[Math.floor(POSTS * random() ** 3)] ?? ''
    counts.sent += 1
    counts.repeats += number % 10 === 0 ? 1 : 0
    for (let times = number % 10 === 0 ? 2 : 1; times > 0; times -= 1) {
      while ((await sendOne(slug, number)) !== 204) counts.unanswered += 1
    }
    // Waits for the next fault, because faults run one after the other.
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
    `${Math.round(performance.now() / 1000)} s: ${sent} views sent (${repeats} of them twice; ${unanswered} requests ` +
    `failed), ${ledger.views()} accepted by Redis; ${kills} processes killed, ${freezes} frozen; ${terminated} ` +
    `connections to PostgreSQL terminated; connections to Redis cut ${cuts} times; ${ledger.unfinished()} flushes ended ` +
    'before they dropped their batch'
  )
}

say(`torture: ${views} views, ${kills} kills, seed ${seed}`)
const progress = setInterval(() => say(report()), 10_000)
const problems: string[] = []
try {
  await Promise.all([...Array(SERVERS).fill(false), ...Array(FLUSHERS).fill(true)].map(start))
  await Promise.all([makeFaults(), ...Array.from({ length: CLIENTS }, sendViews)])
  isOver = true
  await Promise.all([...running].map((counter) => counter.kill('SIGKILL')))
  await Promise.all(backgroundTasks)
  // Retries, because PostgreSQL may still run the transaction of a killed process.
  for (let tries = 0; tries < 10; tries += 1) {
    const { buffers, batches } = await ledger.waiting(PREFIX)
    if (buffers + batches === 0) break
    say(`all processes ended; in Redis: ${buffers} buffer, ${batches} batches`)
    const env = { DATABASE_URL: postgres.url, REDIS_URL: redis.url, CACHE_PREFIX: PREFIX }
    const flush = runProgram(t, 'bin/popular-posts.ts', { args: ['flush'], env, isCovered: false })
    await flush.ended()
    say(`popular-posts flush: ${flush.stdout().trim()}${flush.stderr()}`)
  }
  const counted = await readCountedViews(pool)
  say(`Redis accepted ${ledger.views()} views; counted: ${describe(counted)}`)
  problems.push(...(await ledger.compare(counted)))
  if (ledger.views() > views) problems.push(`Redis accepted ${ledger.views()} views, expected at most ${views}`)
  if (counts.kills !== kills) problems.push(`${counts.kills} kills, expected ${kills}`)
} finally {
  clearInterval(progress)
  for (const end of ends) await end()
}
for (const sentence of problems) say(sentence)
say(`seed ${seed}, ${report()}: ${problems.length === 0 ? 'every view is counted exactly once' : 'WRONG'}`)
process.exitCode = problems.length === 0 ? 0 : 1
