import type { ClientRate } from './fleet-rate.ts'
import type { Place } from './reader-limit.ts'

/** A view of a reader, to be added to the buffer. */
export interface PendingView {
  /**
   * Pseudonyms of the visitor of this post. If the buffer remembers one of them, the view is a repeat. Otherwise it remembers
   * the first.
   */
  visitors: readonly [string, ...string[]]
  postId: string
  /**
   * Where the view is from: see `originOf`. The buffer in a Cluster chooses the shard by it, so all views that one visitor or one
   * limit has in common have the same one. Default `''`.
   */
  origin?: string | undefined
  /** Where the reader is; `undefined`: the readers of this place are not limited. */
  place?: Place | undefined
  /** The pseudonym of the client, and the limit of its views to all processes; `undefined`: there is none. */
  client?: (ClientRate & { pseudonym: string }) | undefined
  /** Start of the quarter of an hour, in milliseconds since the epoch. */
  bucketStartMs: number
  /** The time of the view, in milliseconds since the epoch. */
  timeMs: number
}

/**
 * What became of a view. `repeat`: the visitor has been counted within `dedupSeconds`. `limited`: the limit of readers of its
 * place is reached, or that of views of its client.
 */
export type AddResult = 'counted' | 'repeat' | 'limited'

/** The number of views of one post in one quarter of an hour. */
export interface ViewCount {
  postId: string
  bucketStartMs: number
  views: number
}

/** The result of {@link ViewBuffer.take}. */
export interface TakeResult {
  /** The ids of the new batches: at most one of each shard. */
  made: string[]
  /** The batches to be counted: the new ones, the waiting ones, and those set aside that are due. */
  ids: string[]
  /** The batches that are set aside, and not due. */
  aside: string[]
  /** The number of counts that are left in the buffer. */
  left: number
  /** The first error of a shard that did not reply. Its batches are missing here. */
  error?: unknown
}

/**
 * Holds views until they are counted in the database: in the memory of this process, or in Redis for all processes. Every
 * operation is atomic.
 *
 * The buffer has one count for each post and quarter of an hour. `take` moves some of the counts to a **batch** with an id.
 * Every process sees all batches, and a batch stays until it is dropped. A batch that was counted but not dropped is counted
 * again under its id, which has no effect (see `db/count-views.ts`).
 */
export interface ViewBuffer {
  /** Adds a view, if it counts. */
  add(view: PendingView): Promise<AddResult>
  /**
   * Makes a batch of at most {@link MAX_BATCH_COUNTS} counts (in a Cluster, of each shard). It makes none when the buffer is empty,
   * when {@link MAX_BATCHES} batches wait, or when another process takes one at the same time.
   * @param newId an id that was never used. The batch gets it, or one that was made when its buffer began.
   */
  take(newId: string): Promise<TakeResult>
  /** Returns the counts of a batch; an empty array if the batch was dropped. */
  read(id: string): Promise<ViewCount[]>
  /** Deletes a batch. */
  drop(id: string): Promise<void>
  /**
   * Sets a batch aside that cannot be counted: `take` returns it again after `delayMs`, at most {@link ASIDE_MS}. Resolves to `false` when
   * {@link MAX_ASIDE} batches are aside already; then the batch stays among the waiting ones.
   */
  setAside(id: string, delayMs: number): Promise<boolean>
  /** Returns the secret for the pseudonyms of a day (`YYYY-MM-DD`, UTC): the same in all processes that share the buffer. */
  salt(day: string): Promise<Buffer>
}

/**
 * The most counts of a batch. To take 1,000 from a buffer of any size blocks Redis for 1.7 ms, to read them blocks it for
 * 0.1 ms, and one statement counts them in 20 ms (docs/scale.md). The time is proportional to the number of counts.
 */
export const MAX_BATCH_COUNTS = 1_000

/** The most waiting batches. Beyond them the buffer grows instead, by one count for each post and quarter of an hour. */
export const MAX_BATCHES = 16

/** A batch that cannot be counted is retried after this time: by then an operator may have removed the cause. */
export const ASIDE_MS = 600_000

/** The most batches set aside. An error of all batches must not set all of them aside: only the buffer sums up views. */
export const MAX_ASIDE = 16
