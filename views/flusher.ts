import { codeOf } from '../lib/errors.ts'
import { ASIDE_MS, MAX_BATCH_COUNTS, type ViewBuffer, type ViewCount } from './view-buffer.ts'

/**
 * Counts a batch in the database, exactly once for each id. It does not call `read` when the id has been counted.
 * @param isLast whether the flush is the last one of the process.
 * @returns `before`: the id has been counted before. `late`: too much time has passed since `read`; read the batch again.
 */
export type CountBatch = (
  id: string,
  read: () => Promise<ViewCount[]>,
  isLast: boolean,
) => Promise<'counted' | 'before' | 'late'>

/** The result of one flush. */
export interface FlushResult {
  /** The number of batches that this flush counted. */
  batches: number
  /** The number of views in these batches. */
  views: number
  /** The number of batches that are left for the next flush, because the time of this one has ended. */
  waiting: number
  /** The number of batches that cannot be counted because of their content. They are retried after ten minutes. */
  aside: number
}

/** The result of one flush, with its error. */
export interface FlushReport extends FlushResult {
  /** The first error; `undefined`: there was none. */
  error: unknown
}

interface FlusherOptions {
  buffer: ViewBuffer
  count: CountBatch
  /** Returns a new random id, never the same twice. */
  nonce: () => string
  /** How long a flush makes batches of a large buffer, in milliseconds. Default 10,000. */
  drainMs?: number
  /** Waits between the batches of a large buffer, so that readers get time of the database. Default: no wait. */
  rest?: (afterMs: number) => Promise<unknown>
  /** Called for each batch that is set aside, with the error. */
  onAside?: (id: string, error: unknown) => void
  /** Called at the end of each flush. Several callers may share one flush. */
  onEnd?: (report: FlushReport) => void
}

interface FlushOptions {
  /** Counts one batch only (in a Cluster, of each shard), because the caller waits, and a backlog may take minutes. */
  isBrief?: boolean
}

/** Another transaction holds rows of the batch: its content is not at fault. */
const LOCK_NOT_AVAILABLE = '55P03'

/** The share of `drainMs` that is added for batches of other processes, and for those that were set aside. */
const OTHERS_TIME_SHARE = 0.5

/**
 * Creates the flusher, which moves views from the buffer to the database. Any number of processes may flush at the same time,
 * and any of them may be killed at any time:
 *
 * 1. A part of the buffer becomes a batch.
 * 2. One statement writes the id of the batch and its views.
 * 3. The batch is dropped.
 *
 * A process that dies before (2) leaves a batch that the next flush counts. A process that dies before (3) leaves a batch
 * whose id is known; the next flush only drops it. The steps repeat until the buffer is empty or the time has passed.
 *
 * A batch that fails does not stop the others. After a failure the flusher counts an empty batch. If that fails too, the
 * database is at fault, and the flush ends. Otherwise the flusher retries the batch once, and sets it aside if it fails again.
 * A batch whose rows another transaction holds waits for the next flush.
 */
export function createFlusher(options: FlusherOptions) {
  const { buffer, count, nonce, drainMs = 10_000, rest = async () => {} } = options
  const { onAside = () => {}, onEnd = () => {} } = options
  let running: Promise<unknown> = Promise.resolve()
  let next: { promise: Promise<FlushReport>; isBrief: boolean } | undefined
  let isBehind = false
  let isEnding = false
  /** In the present flush, another transaction holds rows. */
  let isHeld = false

  /** Counts and drops a batch. `false`: the batch has to be read again. */
  async function countAndDrop(id: string, report: FlushReport): Promise<boolean> {
    let views = 0
    const read = async () => {
      const batch = await buffer.read(id)
      for (const part of batch) views += part.views
      return batch
    }
    const counted = await count(id, read, isEnding)
    if (counted === 'late') return false
    if (counted === 'counted') {
      report.batches += 1
      report.views += views
    }
    await buffer.drop(id)
    return true
  }

  /** Counts a batch, or sets it aside; then returns true. Rejects when the database or the buffer is at fault. */
  async function countOrSetAside(id: string, report: FlushReport): Promise<boolean> {
    try {
      return await countAndDrop(id, report)
    } catch (error) {
      if (codeOf(error) === LOCK_NOT_AVAILABLE) {
        report.error ??= error
        isHeld = true
        return false
      }
      await count(nonce(), async () => [], isEnding).catch(() => {
        throw error
      })
    }
    try {
      // The connection may have broken; the retry uses another one.
      return await countAndDrop(id, report)
    } catch (error) {
      report.error ??= error
      if (!(await buffer.setAside(id, ASIDE_MS))) return false
      onAside(id, error)
      report.aside += 1
      return true
    }
  }

  async function drain(report: FlushReport, isBrief: boolean): Promise<void> {
    const startedAtMs = performance.now()
    const isOver = (share: number) => performance.now() - startedAtMs >= drainMs * share
    const tried = new Set<string>()
    isHeld = false
    for (;;) {
      const batchAtMs = performance.now()
      const { made, ids, aside, left, error } = await buffer.take(nonce())
      report.error ??= error
      isBehind = left > 0
      const isLast = !isBehind || isBrief || isEnding || isOver(1)
      // The new batches first, the others once at the end: other processes may be counting them.
      const others = made.length > 0 && !isLast ? [] : ids.filter((id) => !made.includes(id) && !tried.has(id))
      const done = new Set<string>()
      report.aside = aside.length
      for (const id of [...made, ...others]) {
        // Older batches probably have the same rows, and each attempt would stop other processes for two seconds.
        if (!made.includes(id) && (isHeld || isOver(1 + OTHERS_TIME_SHARE))) break
        tried.add(id)
        if (await countOrSetAside(id, report)) done.add(id)
      }
      report.waiting = ids.filter((id) => !done.has(id)).length + Math.ceil(left / MAX_BATCH_COUNTS)
      // Without any batch, another process has taken one at the same time: try again.
      if (isLast || (ids.length > 0 && done.size === 0)) return
      if (!isEnding) await rest(performance.now() - batchAtMs)
    }
  }

  async function flush(isBrief: boolean): Promise<FlushReport> {
    const report: FlushReport = { batches: 0, views: 0, waiting: 0, aside: 0, error: undefined }
    try {
      await drain(report, isBrief)
    } catch (error) {
      report.error ??= error
    } finally {
      isBehind = false
    }
    onEnd(report)
    return report
  }

  return {
    /**
     * Counts the views in the buffer. Never rejects. Only one flush runs at a time: a caller during a flush gets the next
     * flush, which counts all views from before the call.
     */
    flush({ isBrief = false }: FlushOptions = {}): Promise<FlushReport> {
      if (next !== undefined) {
        next.isBrief &&= isBrief
        return next.promise
      }
      const promise = running.then(() => {
        const isNowBrief = next?.isBrief === true
        next = undefined
        const flushing = flush(isNowBrief)
        running = flushing
        return flushing
      })
      next = { promise, isBrief }
      return promise
    },
    /** Whether a flush is running that has more than one batch left. */
    isBehind: () => isBehind,
    /** Limits each later flush to one batch, without waits. A running flush ends after its present batch. */
    end(): void {
      isEnding = true
    },
  }
}
