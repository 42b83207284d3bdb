import type { Clock } from '../lib/clock.ts'
import type { ChangeMode } from './revision.ts'

/** A change of the data, for which the cache is to be invalidated. */
export interface ChangeEvent {
  mode: ChangeMode
  /** The name of the change, the same in all processes; `undefined`: other processes may not know this change by a name. */
  name: string | undefined
  /**
   * Whether the change arrived as a notification. PostgreSQL sends notifications to all listeners in the order of the
   * commits. A process that has invalidated for one of them has therefore seen all before it.
   */
  isNotification: boolean
}

interface ThrottleOptions {
  clock: Clock
  /** Invalidates the cache. After a rejection it is called again, until it succeeds. */
  apply: (mode: ChangeMode, name: string | undefined) => Promise<void>
  /** Called with the first rejection of a series. */
  onFailure: (error: unknown) => void
}

/**
 * The pause after a change, until the next one is applied. Soft changes refresh lists, hard changes empty the cache, and
 * a load that three invalidations overtake fails. One second is the delay that a copy in a process may have anyway.
 */
const PAUSE_MS = { hard: 1_000, soft: 5_000 }
const RETRY_MS = 1_000

/** Limits how often changes invalidate the cache: applies the first change at once, and merges those within a pause. */
export function createChangeThrottle({ clock, apply, onFailure }: ThrottleOptions) {
  const freeAtMs = { hard: Number.NEGATIVE_INFINITY, soft: Number.NEGATIVE_INFINITY }
  const running = new Set<Promise<void>>()
  let pending: ChangeEvent | undefined
  let isFailing = false
  let isClosed = false
  let cancel = () => {}

  function add(event: ChangeEvent): void {
    if (isClosed) return
    const merged = pending === undefined ? event : merge(pending, event)
    pending = merged
    cancel()
    // Even the first change waits one tick, so that all notifications of one transaction are merged.
    cancel = clock.schedule(Math.max(0, freeAtMs[merged.mode] - clock.now()), () => {
      pending = undefined
      const work = dispatch(merged).finally(() => running.delete(work))
      running.add(work)
    })
  }

  async function dispatch(event: ChangeEvent): Promise<void> {
    freeAtMs.soft = clock.now() + PAUSE_MS.soft
    if (event.mode === 'hard') freeAtMs.hard = clock.now() + PAUSE_MS.hard
    try {
      await apply(event.mode, event.name)
      isFailing = false
    } catch (error) {
      if (!isFailing) onFailure(error)
      isFailing = true
      freeAtMs.hard = freeAtMs.soft = clock.now() + RETRY_MS
      const newer = pending
      pending = undefined
      add(newer === undefined ? event : merge(event, newer))
    }
  }

  return {
    add,
    /** Drops the pending change, and waits for calls of `apply` that are running. */
    async close(): Promise<void> {
      isClosed = true
      cancel()
      await Promise.all(running)
    },
  }
}

function merge(first: ChangeEvent, second: ChangeEvent): ChangeEvent {
  const isNotification = first.isNotification && second.isNotification
  return {
    mode: first.mode === 'hard' ? 'hard' : second.mode,
    name: isNotification ? second.name : undefined,
    isNotification,
  }
}
