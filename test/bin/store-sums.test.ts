import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { type Kysely, sql } from 'kysely'
import t, { type Test } from 'tap'
import { storeSums } from '../../bin/store-sums.ts'
import { bucketStart, countBatch } from '../../db/count-views.ts'
import type { Database } from '../../db/schema.ts'
import { claimTimeZone } from '../../db/time-zone.ts'
import { rollup } from '../../db/window-rollups.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { runProgram } from '../helpers/program.ts'
import { until } from '../helpers/services/until.ts'

const DAY_MS = 86_400_000
const timeZone = 'UTC'
const ALL = [7, 30, 90, 365]
const WAITS = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"

/** The windows whose stored sum is exact and of today: a list of them reads no closed day. */
async function storedWindows(db: Kysely<Database>, timeZone = 'UTC'): Promise<number[]> {
  const stored: number[] = []
  for (const days of ALL) {
    const { rows } = await sql`
      select from ${rollup({ days, timeZone })} as found (first_day, last_day, touches, added_days) where added_days = 2`.execute(
      db,
    )
    if (rows.length > 0) stored.push(days)
  }
  return stored
}

/** A blog with views on closed days, and without stored sums. */
async function setUp(t: Test) {
  const { db, pool, url } = await createTestDatabase(t)
  await fillBlog(db, 3)
  const [post] = await db.selectFrom('posts').select('id').execute()
  const nowMs = Date.now()
  const buckets = [3, 5, 40].map((age) => ({
    postId: String(post?.id),
    bucketStartMs: bucketStart(nowMs - age * DAY_MS),
    views: age,
  }))
  await countBatch(db, { id: 'old', timeZone, nowMs, buckets })
  const dayOf = (age: number) => new Date(nowMs - age * DAY_MS).toISOString()
  const command = (args: string[], input = '', env: NodeJS.ProcessEnv = {}) =>
    runProgram(t, 'bin/popular-posts.ts', { args, input, env: { DATABASE_URL: url, ...env } })
  const run = async (args: string[], input?: string, env?: NodeJS.ProcessEnv) => {
    const program = command(args, input, env)
    return { code: await program.ended(), stderr: program.stderr(), stdout: program.stdout() }
  }
  const counts = `slug,day,views\npost-1,${dayOf(4).slice(0, 10)},1000\n`
  const line = `10.0.0.1 - - [${new Date(nowMs - 6 * DAY_MS)
    .toUTCString()
    .slice(5, 25)
    .replaceAll(' ', '/')
    .replace(
      /\/(?=\d\d:)/,
      ':',
    )} +0000] "GET /blog/post-1 HTTP/1.1" 200 1 "-" "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"\n`
  return { db, pool, command, run, counts, line }
}

t.test('after a migration, an import and its undo, the sums of closed days are stored', async (t) => {
  const { db, pool, run, counts, line } = await setUp(t)
  t.same(await storedWindows(db), [])
  const importCounts = ['import-counts', '--source', 'other']
  const importLog = ['import-log', '--post', '/blog/']
  const steps: [args: string[], input: string, says: RegExp][] = [
    [['migrate'], '', /up to date/],
    [importCounts, counts, /views counted +1,000/],
    [['import-counts', '--undo', '1'], '', /was taken back: 1,000 views/],
    [importLog, line, /views counted +1\b/],
    [['import-log', '--undo', '1'], '', /is undone: 1 view less/],
  ]
  for (const [args, input, says] of steps) {
    const { code, stderr, stdout } = await run(args, input)
    t.same({ code, stderr }, { code: 0, stderr: '' }, args.join(' '))
    t.match(stdout, says)
    t.same(await storedWindows(db), ALL, args.join(' '))
  }
  await pool.query('truncate post_views_window')
  for (const [args, input] of [
    [[...importCounts, '--dry-run'], counts],
    [[...importLog, '--dry-run'], line],
  ] as const) {
    t.match(await run([...args], input), { code: 0, stderr: '' })
    t.same(await storedWindows(db), [], 'a dry run stores nothing')
  }
})

t.test('a migration with another time zone stores the sums of the days that the site counts', async (t) => {
  const { db, run } = await setUp(t)
  // The westernmost zone: in the easternmost one it is always a later day.
  const siteTimeZone = 'Etc/GMT+12'
  await claimTimeZone(db, siteTimeZone)
  for (const SITE_TIME_ZONE of [siteTimeZone, 'Etc/GMT-14']) {
    t.match(await run(['migrate'], '', { SITE_TIME_ZONE }), { code: 0, stderr: '' })
    t.same(await storedWindows(db, siteTimeZone), ALL, SITE_TIME_ZONE)
  }
})

t.test('only windows that readers may request are stored', async (t) => {
  const { db } = await setUp(t)
  const stderr = new PassThrough()
  await storeSums(db, { timeZone, allowed: [7, 30, 0] }, stderr)
  t.same(await storedWindows(db), [7, 30])
  t.equal(stderr.read(), null)
})

t.test('an import is counted when its sums cannot be stored, and a warning says who stores them', async (t) => {
  const { db, pool, run, counts } = await setUp(t)
  await pool.query(`
    create function refuse() returns trigger language plpgsql as $$ begin raise insufficient_privilege; end $$;
    create trigger refuse before insert on post_views_window for each statement execute function refuse()`)
  const changes = async () => (await pool.query('select from popular_posts_change')).rowCount ?? 0
  const before = await changes()
  const { code, stderr, stdout } = await run(['import-counts', '--source', 'other'], counts)
  t.equal(code, 0)
  t.equal(
    stderr,
    'The sums of days could not be stored (42501): lists take longer until a flush of the service has stored them.\n',
  )
  t.match(stdout, /views counted +1,000/)
  t.ok((await changes()) > before, 'the change is announced')
  t.same(await storedWindows(db), [])
})

t.test('progress is written after three seconds, and every ten seconds', async (t) => {
  const { db } = await setUp(t)
  const stderr = new PassThrough()
  let nowMs = -2_500
  const clock = () => {
    nowMs += 2_500
    return nowMs
  }
  // Two calls a window: one slice, and the answer that it is whole.
  await storeSums(db, { timeZone, allowed: undefined }, stderr, clock)
  t.equal(nowMs, 20_000)
  const saying = (seconds: number) =>
    `Storing the sums of days, so that lists are fast: ${seconds} s. Ctrl-C leaves them to the service.\n`
  t.equal(await text(stderr.end()), saying(5) + saying(15))
  t.same(await storedWindows(db), ALL)
})

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  t.test(`${signal} while sums are stored: the import is announced, and a service stores the rest`, async (t) => {
    const { db, pool, command, counts } = await setUp(t)
    const holder = await pool.connect()
    await holder.query('begin; lock table post_views_window in exclusive mode')
    const program = command(['import-counts', '--source', 'other'], counts)
    await until(async () => (await pool.query(WAITS)).rowCount === 1, 'the command waits for the lock')
    program.child.kill(signal)
    const changes = async () => (await pool.query('select from popular_posts_change')).rowCount ?? 0
    const before = await changes()
    // The signal is there before the lock is released.
    await new Promise((resolve) => setTimeout(resolve, 200))
    await holder.query('rollback')
    holder.release()
    t.equal(await program.ended(), 0, program.stderr())
    t.equal(await changes(), before + 1, 'the change is announced')
    t.same(await storedWindows(db), [30], 'the slice that was being stored')
  })
