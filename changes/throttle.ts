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

/** What became of a change: see `Store.invalidateForChange`. */
interface AppliedChange {
  /** `paced`: nothing yet, because another change was applied a moment ago. */
  state: 'ended' | 'known' | 'paced'
  /** For how long no further change of this mode is applied (ms). */
  pauseMs: number
  /** For the next call for the same change. */
  ends: number
}

/** Invalidates the cache for a change, at the pace of the fleet: see `Store.invalidateForChange`. */
export type ApplyChange = (
  mode: ChangeMode,
  change: { cause: string | undefined; after: number | undefined },
) => Promise<AppliedChange>

interface ThrottleOptions {
  clock: Clock
  /** Called again while it replies `paced`, after the pause; and after a rejection, until it succeeds. */
  apply: ApplyChange
  /** Called with the first rejection of a series. */
  onFailure: (error: unknown) => void
}

/** Changes that are not applied yet, merged. */
interface Pending extends ChangeEvent {
  /** `ends` of the first reply, `paced`, to all of these changes. */
  after?: number
}

const RETRY_MS = 1_000

/**
 * Applies changes, one call at a time. Changes that arrive during a call or a pause are merged into the next call. The
 * pause is the store's, which many processes share: at its end all of them call, and the store applies the first call.
 */
export function createChangeThrottle({ clock, apply, onFailure }: ThrottleOptions) {
  const freeAtMs = { hard: Number.NEGATIVE_INFINITY, soft: Number.NEGATIVE_INFINITY }
  let pending: Pending | undefined
  let running: Promise<void> | undefined
  let isFailing = false
  let isClosed = false
  let cancel = () => {}

  function add(event: ChangeEvent): void {
    if (isClosed) return
    pending = pending === undefined ? event : merge(pending, event)
    applyLater()
  }

  function applyLater(): void {
    cancel()
    if (pending === undefined || running !== undefined || isClosed) return
    const event = pending
    // Even the first change waits one tick, so that all notifications of one transaction are merged.
    cancel = clock.schedule(Math.max(0, freeAtMs[event.mode] - clock.now()), () => {
      pending = undefined
      running = applyNow(event).finally(() => {
        running = undefined
        applyLater()
      })
    })
  }

  async function applyNow(event: Pending): Promise<void> {
    const { mode, name: cause, after } = event
    try {
      const { state, pauseMs, ends } = await apply(mode, { cause, after })
      freeAtMs[mode] = clock.now() + pauseMs
      isFailing = false
      if (state === 'paced') putBack({ ...event, after: after ?? ends })
    } catch (error) {
      if (!isFailing) onFailure(error)
      isFailing = true
      freeAtMs.hard = freeAtMs.soft = clock.now() + RETRY_MS
      putBack(event)
    }
  }

  /** Merges an event that was not applied with the newer ones. */
  function putBack(event: Pending): void {
    pending = pending === undefined ? event : merge(event, pending)
  }

  return {
    add,
    /** Drops the pending changes, and waits for a call of `apply` that is running. */
    async close(): Promise<void> {
      isClosed = true
      cancel()
      await running
    },
  }
}

/** The result has no `after`: the second event may have been committed after the reply. */
function merge(first: Pending, second: Pending): Pending {
  const isNotification = first.isNotification && second.isNotification
  return {
    mode: first.mode === 'hard' ? 'hard' : second.mode,
    name: isNotification ? second.name : undefined,
    isNotification,
  }
}
