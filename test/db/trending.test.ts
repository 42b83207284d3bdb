import fc from 'fast-check'
import { sql } from 'kysely'
import t from 'tap'
import { bucketStart, countBatch, type ViewBucket } from '../../db/count-views.ts'
import { findPopularPosts } from '../../db/ranking.ts'
import { seededRandom } from '../../demo/data/seeded-random.ts'
import { decayedViews, heatOf } from '../helpers/decayed-views.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

const QUARTER_MS = 15 * 60 * 1000
const DAY_MS = 24 * 60 * 60 * 1000
/** All times in these tests are quarters of an hour, the resolution of the database. */
const nowMs = bucketStart(Date.parse('2026-03-29T12:34:56Z'))
const nowQuarter = nowMs / QUARTER_MS
const query = { sort: 'trending', days: 30, limit: 50, nowMs, timeZone: 'UTC' } as const
/**
 * Heat is a float of about 20,000. Two scores whose relative difference is less than 10^-9 may be in either order; that
 * is the effect of a tenth of a millisecond of age.
 */
const TOLERANCE = 1e-9

interface Post {
  publishedAtMs: number
  history: { quarter: number; views: number }[]
  /** The seed of the split into batches: posts with the same seed and history have the same split. */
  seed: number
}

const bucket = fc.record({
  // The last three days, the last two years, and since 1970.
  quarter: fc
    .oneof(fc.nat(96 * 3), fc.nat(96 * 730), fc.nat(nowQuarter))
    .map((quartersAgo) => nowQuarter - quartersAgo),
  views: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 1_000_000 })),
})
const post = fc.record({
  publishedAtMs: fc.nat(2).map((daysAgo) => nowMs - daysAgo * DAY_MS),
  history: fc.array(bucket, { maxLength: 10 }),
  seed: fc.nat(1),
  /** The index of the post whose history this post has. */
  twinOf: fc.option(fc.nat(3)),
})
const posts: fc.Arbitrary<Post[]> = fc
  .array(post, { minLength: 2, maxLength: 10 })
  .map((all) =>
    all.map(({ twinOf, history, ...rest }) => ({ ...rest, history: all[twinOf ?? -1]?.history ?? history })),
  )

/** Splits every bucket into up to three parts, each in one of five batches. */
function batchesOf(posts: readonly Post[], ids: readonly string[]): ViewBucket[][] {
  const batches: ViewBucket[][] = Array.from({ length: 5 }, () => [])
  posts.forEach(({ history, seed }, index) => {
    history.forEach(({ quarter, views }, nth) => {
      let rest = views
      for (let piece = 0; rest > 0; piece += 1) {
        const part = piece === 2 ? rest : 1 + Math.floor(seededRandom(seed, nth, piece, 'views') * rest)
        const batch = batches[Math.floor(seededRandom(seed, nth, piece, 'batch') * batches.length)]
        batch?.push({ postId: String(ids[index]), bucketStartMs: quarter * QUARTER_MS, views: part })
        rest -= part
      }
    })
  })
  return batches
}

/** Whether a sum exceeds another by more than the tolerance. */
const isAbove = (one: bigint, other: bigint) => one > other + other / BigInt(1e9)

async function setUp(t: Parameters<typeof createTestDatabase>[0]) {
  const { db } = await createTestDatabase(t)
  let batches = 0
  return {
    db,
    /** Replaces all posts by these, without views. Resolves to their ids. */
    async fill(posts: readonly { publishedAtMs: number }[]): Promise<string[]> {
      for (const table of ['posts', 'post_views_hourly', 'post_views_daily', 'post_views_total'] as const) {
        await db.deleteFrom(table).execute()
      }
      const rows = posts.map(({ publishedAtMs }, index) => ({
        slug: `p${index}`,
        title: 'P',
        url: '/p',
        published_at: new Date(publishedAtMs),
      }))
      const inserted = await db.insertInto('posts').values(rows).returning(['id', 'slug']).execute()
      const ids = new Map(inserted.map(({ id, slug }) => [slug, String(id)]))
      return posts.map((_post, index) => ids.get(`p${index}`) ?? '')
    },
    async count(buckets: ViewBucket[]): Promise<void> {
      batches += 1
      await countBatch(db, { id: `batch ${batches}`, timeZone: 'UTC', nowMs, buckets })
    },
    async heats(): Promise<Map<string, number>> {
      const rows = await db.selectFrom('post_views_total').select(['post_id', 'heat']).execute()
      return new Map(rows.map(({ post_id, heat }) => [String(post_id), heat]))
    },
    async trending(): Promise<string[]> {
      return (await findPopularPosts(db, query)).map(({ id }) => String(id))
    },
  }
}

t.test('trending is the order of the exact decayed sums of views', async (t) => {
  const { fill, count, heats, trending } = await setUp(t)
  await fc.assert(
    fc.asyncProperty(posts, async (posts) => {
      const ids = await fill(posts)
      for (const buckets of batchesOf(posts, ids)) await count(buckets)
      const heatById = await heats()
      const scored = posts.map((post, index) => ({
        ...post,
        id: String(ids[index]),
        totalViews: post.history.reduce((sum, { views }) => sum + views, 0),
        decayed: decayedViews(post.history),
        heat: heatById.get(String(ids[index])) ?? -Infinity,
      }))

      for (const { heat, decayed } of scored) {
        const exact = decayed === 0n ? -Infinity : heatOf(decayed)
        if (heat !== exact && !(Math.abs(heat - exact) < TOLERANCE)) throw new Error(`expected ${exact}, got ${heat}`)
      }
      for (const [index, one] of scored.entries()) {
        const twins = scored.slice(index).filter(({ history, seed }) => history === one.history && seed === one.seed)
        if (twins.some(({ heat }) => heat !== one.heat)) throw new Error('equal histories have different heat')
      }

      // Equal heat in the database is ordered by the next columns.
      const order = scored.toSorted(
        (a, b) =>
          (a.heat === b.heat ? 0 : b.heat - a.heat) ||
          b.totalViews - a.totalViews ||
          b.publishedAtMs - a.publishedAtMs ||
          Number(b.id) - Number(a.id),
      )
      const found = await trending()
      const expected = order.map(({ id }) => id)
      if (found.join() !== expected.join()) throw new Error(`expected ${expected}, got ${found}`)
      for (const [index, { decayed, id }] of order.entries()) {
        const misplaced = order.slice(index + 1).find((later) => isAbove(later.decayed, decayed))
        if (misplaced !== undefined) throw new Error(`post ${misplaced.id} belongs above post ${id}`)
      }
    }),
    { numRuns: 150 },
  )
  t.pass('150 blogs')
})

