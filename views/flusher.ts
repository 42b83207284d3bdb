import type { BufferedViews, ViewBuffer } from './view-buffer.ts'

/**
 * Counts a batch in the database, exactly once for an id. `read` is not called when the id is known.
 * @returns `late`: what was read is too old to be counted.
 */
export type CountBatch = (id: string, read: () => Promise<BufferedViews[]>) => Promise<'counted' | 'before' | 'late'>

export interface Flushed {
  /** Batches counted now. */
  batches: number
  /** Views in them. */
  views: number
  /** Batches that are left for the next flush: this process was frozen with them in its hands. */
  waiting: number
}

interface FlusherOptions {
  buffer: ViewBuffer
  count: CountBatch
  /** A new random name, never the same twice. */
  nonce: () => string
}

/**
 * Moves views from the buffer to the database. Any number of processes may do so at once, and be killed at any moment:
 * (1) the buffer becomes a batch, (2) its id and its views are written in one statement, (3) the batch is dropped. Who dies
 * before (2) leaves a batch that the next one counts; before (3) one whose id is known, and that is only dropped.
 *
 * @throws what the buffer or the database answered; nothing is lost, and the next flush goes on from there.
 */
export function createFlusher({ buffer, count, nonce }: FlusherOptions): () => Promise<Flushed> {
  let running: Promise<unknown> = Promise.resolve()
  let waiting: Promise<Flushed> | undefined

  async function flush(): Promise<Flushed> {
    const flushed: Flushed = { batches: 0, views: 0, waiting: 0 }
    for (const id of await buffer.take(nonce())) {
      let views = 0
      const counted = await count(id, async () => {
        const batch = await buffer.read(id)
        for (const part of batch) views += part.views
        return batch
      })
      if (counted === 'late') {
        flushed.waiting += 1
        continue
      }
      if (counted === 'counted') {
        flushed.batches += 1
        flushed.views += views
      }
      await buffer.drop(id)
    }
    return flushed
  }

  /** One flush at a time; who asks while one runs gets the one after it, which has everything from before the question. */
  return () => {
    waiting ??= running
      .catch(() => undefined)
      .then(() => {
        waiting = undefined
        const flushing = flush()
        running = flushing
        return flushing
      })
    return waiting
  }
}
