import { setTimeout as sleep } from 'node:timers/promises'
import type { CacheEvent } from '../cache/events.ts'
import { systemClock } from '../lib/clock.ts'
import { withinDeadline } from '../lib/deadline.ts'
import { loggedError } from '../lib/logged-error.ts'
import type { Logger } from '../lib/logger.ts'
import type { ListsChange } from '../settings/list-query.ts'
import type { CacheEvents } from '../telemetry/cache-events.ts'

/**
 * How long a call waits for after its change: other processes serve copies of older lists for up to a second. It also bounds
 * the calls, to one a second.
 */
const DELAY_MS = 1_000
/** How long a call of the host's function may take before the next one begins. */
const CALL_MS = 10_000

interface ListsChangedOptions {
  /** The host's function. */
  notify: (change: ListsChange) => unknown
  events: Pick<CacheEvents, 'observe'>
  log: Pick<Logger, 'warn'>
}

/** Calls the host's function after changes of lists. */
export interface ListsChanged {
  /** Waits for the call for each earlier change. Never rejects. */
  idle(): Promise<void>
  /** Makes the pending call now, and waits for it. Never rejects. */
  close(): Promise<void>
}

/** The reasons, the strongest last: of the changes that one call is for, it gets the strongest. */
const REASONS = ['refreshed', 'soft', 'hard'] as const

/** The reason of a change; `undefined`: the event is none. */
function reasonOf(event: CacheEvent): ListsChange['reason'] | undefined {
  if (event.type === 'invalidated') return event.mode
  return event.type === 'loaded' && event.why === 'refresh' && event.committed === 'stored' ? 'refreshed' : undefined
}

/**
 * Calls `notify` after each change of lists, one call at a time: changes that arrive during a call are merged into the next
 * one.
 */
export function createListsChanged({ notify, events, log }: ListsChangedOptions): ListsChanged {
  const closing = new AbortController()
  let pending: ListsChange['reason'] | undefined
  let running: Promise<void> | undefined

  async function run(): Promise<void> {
    while (pending !== undefined) {
      // Taken before the delay: a later change gets a call of its own, after its own delay.
      const reason = pending
      pending = undefined
      await sleep(DELAY_MS, undefined, { signal: closing.signal }).catch(() => {})
      try {
        await withinDeadline(systemClock, CALL_MS, Promise.resolve(notify({ reason })))
      } catch (error) {
        log.warn({ err: loggedError(error) }, 'popular posts: onListsChanged failed')
      }
    }
    running = undefined
  }

  events.observe((event) => {
    const reason = reasonOf(event)
    if (reason === undefined) return
    pending = REASONS.findLast((each) => each === reason || each === pending)
    running ??= run()
  })

  const idle = async () => running
  return {
    idle,
    close() {
      closing.abort()
      return idle()
    },
  }
}
