import type { AddResult, PendingView, ViewBuffer } from './view-buffer.ts'

interface LateViewsOptions {
  /** The buffer in Redis. Its `add` may fail fast, because a request waits. */
  buffer: ViewBuffer
  /** Adds a view again, before a flush. */
  addAgain: (view: PendingView) => Promise<AddResult>
  /** A visitor of a post counts once in this time. */
  dedupSeconds: number
  /** The present time, in milliseconds since the epoch. */
  now: () => number
  /** Called with the error for each view that the buffer did not take, and that is kept. */
  onKept: (error: unknown) => void
  /** Called with the number of views that were kept, and are lost. */
  onLost: (views: number) => void
}

/** The most views that a process keeps: some 5 MB. */
const MAX_LATE_VIEWS = 10_000

/** A buffer that keeps views while the buffer behind it takes none. */
export interface LateViewBuffer extends ViewBuffer {
  /** Ends the keeping: views that are still kept are lost. */
  end(): void
}

/**
 * Keeps views in the memory of this process while Redis takes none, as during a failover, a restart, or the move of a slot
 * to another node of a Cluster. Each `take` adds them again first.
 *
 * A command without a reply may have been executed. To add its views again has no effect then: their visitors are
 * remembered. This holds within `dedupSeconds`, so older views are not added again.
 */
export function keepLateViews({
  buffer,
  addAgain,
  dedupSeconds,
  now,
  onKept,
  onLost,
}: LateViewsOptions): LateViewBuffer {
  let late: PendingView[] = []

  function lose(views: number): void {
    if (views > 0) onLost(views)
  }

  async function addOrKeep(view: PendingView, add = buffer.add): Promise<AddResult> {
    try {
      return await add(view)
    } catch (error) {
      if (late.length >= MAX_LATE_VIEWS) throw error
      // The window of its client may be over by then.
      late.push({ ...view, client: undefined })
      onKept(error)
      return 'counted'
    }
  }

  async function addLateViews(): Promise<void> {
    const oldestMs = now() - dedupSeconds * 1000
    const inTime = late.filter(({ timeMs }) => timeMs > oldestMs)
    lose(late.length - inTime.length)
    late = []
    const added = await Promise.allSettled(inTime.map((view) => addOrKeep(view, addAgain)))
    // Others were kept meanwhile, and there is no room for these any more.
    lose(added.filter(({ status }) => status === 'rejected').length)
  }

  return {
    ...buffer,
    add: (view) => addOrKeep(view),
    async take(id) {
      await addLateViews()
      return buffer.take(id)
    },
    end() {
      lose(late.length)
      late = []
    },
  }
}
