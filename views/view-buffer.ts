/** A view, judged to be a reader's, on its way into the buffer. */
export interface BufferedView {
  /** Who looked at which post, as pseudonyms: a repeat where one of them is remembered; the first is remembered. */
  visitors: readonly [string, ...string[]]
  postId: string
  /** Start of the quarter of an hour, in milliseconds since the epoch. */
  quarterMs: number
  /** The moment of the view, in milliseconds since the epoch. */
  timeMs: number
}

/** Views of one post in one quarter of an hour. */
export interface BufferedViews {
  postId: string
  quarterMs: number
  views: number
}

/**
 * Where views wait until they are counted in the database: in this process, or in Redis for all processes. Every
 * operation is atomic.
 *
 * Views are added to the buffer. `take` makes a **batch** of it, under an id. Batches stay until they are dropped, whoever
 * took them: a batch that was counted and not dropped is counted again by id, that is, not at all (see `db/count-views.ts`).
 */
export interface ViewBuffer {
  /** Adds a view; `false`: the visitor has been counted less than `dedupSeconds` ago. */
  add(view: BufferedView): Promise<boolean>
  /** Makes a batch of what is in the buffer, if there is anything; answers the ids of all batches. */
  take(id: string): Promise<string[]>
  /** What a batch holds; nothing when it was dropped. */
  read(id: string): Promise<BufferedViews[]>
  /** Forgets a batch. */
  drop(id: string): Promise<void>
  /** The secret that pseudonyms of that day (`YYYY-MM-DD`, UTC) are made with: the same for all who share the buffer. */
  salt(day: string): Promise<Buffer>
}

/** So many batches may wait to be counted; then the buffer grows on instead, by one number for each post and quarter. */
export const MAX_BATCHES = 16
