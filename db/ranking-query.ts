import type { WindowQuery } from './window-query.ts'

/** The posts and the order of a ranking. */
export interface Ranking {
  /** `views`: by views in the window. `trending`: by heat, the views of about the last day weighing most. */
  sort: 'views' | 'trending'
  /** The window: see `WindowQuery`. */
  days: number
  /** The greatest number of posts. */
  limit: number
  /** Slugs: posts in one of these categories, or in one below them. */
  category?: readonly string[] | undefined
  /** Slugs: posts with one of these tags. */
  tag?: readonly string[] | undefined
  /** Slugs: posts of one of these authors. */
  author?: readonly string[] | undefined
  /** Slugs: posts in none of these categories, and in none below them. */
  excludeCategory?: readonly string[] | undefined
  /** A language tag: see `isInLanguage`. */
  language?: string | undefined
  /** Posts that were published in this many times 24 hours before the present. */
  publishedWithin?: number | undefined
}

/** A query for a ranking of posts. Unknown slugs find no post. */
export interface RankingQuery extends Ranking, WindowQuery {}
