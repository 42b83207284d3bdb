import { test } from 'tap'
import { bucketStart } from '../../../db/count-views.ts'
import { createCalendar, isPublished, publishedAtMs } from '../../../demo/data/calendar.ts'
import { seededRandom, pick, sample } from '../../../demo/data/seeded-random.ts'
import { demoComments } from '../../../demo/data/comments.ts'
import { demoPosts } from '../../../demo/data/posts.ts'
import { demoViews } from '../../../demo/data/views.ts'

const HOUR_MS = 60 * 60 * 1000
const DAY_MS = 24 * HOUR_MS
const live = demoPosts.filter(isPublished)

/** Times and time zones near the change of a day, an hour or the clock. */
const moments = [
  { at: '2026-05-14T15:07:31.250Z', timeZone: 'UTC' },
  { at: '2026-05-14T00:00:00.000Z', timeZone: 'UTC' },
  { at: '2026-05-13T18:20:00.000Z', timeZone: 'Asia/Kathmandu' },
  { at: '2026-10-25T23:59:59.999Z', timeZone: 'Europe/Berlin' },
  { at: '2027-03-14T10:30:00.000Z', timeZone: 'America/Los_Angeles' },
  { at: '2028-02-29T11:00:00.000Z', timeZone: 'Pacific/Kiritimati' },
].map(({ at, timeZone }) => ({ name: `${at} ${timeZone}`, nowMs: Date.parse(at), timeZone }))

const viewsOf = (buckets: readonly { views: number }[]) => buckets.reduce((sum, { views }) => sum + views, 0)

test('the calendar has the days of the zone', async (t) => {
  const nowMs = Date.parse('2026-05-13T18:20:00Z')
  const kathmandu = createCalendar({ nowMs, timeZone: 'Asia/Kathmandu' })
  t.equal(kathmandu.today, Date.parse('2026-05-14') / DAY_MS)
  t.equal(new Date(kathmandu.startOf(kathmandu.today)).toISOString(), '2026-05-13T18:15:00.000Z')
  t.equal(createCalendar({ nowMs, timeZone: 'UTC' }).today, Date.parse('2026-05-13') / DAY_MS)
  t.throws(() => createCalendar({ nowMs, timeZone: 'Middle/Earth' }), RangeError)
})

for (const moment of moments) {
  test(`views at ${moment.name} are whole, in quarters, after publication and over by now`, async (t) => {
    const calendar = createCalendar(moment)
    for (const post of live) {
      const buckets = demoViews(post, calendar)
      const bad = buckets.filter(
        ({ bucketStartMs, views }) =>
          bucketStartMs !== bucketStart(bucketStartMs) ||
          bucketStartMs < publishedAtMs(post, calendar) ||
          bucketStartMs >= moment.nowMs ||
          !Number.isInteger(views) ||
          views < 1,
      )
      t.same(bad, [], post.slug)
      t.equal(new Set(buckets.map(({ bucketStartMs }) => bucketStartMs)).size, buckets.length, `${post.slug}: no bucket twice`)
      t.ok(viewsOf(buckets) > 0, `${post.slug} has views`)
    }
  })

  test(`comments at ${moment.name} come after the post and before now`, async (t) => {
    const calendar = createCalendar(moment)
    for (const post of live) {
      const times = demoComments(post, calendar).map(({ createdAt }) => createdAt.getTime())
      t.ok(
        times.every((time) => time >= publishedAtMs(post, calendar) && time <= moment.nowMs),
        post.slug,
      )
    }
  })

  test(`the lists at ${moment.name} have different winners`, async (t) => {
    const calendar = createCalendar(moment)
    const winner = (score: (bucket: { bucketStartMs: number; views: number }) => number) =>
      live
        .map((post) => ({ slug: post.slug, score: demoViews(post, calendar).reduce((sum, b) => sum + score(b), 0) }))
        .reduce((best, one) => (one.score > best.score ? one : best)).slug
    const monthAgoMs = calendar.startOf(calendar.today - 30)
    t.equal(
      winner(({ views }) => views),
      'sandwich-geometry',
    )
    t.equal(
      winner(({ bucketStartMs, views }) => (bucketStartMs >= monthAgoMs ? views : 0)),
      'last-train-from-corrach',
    )
    t.equal(
      winner(({ bucketStartMs, views }) => views * 2 ** ((bucketStartMs - moment.nowMs) / DAY_MS)),
      'goat-has-my-map',
    )
  })
}

test('the same moment gives the same views; a later one of the day adds to them and changes none', async (t) => {
  const nowMs = Date.parse('2026-05-14T15:07:31Z')
  const at = (ms: number) => createCalendar({ nowMs: ms, timeZone: 'UTC' })
  for (const post of live) {
    const views = demoViews(post, at(nowMs))
    t.same(demoViews(post, at(nowMs)), views, post.slug)
    t.same(demoViews(post, at(nowMs + 8 * HOUR_MS)).slice(0, views.length), views, post.slug)
  }
})

test('a draft, a scheduled and a private post have neither views nor comments', async (t) => {
  const calendar = createCalendar({ nowMs: Date.parse('2026-05-14T15:07:31Z'), timeZone: 'UTC' })
  const hidden = demoPosts.filter((post) => !isPublished(post))
  t.equal(hidden.length, 3)
  for (const post of hidden) t.same([demoViews(post, calendar), demoComments(post, calendar)], [[], []], post.slug)
})

test('readers sleep at night, and plan on Thursdays what they walk on Sundays', async (t) => {
  const calendar = createCalendar({ nowMs: Date.parse('2026-05-14T23:59:59Z'), timeZone: 'UTC' })
  const all = live.flatMap((post) => demoViews(post, calendar))
  const yesterdayMs = calendar.startOf(calendar.today - 1)
  const during = (fromHour: number, toHour: number) =>
    viewsOf(
      all.filter(({ bucketStartMs }) => {
        const hour = (bucketStartMs - yesterdayMs) / HOUR_MS
        return hour >= fromHour && hour < toHour
      }),
    )
  t.ok(during(14, 18) > 4 * during(2, 6), `afternoon ${during(14, 18)}, night ${during(2, 6)}`)

  // Posts with steady search traffic, so that no launch is in one of the days.
  const steady = live.filter(({ slug }) => slug === 'how-to-pack-a-rucksack' || slug === 'platform-to-summit')
  const onDay = (weekday: number) =>
    viewsOf(
      steady
        .flatMap((post) => demoViews(post, calendar))
        .filter(
          ({ bucketStartMs }) => bucketStartMs > calendar.nowMs - 100 * DAY_MS && new Date(bucketStartMs).getUTCDay() === weekday,
        ),
    )
  t.ok(onDay(4) > 1.2 * onDay(0), `Thursdays ${onDay(4)}, Sundays ${onDay(0)}`)
})

test('chance is fair, and the same for the same words', async (t) => {
  const numbers = Array.from({ length: 10_000 }, (_, index) => seededRandom('dice', index))
  const tenths = Array.from({ length: 10 }, (_, tenth) => numbers.filter((n) => Math.floor(n * 10) === tenth).length)
  t.ok(
    tenths.every((count) => count > 850 && count < 1150),
    `tenths: ${tenths}`,
  )
  t.equal(seededRandom('dice', 1), seededRandom('dice', 1))
  const items = ['a', 'b', 'c', 'd', 'e']
  t.same(sample(items, 9, 'seed').toSorted(), items)
  t.equal(sample(items, 2, 'seed').length, 2)
  const picked = new Set(Array.from({ length: 100 }, (_, index) => pick(items, `seed ${index}`)))
  t.same([...picked].toSorted(), items)
})
