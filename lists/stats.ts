import type { CacheCounts } from '../cache/events.ts'

/** Counts since the start of the process, and the present size of its memory store. */
export interface PopularPostsStats extends CacheCounts {
  /** The number of lists in the memory store of this process, without copies of lists in Redis. */
  entries: number
  /** The bytes of these lists. */
  bytes: number
  /** Whether Redis does not reply, so that this process uses its own memory instead of the shared cache. */
  isStoreDown: boolean
}
