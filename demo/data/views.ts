import type { ViewBucket } from '../../db/count-views.ts'
import { type Calendar, isPublished, publishedAtMs, QUARTER_MS, QUARTERS_A_DAY } from './calendar.ts'
import { seededRandom } from './seeded-random.ts'
import type { DemoPost } from './posts.ts'

/** The days whose views are per quarter, today included: the hourly counters start within the first of them. */
const RECENT_DAYS = 3

type PostViews = Omit<ViewBucket, 'postId'>

/**
 * All views of a demo post from its publication to now, the oldest first: one bucket a day, at noon, and one a quarter
 * of an hour for today and the two days before. None for a post that is not live.
 *
 * The same calendar gives the same views. A later calendar of the same day adds quarters and changes none. On another
 * day all posts move, because their publication is relative to today: noise and weekdays depend on the date, launches
 * and spikes on the age of the post.
 */
export function demoViews(post: DemoPost, calendar: Calendar): PostViews[] {
  if (!isPublished(post)) return []
  const firstRecent = calendar.today - RECENT_DAYS + 1
  const buckets: PostViews[] = []
  for (let age = 0; age <= post.daysAgo; age += 1) {
    const day = calendar.today - post.daysAgo + age
    const views = viewsOn(post, day, age)
    if (day >= firstRecent) buckets.push(...byQuarter(post.slug, day, views, publishedAtMs(post, calendar), calendar))
    else buckets.push({ bucketStartMs: calendar.startOf(day) + (QUARTERS_A_DAY / 2) * QUARTER_MS, views })
  }
  return buckets.filter((bucket) => bucket.views > 0)
}

/** The views of one day: the expected number with up to 25 % noise, randomly rounded. */
function viewsOn(post: DemoPost, day: number, age: number): number {
  const noise = 0.75 + 0.5 * seededRandom(post.slug, day, 'dice')
  return Math.floor(expectedOn(post, age) * weekday(day) * noise + seededRandom(post.slug, day, 'coin'))
}

/**
 * The expected views of a day, with two long tails. Across posts: a power law (Pareto, as in Zipf's law) of a random
 * number per slug. In time: a launch that decays as a power of the age, a constant trickle, search traffic, and a spike
 * that halves daily.
 */
function expectedOn({ slug, audience = {} }: DemoPost, age: number): number {
  const { reach = 1, steady = 0, spike } = audience
  const appeal = reach * (seededRandom(slug, 'appeal') + 0.01) ** -0.6
  const launch = 45 * appeal * (1 + age) ** -1.2
  const trickle = 0.6 * appeal
  const spiked = spike !== undefined && age >= spike.age ? spike.views * 2 ** (spike.age - age) : 0
  return launch + trickle + steady * Math.min(1, age / 30) + spiked
}

/** The factor of a weekday: greatest on Thursdays, least at the weekend. Day 0 was a Thursday. */
function weekday(day: number): number {
  return 1 + 0.2 * Math.cos((2 * Math.PI * day) / 7)
}

/** Distributes the views of a day over its quarters from publication on; returns only quarters that have ended. */
function byQuarter(slug: string, day: number, views: number, fromMs: number, calendar: Calendar): PostViews[] {
  const quarters = Array.from({ length: QUARTERS_A_DAY }, (_, index) => {
    const bucketStartMs = calendar.startOf(day) + index * QUARTER_MS
    return { bucketStartMs, weight: bucketStartMs < fromMs ? 0 : daytime(index) * (0.5 + seededRandom(slug, bucketStartMs)) }
  })
  const whole = quarters.reduce((sum, { weight }) => sum + weight, 0)
  const rounding = seededRandom(slug, day, 'quarters')
  let passed = 0
  return quarters
    .map(({ bucketStartMs, weight }) => {
      const before = Math.floor((views * passed) / whole + rounding)
      passed += weight
      return { bucketStartMs, views: Math.floor((views * passed) / whole + rounding) - before }
    })
    .filter(({ bucketStartMs }) => bucketStartMs + QUARTER_MS <= calendar.nowMs)
}

/** The factor of a quarter of the day, 1 on average: least at 4 in the morning, greatest at 4 in the afternoon. */
function daytime(quarter: number): number {
  return 1 - 0.85 * Math.cos((2 * Math.PI * (quarter - 16)) / QUARTERS_A_DAY)
}
