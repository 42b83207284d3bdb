import { seededRandom } from './seeded-random.ts'
import type { DemoPost } from './posts.ts'

/** A quarter of an hour, in milliseconds. */
export const QUARTER_MS = 15 * 60 * 1000
/** Quarters of an hour in a day. */
export const QUARTERS_A_DAY = 96
const DAY_MS = QUARTERS_A_DAY * QUARTER_MS

type DatedPost = DemoPost & { daysAgo: number }

/** The days of the demo, numbered since the epoch in the site's time zone. */
export interface Calendar {
  /** The present, in milliseconds since the epoch. */
  nowMs: number
  /** The number of the present day. */
  today: number
  /**
   * The start of a day, in milliseconds since the epoch. It is off by an hour before the last change to or from summer
   * time, which no list shows: only the views of the last days are counted per quarter.
   */
  startOf(day: number): number
}

/** @param timeZone the site's IANA time zone. @throws RangeError for a zone that does not exist. */
export function createCalendar({ nowMs, timeZone }: { nowMs: number; timeZone: string }): Calendar {
  // Swedish dates have the format of ISO 8601. Parsed as UTC they give the offset of the zone.
  const wallClock = new Date(nowMs).toLocaleString('sv-SE', { timeZone }).replace(' ', 'T')
  const offsetMs = Math.round((Date.parse(`${wallClock}Z`) - nowMs) / QUARTER_MS) * QUARTER_MS
  return {
    nowMs,
    today: Math.floor((nowMs + offsetMs) / DAY_MS),
    startOf: (day) => day * DAY_MS - offsetMs,
  }
}

/** The publication time of a post, in milliseconds since the epoch: between 6 and 11 in the morning. */
export function publishedAtMs({ slug, daysAgo }: DatedPost, { today, startOf }: Calendar): number {
  return startOf(today - daysAgo) + (24 + Math.floor(20 * seededRandom(slug, 'published'))) * QUARTER_MS
}

/** Whether a post has a date, so is not a draft. */
export function isDated(post: DemoPost): post is DatedPost {
  return post.daysAgo !== null
}

/** Whether a post is live now: not a draft, not scheduled, not private. */
export function isPublished(post: DemoPost): post is DatedPost {
  return isDated(post) && post.daysAgo > 0 && post.isPrivate !== true
}
