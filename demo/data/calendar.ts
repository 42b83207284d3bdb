import { seededRandom } from './seeded-random.ts'
import type { DemoPost } from './posts.ts'

export const QUARTER_MS = 15 * 60 * 1000
export const QUARTERS_A_DAY = 96
const DAY_MS = QUARTERS_A_DAY * QUARTER_MS

type DatedPost = DemoPost & { daysAgo: number }

/** The days of the demo: numbered since the epoch, as the site's clocks on the wall show them now. */
export interface Calendar {
  nowMs: number
  /** The number of the present day. */
  today: number
  /**
   * When a day begins, in milliseconds since the epoch. An hour off before the last change of clocks, which does not
   * show: only days around now are told apart by the quarter.
   */
  startOf(day: number): number
}

/** @param timeZone the site's IANA time zone. @throws RangeError for a zone that does not exist. */
export function createCalendar({ nowMs, timeZone }: { nowMs: number; timeZone: string }): Calendar {
  // Swedish dates are written as ISO 8601 wants them: read back as UTC they tell how far the zone is ahead.
  const wallClock = new Date(nowMs).toLocaleString('sv-SE', { timeZone }).replace(' ', 'T')
  const offsetMs = Math.round((Date.parse(`${wallClock}Z`) - nowMs) / QUARTER_MS) * QUARTER_MS
  return {
    nowMs,
    today: Math.floor((nowMs + offsetMs) / DAY_MS),
    startOf: (day) => day * DAY_MS - offsetMs,
  }
}

/** When a post is published, in milliseconds since the epoch: between 6 and 11 in the morning. */
export function publishedAtMs({ slug, daysAgo }: DatedPost, { today, startOf }: Calendar): number {
  return startOf(today - daysAgo) + (24 + Math.floor(20 * seededRandom(slug, 'published'))) * QUARTER_MS
}

/** Whether a post has a date: whether it is more than a draft. */
export function isDated(post: DemoPost): post is DatedPost {
  return post.daysAgo !== null
}

/** Whether a post is for everybody by now: no draft, not scheduled, not private. */
export function isPublished(post: DemoPost): post is DatedPost {
  return isDated(post) && post.daysAgo > 0 && post.isPrivate !== true
}
