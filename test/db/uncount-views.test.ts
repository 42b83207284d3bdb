import { sql } from 'kysely'
import t from 'tap'
import { addViews } from '../../db/count-views.ts'
import { removeViews } from '../../db/uncount-views.ts'
import { addPosts } from '../helpers/access-log.ts'
import { createCountedViews, readCounters } from '../helpers/counted-views.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

const NOW_MS = Date.UTC(2015, 4, 20)
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

t.test('views that are taken back leave the counters as if they had not been counted', async (t) => {
  for (const [name, { kept, taken, heatTolerance = 1e-8 }] of Object.entries({
    'all of a post': { kept: [], taken: [0, HOUR_MS] },
    'some of an hour': { kept: [10, 10, 3 * DAY_MS], taken: [10, 20 * 60_000] },
    'as many as stay': { kept: [5 * HOUR_MS], taken: [4 * HOUR_MS] },
    'those of an older day': { kept: [0], taken: [50 * DAY_MS, 700 * DAY_MS] },
    // The heat of the rest is that of its days, at noon.
    'almost all of the heat': { kept: [200 * DAY_MS, 210 * DAY_MS], taken: [0, HOUR_MS], heatTolerance: 1 },
  })) {
    const { db } = await createTestDatabase(t)
    await addPosts(db, 'a', 'b')
    const bucketsOf = (ages: readonly number[], postId: string) =>
      ages.map((age) => ({ postId, bucketStartMs: Math.floor((NOW_MS - age) / 900_000) * 900_000, views: 1 }))
    const options = { timeZone: 'UTC', nowMs: NOW_MS }
    const others = bucketsOf([0, HOUR_MS, 50 * DAY_MS], '2')
    await db.transaction().execute(async (trx) => {
      await addViews(trx, { ...options, buckets: [...bucketsOf([...kept, ...taken], '1'), ...others] })
      await removeViews(trx, { timeZone: 'UTC', buckets: bucketsOf(taken, '1') })
    })
    const expected = createCountedViews('UTC')
    for (const { postId, ...bucket } of [...bucketsOf(kept, '1'), ...others]) expected.add({ post: postId, ...bucket })
    const { heats, ...found } = await readCounters(db, { ...options, kept: true })
    t.strictSame(found, expected.counters(NOW_MS), name)
    const exact = expected.heats()
    t.strictSame(Object.keys(heats).sort(), Object.keys(exact).sort(), name)
    for (const [post, heat] of Object.entries(exact))
      t.ok(Math.abs(heat - (heats[post] ?? 0)) <= (post === '1' ? heatTolerance : 1e-9), `${name}: heat of ${post}`)
  }
})

t.test('a post whose other views are on days that are not stored any more is the last of all', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a')
  const at = (age: number) => ({ postId: '1', bucketStartMs: NOW_MS - age, views: 1 })
  await db.transaction().execute(async (trx) => {
    await addViews(trx, { timeZone: 'UTC', nowMs: NOW_MS, buckets: [at(0), at(900 * DAY_MS)] })
    await sql`delete from post_views_daily where day < '2015-01-01'`.execute(trx)
    await removeViews(trx, { timeZone: 'UTC', buckets: [at(0)] })
  })
  t.match(await db.selectFrom('post_views_total').selectAll().execute(), [
    { views: '1', heat: Number.NEGATIVE_INFINITY },
  ])
})
