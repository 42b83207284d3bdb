import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type Kysely, sql } from 'kysely'
import t from 'tap'
import { bucketStart, countBatch } from '../../db/count-views.ts'
import { importChunk, type LogImport } from '../../db/log-imports.ts'
import { prune } from '../../db/retention.ts'
import type { Database } from '../../db/schema.ts'
import { createCountedViews, readCounters } from '../helpers/counted-views.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const POSTS = ['1', '2', '3', '4']
/** No post ever has this id. */
const NOBODY = '99'
const CHUNK_LINES = 5

interface View {
  post: string
  ageMs: number
  views: number
}
/** A step of a sequence. */
type Command =
  /** A new batch, sent by several processes at once, perhaps while others prune. */
  | { do: 'count'; views: View[]; senders: number; isPruned: boolean }
  /** An earlier batch again, counted from the latest (0). */
  | { do: 'repeat'; nth: number; views: View[] }
  /** The log grows by some lines, and is imported from its beginning. */
  | { do: 'import'; lines: number; importers: number }
  | { do: 'prune' }
  | { do: 'pass'; ms: number }
  | { do: 'delete' | 'restore' | 'hide' | 'show'; post: string }

const ageMs = fc.oneof(
  fc.nat(2 * HOUR_MS),
  // Around the limits of the retention time.
  fc
    .tuple(fc.constantFrom(2, 365, 400), fc.integer({ min: -26 * HOUR_MS, max: 26 * HOUR_MS }))
    .map(([days, offsetMs]) => days * DAY_MS + offsetMs),
  fc.nat(3000 * DAY_MS),
)
const post = fc.constantFrom(...POSTS)
const views = fc.array(
  fc.record({
    post: fc.oneof({ weight: 6, arbitrary: post }, { weight: 1, arbitrary: fc.constant(NOBODY) }),
    ageMs,
    views: fc.integer({ min: 1, max: 1000 }),
  }),
  { maxLength: 6 },
)
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('count' as const),
      views,
      senders: fc.constantFrom(1, 1, 3),
      isPruned: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('repeat' as const), nth: fc.nat(5), views }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('import' as const), lines: fc.nat(8), importers: fc.constantFrom(1, 1, 2) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('prune' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.oneof(fc.nat(2 * HOUR_MS), fc.nat(3 * DAY_MS), fc.constant(6.5 * DAY_MS), fc.nat(120 * DAY_MS)),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('delete' as const, 'restore', 'restore', 'hide', 'show'), post }),
  },
)
const history = fc.record({
  timeZone: fc.constantFrom('UTC', 'America/New_York', 'Asia/Kathmandu', 'Pacific/Apia'),
  // All times are in the past by the database's clock.
  startMs: fc.integer({ min: Date.parse('2014-03-30T00:00:00Z'), max: Date.parse('2014-04-01T00:00:00Z') }),
  log: fc.array(fc.record({ post: fc.oneof(post, fc.constant(NOBODY)), ageMs }), { maxLength: 40 }),
  commands: fc.array(command, { minLength: 1, maxLength: 30 }),
})
type History = typeof history extends fc.Arbitrary<infer T> ? T : never

