import { MAX_BATCH_COUNTS, type ViewBuffer, type ViewCount } from './view-buffer.ts'

/**
 * Counts a batch in the database, exactly once for an id. `read` is not called when the id is known.
 * @returns `late`: what was read is too old to be counted.
 */
export type CountBatch = (id: string, read: () => Promise<ViewCount[]>) => Promise<'counted' | 'before' | 'late'>

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

/** What one flush did. */
export interface FlushReport extends FlushResult {
  /** The first error; `undefined`: all went well. */
  error: unknown
}

interface FlusherOptions {
  buffer: ViewBuffer
  count: CountBatch
  /** A new random name, never the same twice. */
  nonce: () => string
  /** For how long a flush goes on making batches of a large buffer, in milliseconds. Default 10 s. */
  drainMs?: number
  /** Waits between the batches of a large buffer, so that the database has time for readers. Default: no wait. */
  rest?: (afterMs: number) => Promise<unknown>
  /** Told of a batch that is set aside, and why. */
  onAside?: (id: string, error: unknown) => void
  /** Told of each flush when it has ended; callers may share one. */
  onEnd?: (report: FlushReport) => void
}

interface FlushOptions {
  /** One batch only: the caller waits for the flush, and a backlog may need minutes. */
  isBrief?: boolean
}

/** A batch with a fault of its own is tried again after this time: by then an operator may have mended the cause. */
const ASIDE_MS = 600_000

/** What other processes have left, and what was set aside, has half as much time again. */
const OTHERS_TIME_SHARE = 0.5

/**
 * Moves views from the buffer to the database. Any number of processes may do so at once, and be killed at any moment:
 * (1) a part of the buffer becomes a batch, (2) its id and its views are written in one statement, (3) the batch is dropped.
 * A process that dies before (2) leaves a batch that the next one counts; before (3) one whose id is known, and that is only
 * dropped. This goes on until the buffer is empty, or the time is up.
 *
 * A batch that fails stops no other. After a failure an empty batch is counted: where that fails too, the database is at fault,
 * and the flush ends. Otherwise the batch is tried once more, and is set aside where it fails again.
 */
export function createFlusher(options: FlusherOptions) {
  const { buffer, count, nonce, drainMs = 10_000, rest = async () => {} } = options
  const { onAside = () => {}, onEnd = () => {} } = options
  let running: Promise<unknown> = Promise.resolve()
  let next: { promise: Promise<FlushReport>; isBrief: boolean } | undefined
  let isBehind = false
  let isEnding = false

  /** `false`: it has to be read again. */
  async function countAndDrop(id: string, report: FlushReport): Promise<boolean> {
    let views = 0
    const counted = await count(id, async () => {
      const batch = await buffer.read(id)
      for (const part of batch) views += part.views
      return batch
    })
    if (counted === 'late') return false
    if (counted === 'counted') {
      report.batches += 1
      report.views += views
    }
    await buffer.drop(id)
    return true
  }

  /** Counts a batch, or sets it aside. Rejects where the database or the buffer is at fault. `true`: it is out of the way. */
  async function countOrSetAside(id: string, report: FlushReport): Promise<boolean> {
    try {
      return await countAndDrop(id, report)
    } catch (error) {
      await count(nonce(), async () => []).catch(() => {
        throw error
      })
    }
    try {
      // The fault may have been a connection that broke; this is on another.
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
    for (;;) {
      const batchAtMs = performance.now()
      const id = nonce()
      const { ids, aside, left } = await buffer.take(id)
      isBehind = left > 0
      const isLast = !isBehind || isBrief || isEnding || isOver(1)
      // Its own first, and the others once at the end: another process may be counting each of them.
      const isMade = ids.includes(id)
      const others = isMade && !isLast ? [] : ids.filter((one) => one !== id && !tried.has(one))
      const done = new Set<string>()
      report.aside = aside.length
      for (const one of isMade ? [id, ...others] : others) {
        if (one !== id && isOver(1 + OTHERS_TIME_SHARE)) break
        tried.add(one)
        if (await countOrSetAside(one, report)) done.add(one)
      }
      report.waiting = ids.filter((one) => !done.has(one)).length + Math.ceil(left / MAX_BATCH_COUNTS)
      // No batch at all: another process has taken one at the same moment.
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
     * Counts what is in the buffer. Never rejects. One flush at a time: a caller that comes while one runs gets the one after
     * it, which has everything from before the call.
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
    /** Whether a flush runs that has more before it than one batch. */
    isBehind: () => isBehind,
    /** From now on a flush makes one batch only, without rests; one that runs ends after its present batch. */
    end(): void {
      isEnding = true
    },
  }
}
