/** A view, judged to be a reader's, on its way into the buffer. */
export interface BufferedView {
  /** Who looked at which post, as pseudonyms: a repeat where one of them is remembered; the first is remembered. */
  visitors: readonly [string, ...string[]]
  postId: string
  /** Start of the quarter of an hour, in milliseconds since the epoch. */
  bucketStartMs: number
  /** The moment of the view, in milliseconds since the epoch. */
  timeMs: number
}

/** Views of one post in one quarter of an hour. */
export interface BufferedViews {
  postId: string
  bucketStartMs: number
  views: number
}

/** What {@link ViewBuffer.take} found. */
export interface Taken {
  /** The batches to be counted: the new one where one was made, those that wait, and those set aside whose time has come. */
  ids: string[]
  /** The batches that are set aside until later. */
  aside: string[]
  /** How many numbers the buffer still holds. */
  left: number
}

/**
 * Where views wait until they are counted in the database: in this process, or in Redis for all processes. Every
 * operation is atomic.
 *
 * Views are added to the buffer, one number for each post and quarter. `take` makes a **batch** of a part of it, under an id.
 * Batches stay until they are dropped, whoever took them: a batch that was counted and not dropped is counted again by id,
 * that is, not at all (see `db/count-views.ts`).
 */
export interface ViewBuffer {
  /** Adds a view; `false`: the visitor has been counted less than `dedupSeconds` ago. */
  add(view: BufferedView): Promise<boolean>
  /**
   * Makes a batch of at most {@link BATCH_NUMBERS} numbers of the buffer. It makes none where the buffer is empty, where
   * {@link MAX_BATCHES} batches wait, or where another process takes one at the same moment.
   */
  take(id: string): Promise<Taken>
  /** What a batch holds; nothing when it was dropped. */
  read(id: string): Promise<BufferedViews[]>
  /** Forgets a batch. */
  drop(id: string): Promise<void>
  /**
   * Sets a batch aside that cannot be counted: `take` names it again after `delayMs`. `false`: {@link MAX_ASIDE} batches are
   * aside, so it goes on to wait.
   */
  setAside(id: string, delayMs: number): Promise<boolean>
  /** The secret that pseudonyms of that day (`YYYY-MM-DD`, UTC) are made with: the same for all who share the buffer. */
  salt(day: string): Promise<Buffer>
}

/**
 * How many numbers a batch holds at most. To take 1,000 from a buffer of any size blocks Redis for 1.7 ms, to read them for
 * 0.1 ms, and one statement counts them in 20 ms (docs/scale.md). The time grows with the number; the cost of a number does not.
 */
export const BATCH_NUMBERS = 1_000

/** When this many batches wait to be counted, the buffer grows on instead, by one number for each post and quarter. */
export const MAX_BATCHES = 16

/** A fault that every batch meets must not set all of them aside: the buffer adds up views of a post, batches do not. */
export const MAX_ASIDE = 16