t.test('heat is the same for any order of views', async (t) => {
  const { fill, count, heats } = await setUp(t)
  const history = [
    { quarter: nowQuarter, views: 3 },
    { quarter: nowQuarter - 1, views: 700 },
    { quarter: nowQuarter - 100, views: 1 },
    { quarter: nowQuarter - 500, views: 20_000 },
    { quarter: nowQuarter - 96 * 3650, views: 1_000_000 },
    { quarter: 0, views: 1 },
  ]
  const orders = permutations(history)
  const ids = await fill(orders.map(() => ({ publishedAtMs: 0 })))
  for (const nth of history.keys()) {
    await count(
      orders.flatMap((order, index) => {
        const bucket = order[nth]
        if (bucket === undefined) return []
        return [{ postId: String(ids[index]), bucketStartMs: bucket.quarter * QUARTER_MS, views: bucket.views }]
      }),
    )
  }
  const exact = heatOf(decayedViews(history))
  const errors = [...(await heats()).values()].map((heat) => Math.abs(heat - exact))
  t.equal(errors.length, 720)
  t.ok(Math.max(...errors) < TOLERANCE, `${Math.max(...errors)}`)
})

t.test('heat is the same for any number of batches', async (t) => {
  const { fill, count, heats } = await setUp(t)
  const [one = '', many = ''] = await fill([{ publishedAtMs: 0 }, { publishedAtMs: 0 }])
  const views = 300
  await count([{ postId: one, bucketStartMs: nowMs, views }])
  for (let view = 0; view < views; view += 1) await count([{ postId: many, bucketStartMs: nowMs, views: 1 }])
  const found = await heats()
  const exact = heatOf(decayedViews([{ quarter: nowQuarter, views }]))
  for (const id of [one, many]) t.ok(Math.abs((found.get(id) ?? 0) - exact) < TOLERANCE, `${found.get(id)}, ${exact}`)
})

t.test(
  'equal heat is ordered by total views, publication and id; posts without views come last, in this order',
  async (t) => {
    const { fill, count, trending } = await setUp(t)
    const [unseen, unseenLater, unseenNewer, today, yesterday, older, newer, newerLater] = await fill(
      [9, 9, 8, 5, 6, 7, 5, 5].map((daysAgo) => ({ publishedAtMs: nowMs - daysAgo * DAY_MS })),
    )
    const viewed = (postId: string | undefined, bucketStartMs: number, views: number) => ({
      postId: postId ?? '',
      bucketStartMs,
      views,
    })
    await count([
      viewed(today, nowMs, 4),
      // Views that are a day old count half.
      viewed(yesterday, nowMs - DAY_MS, 8),
      ...[older, newer, newerLater].flatMap((post) => [
        viewed(post, nowMs - 7 * QUARTER_MS, 2),
        viewed(post, nowMs, 1),
      ]),
    ])
    t.same(await trending(), [yesterday, today, newerLater, newer, older, unseenNewer, unseenLater, unseen])
  },
)

t.test('a process whose clock is ahead does not keep its post first for years', async (t) => {
  const { db, fill, heats, trending } = await setUp(t)
  const [wrong = '', right = '', odd = ''] = await fill([
    { publishedAtMs: 0 },
    { publishedAtMs: 0 },
    { publishedAtMs: 0 },
  ])
  const present = Date.now()
  const count = (postId: string, clockMs: number, views: number, ...others: ViewBucket[]) => {
    const buckets = [{ postId, bucketStartMs: bucketStart(clockMs), views }, ...others]
    return countBatch(db, { id: `${postId} ${clockMs}`, timeZone: 'UTC', nowMs: clockMs, buckets })
  }
  await count(wrong, present + 3650 * DAY_MS, 1)
  await count(right, present, 3)
  // An id of another type has the batch counted by text.
  await count(odd, present + 3650 * DAY_MS, 2, { postId: 'not an id', bucketStartMs: present, views: 1 })
  t.same(await trending(), [right, odd, wrong])
  const weights = await heats()
  const oneOfNow = Date.now() / DAY_MS
  for (const [postId, views] of [
    [wrong, 1],
    [odd, 2],
  ] as const)
    t.ok(Number(weights.get(postId)) <= oneOfNow + Math.log2(views) + 1e-6, 'it weighs as views of now')
  const dated = await sql<{ ahead: boolean }>`
    select hour > now() as ahead from post_views_hourly union all
    select day > (now() at time zone 'UTC')::date from post_views_daily`.execute(db)
  t.same(dated.rows.length, 6, 'in the counters of this hour and of today')
  t.ok(dated.rows.every(({ ahead }) => !ahead))
})

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]]
  return items.flatMap((item, index) => permutations(items.toSpliced(index, 1)).map((rest) => [item, ...rest]))
}
