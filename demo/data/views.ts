import type { ViewBucket } from '../../db/count-views.ts'
import { type Calendar, isPublished, publishedAtMs, QUARTER_MS, QUARTERS_A_DAY } from './calendar.ts'
import { seededRandom } from './seeded-random.ts'
import type { DemoPost } from './posts.ts'

/** The days that are told by the quarter, today included: the hourly counters begin somewhere in the first of them. */
const RECENT_DAYS = 3

type PostViews = Omit<ViewBucket, 'postId'>

/**
 * All views of a demo post from its publication to now, oldest first: one bucket a day, at noon, and for the last two
 * days and today one a quarter. None for a post that is not live.
 *
 * The same calendar gives the same views. A later one of the same day adds quarters and changes none. One of another
 * day moves the whole blog along, because posts are published so many days before today: dice and weekdays stay with
 * the date, launches and spikes with the post's age.
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

/** The views of one day: what is expected of it, a throw of the dice up or down, and the fraction rounded by a coin. */
function viewsOn(post: DemoPost, day: number, age: number): number {
  const noise = 0.75 + 0.5 * seededRandom(post.slug, day, 'dice')
  return Math.floor(expectedOn(post, age) * weekday(day) * noise + seededRandom(post.slug, day, 'coin'))
}

/**
 * A long tail in both directions. Across posts: a power law (Pareto) of the slug's luck, as Zipf's law has it. In time:
 * a launch that fades as a power of age, a trickle that lasts, what search engines send, and a spike that halves daily.
 */
function expectedOn({ slug, audience = {} }: DemoPost, age: number): number {
  const { reach = 1, steady = 0, spike } = audience
  const appeal = reach * (seededRandom(slug, 'appeal') + 0.01) ** -0.6
  const launch = 45 * appeal * (1 + age) ** -1.2
  const trickle = 0.6 * appeal
  const spiked = spike !== undefined && age >= spike.age ? spike.views * 2 ** (spike.age - age) : 0
  return launch + trickle + steady * Math.min(1, age / 30) + spiked
}

/** Most on Thursdays, when weekends are planned; least at the weekend, when they are walked. Day 0 was a Thursday. */
function weekday(day: number): number {
  return 1 + 0.2 * Math.cos((2 * Math.PI * day) / 7)
}

/** A day's views over its quarters, those from publication on; only the quarters that are over by now. */
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

/** How awake readers are in a quarter of the day, 1 on average: least at four in the morning, most at four in the afternoon. */
function daytime(quarter: number): number {
  return 1 - 0.85 * Math.cos((2 * Math.PI * (quarter - 16)) / QUARTERS_A_DAY)
}
