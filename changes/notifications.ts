import type { Clock } from '../lib/clock.ts'
import { isChangeName } from './revision.ts'

interface NotificationCheckOptions {
  clock: Clock
  /** Returns those of the names whose changes were committed, in the same order. */
  committed: (names: readonly string[]) => Promise<string[]>
  /** Called with the name of each committed change, in the order of the notifications. */
  onChange: (name: string) => void
  /** Compares the database with the last revision. Resolves to whether there was a change. Never rejects. */
  compare: () => Promise<boolean>
}

/** The pause after notifications without a change behind them. */
const PAUSE_MS = 1_000
/** The most names of one check. Changes beyond this are found by comparing. */
const MAX_NAMES = 1_000

/**
 * Verifies notifications in the database. Any role of a database may send any notification, as often as it likes, so a
 * notification only says when to query. Notifications that arrive during a query are verified together by the next one.
 * After notifications without a change the next query waits for one second.
 */
export function createNotificationCheck({ clock, committed, onChange, compare }: NotificationCheckOptions) {
  let names: string[] = []
  /** A notification arrived that is not the name of a change, or the list of names was full. */
  let mustCompare = false
  let isChecking = false
  let isClosed = false
  let pausedUntilMs = Number.NEGATIVE_INFINITY
  let cancel = () => {}
  let running = Promise.resolve()

  function onNotification(payload: string): void {
    if (isChangeName(payload) && names.length < MAX_NAMES) names.push(payload)
    else mustCompare = true
    checkSoon()
  }

  function checkSoon(): void {
    if (isChecking || isClosed) return
    isChecking = true
    const run = () => {
      running = check()
    }
    const pauseMs = pausedUntilMs - clock.now()
    if (pauseMs > 0) cancel = clock.schedule(pauseMs, run)
    else run()
  }

  async function check(): Promise<void> {
    // One tick later, all notifications of one transaction are here.
    await Promise.resolve()
    const checked = names
    names = []
    // After an error `compare` queries the database too, and reports the error.
    const found = checked.length === 0 ? [] : await committed(checked).catch(() => [])
    for (const name of found) onChange(name)
    let isFound = found.length > 0
    if (mustCompare || found.length < checked.length) {
      mustCompare = false
      isFound = (await compare()) || isFound
    }
    if (!isFound) pausedUntilMs = clock.now() + PAUSE_MS
    isChecking = false
    if (names.length > 0 || mustCompare) checkSoon()
  }

  return {
    onNotification,
    /** Cancels the next check, and waits for the running one. */
    async close(): Promise<void> {
      isClosed = true
      cancel()
      await running
    },
  }
}
