import { setTimeout as sleep } from 'node:timers/promises'
import type { InvalidateMode } from '../cache/store.ts'
import { systemClock } from '../lib/clock.ts'
import { withinDeadline } from '../lib/deadline.ts'
import { loggedError } from '../lib/logged-error.ts'
import type { Logger } from '../lib/logger.ts'
import type { CacheEvents } from '../telemetry/cache-events.ts'

/** How long a call of the host's function may take before the next one begins. */
const CALL_MS = 10_000

interface ListsChangedOptions {
  /** The host's function. */
  notify: (change: { mode: InvalidateMode }) => unknown
  /** How long copies of lists are served after an invalidation, in milliseconds. The calls wait for that. */
  delayMs: number
  events: Pick<CacheEvents, 'observe'>
  log: Pick<Logger, 'warn'>
}

/** Calls the host's function after invalidations. */
export interface ListsChanged {
  /** Waits for the call for each earlier invalidation. Never rejects. */
  idle(): Promise<void>
  /** Makes the pending call now, and waits for it. Never rejects. */
  close(): Promise<void>
}

/**
 * Calls `notify` after each confirmed invalidation, one call at a time: invalidations that arrive during a call are merged
 * into the next one. A CDN that is purged then requests the lists again, so the call waits until no process has an old copy.
 */
export function createListsChanged({ notify, delayMs, events, log }: ListsChangedOptions): ListsChanged {
  const closing = new AbortController()
  let pending: InvalidateMode | undefined
  let running: Promise<void> | undefined

  async function run(): Promise<void> {
    while (pending !== undefined) {
      // Taken before the delay: a later invalidation gets a call of its own, after its own delay.
      const mode = pending
      pending = undefined
      await sleep(delayMs, undefined, { signal: closing.signal }).catch(() => {})
      try {
        await withinDeadline(systemClock, CALL_MS, Promise.resolve(notify({ mode })))
      } catch (error) {
        log.warn({ err: loggedError(error) }, 'popular posts: onListsChanged failed')
      }
    }
    running = undefined
  }

  events.observe((event) => {
    if (event.type !== 'invalidated') return
    if (pending !== 'hard') pending = event.mode
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