/** The counters, and all views that they must have counted. */
function createSite(db: Kysely<Database>, { timeZone, startMs, log }: History) {
  const counted = createCountedViews(timeZone)
  const living = new Set(POSTS)
  const batches: { id: string; atMs: number }[] = []
  const linesCounted = new Set<string>()
  const lines = log.map(({ post, ageMs }) => ({ post, timeMs: startMs - ageMs }))
  let linesWritten = 0
  let nowMs = startMs
  const now = () => ({ nowMs, timeZone })
  const bucketsOf = (views: readonly View[]) =>
    views.map(({ post, ageMs, views }) => ({ postId: post, bucketStartMs: bucketStart(nowMs - ageMs), views }))

  async function importLog(): Promise<number> {
    const logImport: LogImport = { id: undefined, source: 'a log', overlaps: new Set() }
    let views = 0
    for (let start = 0; start < linesWritten; start += CHUNK_LINES) {
      const part = lines.slice(start, Math.min(linesWritten, start + CHUNK_LINES))
      const visits = part.map(({ post, timeMs }, line) => ({
        slug: `p${post}`,
        url: '/',
        timeMs,
        visitor: `${start + line}`,
      }))
      const outcome = await importChunk(db, { ...now(), visits, logImport, dedupSeconds: 900 })
      for (const some of outcome.counted.values()) views += some
    }
    return views
  }

  const steps = {
    async count({ views, senders, isPruned }: Command & { do: 'count' }) {
      const batch = { ...now(), id: `batch ${batches.length}`, buckets: bucketsOf(views) }
      batches.unshift({ id: batch.id, atMs: nowMs })
      const sent = Array.from({ length: senders }, () => countBatch(db, batch))
      const pruned = isPruned ? prune(db, now()) : undefined
      assert.equal((await Promise.all(sent)).filter((how) => how === 'counted').length, 1, 'counted by one')
      await pruned
      for (const { postId, ...bucket } of batch.buckets)
        if (living.has(postId)) counted.add({ post: postId, ...bucket })
    },
    async repeat({ nth, views }: Command & { do: 'repeat' }) {
      // Older ids may be pruned: no batch may wait for longer.
      const known = batches.filter(({ atMs }) => nowMs - atMs < 7 * DAY_MS - HOUR_MS)
      const id = known[nth]?.id
      if (id === undefined) return
      assert.equal(await countBatch(db, { ...now(), id, buckets: bucketsOf(views) }), 'before')
    },
    async import({ lines: more, importers }: Command & { do: 'import' }) {
      linesWritten = Math.min(lines.length, linesWritten + more)
      const imported = await Promise.all(Array.from({ length: importers }, importLog))
      let expected = 0
      for (const [index, { post, timeMs }] of lines.slice(0, linesWritten).entries()) {
        if (!living.has(post) || linesCounted.has(`${index}`)) continue
        linesCounted.add(`${index}`)
        counted.add({ post, bucketStartMs: bucketStart(timeMs), views: 1 })
        expected += 1
      }
      assert.equal(
        imported.reduce((sum, views) => sum + views, 0),
        expected,
        'views of the log',
      )
    },
    async prune() {
      await prune(db, now())
      const { totals, days, hours } = await readCounters(db, { ...now(), kept: false })
      // The hour that begins 48 hours before this one may lack views that were too old for hourly counters.
      const firstHour = new Date(Math.floor(nowMs / HOUR_MS) * HOUR_MS - 48 * HOUR_MS).toISOString()
      const withoutFirst = (all: Record<string, number>) =>
        Object.fromEntries(Object.entries(all).filter(([key]) => !key.startsWith(firstHour)))
      const expected = counted.counters(nowMs)
      assert.deepEqual(
        { totals, days, hours: withoutFirst(hours) },
        { ...expected, hours: withoutFirst(expected.hours) },
        'nothing older is left',
      )
    },
    async pass({ ms }: Command & { do: 'pass' }) {
      nowMs += ms
      // The ledger uses the clock of the database, which the test cannot change.
      await sql`update post_views_batch set applied_at = applied_at - ${ms / 1000} * interval '1 second'`.execute(db)
    },
    async delete({ post }: { post: string }) {
      living.delete(post)
      await db.deleteFrom('posts').where('id', '=', post).execute()
    },
    async restore({ post }: { post: string }) {
      living.add(post)
      await insertPosts(db, [post])
    },
    async hide({ post }: { post: string }) {
      await db.updateTable('posts').set({ is_private: true, published_at: null }).where('id', '=', post).execute()
    },
    async show({ post }: { post: string }) {
      await db
        .updateTable('posts')
        .set({ is_private: false, published_at: new Date(0) })
        .where('id', '=', post)
        .execute()
    },
  }

  return {
    run: (command: Command): Promise<void> => steps[command.do](command as never),
    async check(): Promise<void> {
      const { heats, ...found } = await readCounters(db, { ...now(), kept: true })
      assert.deepEqual(found, counted.counters(nowMs))
      const exact = counted.heats()
      assert.deepEqual(Object.keys(heats).sort(), Object.keys(exact).sort())
      for (const [post, heat] of Object.entries(exact)) {
        assert.ok(Math.abs(heat - (heats[post] ?? 0)) < 1e-9, `heat of ${post}: expected ${heat}, got ${heats[post]}`)
      }
    },
  }
}

/** Posts with given ids, as after a restored backup. */
async function insertPosts(db: Kysely<Database>, posts: readonly string[]): Promise<void> {
  await sql`
    insert into posts (id, slug, title, url, published_at) overriding system value
    select id, 'p' || id, 'P', '/p', '1970-01-01' from unnest(${posts}::bigint[]) as id
    on conflict do nothing`.execute(db)
}

t.test('after any sequence of operations the counters equal the sum of all counted views', async (t) => {
  const { db } = await createTestDatabase(t)
  await fc.assert(
    fc.asyncProperty(history, async (history) => {
      await sql`truncate posts, post_views_hourly, post_views_daily, post_views_total, post_views_batch,
        post_views_log_import, post_views_log_visits cascade`.execute(db)
      await insertPosts(db, POSTS)
      const site = createSite(db, history)
      for (const command of history.commands) {
        await site.run(command)
        await site.check()
      }
    }),
    { numRuns: 60 },
  )
  t.pass('60 histories')
})
