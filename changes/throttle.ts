import type { Clock } from '../lib/clock.ts'
import type { Change } from './revision.ts'

/** A change that the cache is to be told of. */
export interface ChangeNews {
  change: Change
  /** See `Store.invalidate`; `undefined`: nobody else knows it by a name. */
  cause: string | undefined
  /**
   * It was heard as a notification. These come in the order of commits, to everybody: who has acted on the cause of one
   * has acted on all before it.
   */
  isNotice: boolean
}

interface ThrottleOptions {
  clock: Clock
  /** Tells the cache. A rejection is tried again, for as long as it takes. */
  apply: (change: Change, cause: string | undefined) => Promise<void>
  /** Told of the first rejection in a row. */
  onFailure: (error: unknown) => void
}

/**
 * After a change the next one waits: soft ones refresh lists, hard ones empty the cache, and a load that is overtaken three
 * times is an error. A second is what a copy in a process may be late anyway.
 */
const PAUSE_MS = { hard: 1_000, soft: 5_000 }
const RETRY_MS = 1_000

export type ChangeThrottle = ReturnType<typeof createChangeThrottle>

/** Lets the first of many changes through at once, and those that come soon after together, after a pause. */
export function createChangeThrottle({ clock, apply, onFailure }: ThrottleOptions) {
  const freeAtMs = { hard: Number.NEGATIVE_INFINITY, soft: Number.NEGATIVE_INFINITY }
  const running = new Set<Promise<void>>()
  let pending: ChangeNews | undefined
  let isFailing = false
  let isClosed = false
  let cancel = () => {}

  function add(news: ChangeNews): void {
    if (isClosed) return
    const all = pending === undefined ? news : together(pending, news)
    pending = all
    cancel()
    // Also the first not before the next turn: what one transaction announces comes in one piece.
    cancel = clock.schedule(Math.max(0, freeAtMs[all.change] - clock.now()), () => {
      pending = undefined
      const work = act(all).finally(() => running.delete(work))
      running.add(work)
    })
  }

  async function act(news: ChangeNews): Promise<void> {
    freeAtMs.soft = clock.now() + PAUSE_MS.soft
    if (news.change === 'hard') freeAtMs.hard = clock.now() + PAUSE_MS.hard
    try {
      await apply(news.change, news.cause)
      isFailing = false
    } catch (error) {
      if (!isFailing) onFailure(error)
      isFailing = true
      freeAtMs.hard = freeAtMs.soft = clock.now() + RETRY_MS
      const newer = pending
      pending = undefined
      add(newer === undefined ? news : together(news, newer))
    }
  }

  return {
    add,
    /** Drops what waits, and waits for what is being told. */
    async close(): Promise<void> {
      isClosed = true
      cancel()
      await Promise.all(running)
    },
  }
}

function together(first: ChangeNews, second: ChangeNews): ChangeNews {
  const isNotice = first.isNotice && second.isNotice
  return {
    change: first.change === 'hard' ? 'hard' : second.change,
    cause: isNotice ? second.cause : undefined,
    isNotice,
  }
}
