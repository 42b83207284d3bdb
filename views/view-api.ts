import type { PruneResult } from '../db/retention.ts'
import type { FlushResult } from './flusher.ts'
import type { RequestInfo, ViewOutcome } from './recorder.ts'

/** The argument of `record`: a view of a post. */
export interface ViewInput {
  /** The slug of the post. */
  slug: string
  /** The request of the reader; in a handler of Fastify, `request`. */
  request: RequestInfo
  /**
   * The id of the reader, if the site knows it: one person on two devices counts once. Numbers, text, bytes, and objects with a
   * `toString` of their own. Default, also for `null` and empty text: address and browser.
   */
  userId?: string | number | bigint | object | null | undefined
}

/** `app.postViews`: records views, and counts them in the database. */
export interface PostViews {
  /**
   * Records a view of the post with a slug. Never rejects; the caller may leave the promise alone. When Redis does not reply,
   * the first call takes half a second (150 ms without `backgroundWork`).
   *
   * The counting takes place later: see `flush`.
   *
   * ```ts
   * void app.postViews.record({ slug, request })
   * ```
   * @param view.request the address of the client is `request.ip`: set Fastify's `trustProxy` behind a proxy.
   * @returns the outcome; `undefined` when there is no live post with this slug.
   */
  record(view: ViewInput): Promise<ViewOutcome | undefined>
  /**
   * Counts the recorded views in the database; with Redis, those of all processes. A flush ends after 15 s (10 s after a
   * statement that hangs), even if views are left: `waiting` is the number of their batches.
   * @throws the first error of the database or of Redis. No view is lost: the next flush counts the rest.
   */
  flush(): Promise<FlushResult>
  /**
   * Returns the number of views of the post with a slug, of all time, as of the last flush: what its page shows. `undefined`
   * when there is no live post with this slug.
   *
   * The count is cached for a second in this process, and until its next flush. Calls at the same time share one statement.
   * While the database does not reply, the last known count is returned after a quarter of a second.
   * @throws `PP_LOOKUP_FAILED` (503, with `retryAfterMs`) when no count is known, and the database does not reply in a second.
   */
  count(slug: string): Promise<number | undefined>
  /**
   * Returns the counts of several posts by their slugs, as `count` does, for example of a list of posts. Slugs without a live
   * post are missing. Throws as `count`.
   */
  countMany(slugs: readonly string[]): Promise<Map<string, number>>
  /**
   * Deletes counters that no list reads any more: hours after 2 days, days after 400 days, ids of counted batches after 7
   * days. One call deletes at most 20,000 rows of a table; `hasMore` says whether to call again. A timer of the plugin calls
   * it every hour, unless `viewFlushSeconds` is 0.
   * @throws the error of the database. Rows that were deleted before the error stay deleted.
   */
  prune(): Promise<PruneResult>
  /** Returns counts since the start of the process. */
  stats(): PostViewsStats
}

/** Counts since the start of the process: recorded views by their outcome (see `ViewOutcome`), and flushes. */
export interface PostViewsStats extends Record<ViewOutcome, number> {
  /** Views that this process has counted in the database; with Redis, also views that other processes have recorded. */
  flushed: number
  /** Batches that this process has counted in the database. */
  batches: number
  /** Flushes that ended with an error. */
  flushesFailed: number
}
