import type { Clock } from '../lib/clock.ts'
import { isName } from './revision.ts'

interface NoticesOptions {
  clock: Clock
  /** Which of these names are of changes that were made, in the same order. */
  prove: (names: readonly string[]) => Promise<string[]>
  /** Is given each change that was heard and was made, in the order in which they were heard. */
  onProven: (name: string) => void
  /** Compares the database with what it was; whether there was a change. Never rejects. */
  compare: () => Promise<boolean>
}

/** After notifications that nothing had happened behind. */
const PAUSE_MS = 1_000
/** So many names are checked at once; what is heard beyond is found by comparing. */
const MOST_NAMES = 1_000

/**
 * Finds out what is behind notifications. Any role of a database may send any notification, as often as it likes: so one is
 * a reason to ask the database, and no more. What comes while it is asked, is asked for together; where nothing had
 * happened, it is not asked again for a second.
 */
export function createNotices({ clock, prove, onProven, compare }: NoticesOptions) {
  let names: string[] = []
  /** Something was heard that is not the name of a change. */
  let isHinted = false
  let isBusy = false
  let isClosed = false
  let quietUntilMs = Number.NEGATIVE_INFINITY
  let cancel = () => {}
  let running = Promise.resolve()

  function hear(payload: string): void {
    if (isName(payload) && names.length < MOST_NAMES) names.push(payload)
    else isHinted = true
    lookSoon()
  }

  function lookSoon(): void {
    if (isBusy || isClosed) return
    isBusy = true
    const run = () => {
      running = look()
    }
    const pauseMs = quietUntilMs - clock.now()
    if (pauseMs > 0) cancel = clock.schedule(pauseMs, run)
    else run()
  }

  async function look(): Promise<void> {
    // What one transaction announces comes in one piece.
    await Promise.resolve()
    const heard = names
    names = []
    // An error is one of comparing, too, which says so.
    const proven = heard.length === 0 ? [] : await prove(heard).catch(() => [])
    for (const name of proven) onProven(name)
    let isFound = proven.length > 0
    if (isHinted || proven.length < heard.length) {
      isHinted = false
      isFound = (await compare()) || isFound
    }
    if (!isFound) quietUntilMs = clock.now() + PAUSE_MS
    isBusy = false
    if (names.length > 0 || isHinted) lookSoon()
  }

  return {
    hear,
    async close(): Promise<void> {
      isClosed = true
      cancel()
      await running
    },
  }
}
