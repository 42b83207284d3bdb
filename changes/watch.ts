import type { Kysely } from 'kysely'
import { LRUCache } from 'lru-cache'
import { explainDatabaseError } from '../db/explain-error.ts'
import type { Tables } from '../db/ranking.ts'
import type { Clock } from '../lib/clock.ts'
import { type LoggedError, loggedError } from '../lib/logged-error.ts'
import type { Logger } from '../lib/logger.ts'
import { listenForChanges } from './listen.ts'
import { createNotices } from './notifications.ts'
import { announcedSince, areChangesKept, changesSince } from './revision.ts'
import type { ChangeNews } from './throttle.ts'

interface WatchOptions {
  db: Kysely<Tables>
  /** Where to listen; `undefined`: changes are found by comparing only. */
  databaseUrl: string | undefined
  /** Makes the password for each new connection. */
  password?: (() => string) | undefined
  clock: Clock
  onChange: (news: ChangeNews) => void
  log: Pick<Logger, 'info' | 'warn'>
}

/**
 * How often the revision is compared. While notifications come, that is for those that a pooler swallows or a dead
 * connection loses; without them it is all there is.
 */
const COMPARE_MS = { listening: 60_000, alone: 5_000 }
/** How long the start waits for the first revision. */
const START_MS = 1_000
const LOST = {
  'not any more': 'not listening for changes, trying again',
  // A standby (25006), or a pooler or a user that may not.
  refused: 'the server refuses to listen for changes: they are found by comparing every 5 s, next attempt in a minute',
}

/**
 * Finds out what changes in the database, and tells each change once: by notifications where it can listen, and by
 * comparing revisions after every connection, now and then, and when a scheduled post is due.
 */
export function watchChanges({ db, databaseUrl, password, clock, onChange, log }: WatchOptions) {
  const heard = new LRUCache<string, true>({ max: 10_000 })
  let revision: string | undefined
  let isKept = false
  let isLackTold = false
  let listens: 'not yet' | 'yes' | keyof typeof LOST = 'not yet'
  /** A change was found by comparing that should have been heard. */
  let isDeaf = false
  let isRoutine = false
  let isFailing = false
  let isClosed = false
  let cancel = () => {}
  let last = Promise.resolve(false)
  let next: Promise<boolean> | undefined

  function isNews(name: string): boolean {
    if (heard.has(name)) return false
    heard.set(name, true)
    return true
  }

  /** Compares once more, with what is the case after this call; whether there was a change. Never rejects. */
  function compare(): Promise<boolean> {
    next ??= last.then(() => {
      next = undefined
      return isClosed ? false : compareNow()
    })
    last = next
    return next
  }

  async function compareNow(): Promise<boolean> {
    cancel()
    const wasRoutine = isRoutine
    isRoutine = false
    let dueInMs = Number.POSITIVE_INFINITY
    let isFound = false
    try {
      isKept ||= await areChangesKept(db)
      if (!isKept) {
        const message = 'the database does not tell of changes, run "npx popular-posts migrate" to make it'
        if (!isLackTold) log.info({}, `popular posts: ${message}`)
        isLackTold = true
        return false
      }
      const found = await changesSince(db, revision, isNews)
      isFailing = false
      revision = found.revision
      dueInMs = found.dueInMs ?? dueInMs
      if (found.change !== undefined) {
        isFound = true
        isDeaf = wasRoutine && listens === 'yes'
        onChange({ change: found.change, cause: found.cause, isNotice: false })
      }
    } catch (error) {
      if (!isFailing) log.warn(described(error), 'popular posts: cannot ask for changes, trying again')
      isFailing = true
    }
    const routineMs = listens === 'yes' && !isDeaf ? COMPARE_MS.listening : COMPARE_MS.alone
    cancel = clock.schedule(Math.min(dueInMs, routineMs), () => {
      isRoutine = routineMs <= dueInMs
      void compare()
    })
    return isFound
  }

  const notices = createNotices({
    clock,
    async prove(names) {
      // A comparison that is under way may have seen them.
      await last
      return revision === undefined ? [] : announcedSince(db, revision, names)
    },
    onProven(name) {
      if (isNews(name)) onChange({ change: name.startsWith('hard ') ? 'hard' : 'soft', cause: name, isNotice: true })
    },
    compare,
  })

  function hear(payload: string): void {
    isDeaf = false
    if (!heard.has(payload)) notices.hear(payload)
  }

  async function startOver(): Promise<void> {
    const isAgain = listens !== 'not yet'
    listens = 'yes'
    await compare()
    // What was missed cannot be known.
    if (isAgain && revision === undefined) onChange({ change: 'hard', cause: undefined, isNotice: false })
  }

  const listener =
    databaseUrl === undefined
      ? undefined
      : listenForChanges({
          connectionString: databaseUrl,
          password,
          onNotice: hear,
          onListening: () => void startOver(),
          onLost(error, isRefused) {
            const state = isRefused ? 'refused' : 'not any more'
            if (listens !== state) log.warn(described(error), `popular posts: ${LOST[state]}`)
            listens = state
            isDeaf = false
          },
        })

  return {
    /** Resolves when there is a revision to compare with, or the database has not given one in time: then it is asked again. */
    ready(): Promise<void> {
      return new Promise((resolve) => {
        const giveUp = clock.schedule(START_MS, resolve)
        void compare().then(() => {
          giveUp()
          resolve()
        })
      })
    },
    async close(): Promise<void> {
      isClosed = true
      cancel()
      await listener?.close()
      await notices.close()
      await last
    },
  }
}

/** For the log: without what the messages of the driver may name. */
function described(error: unknown): { err: LoggedError; reason: string | undefined } {
  return { err: loggedError(error), reason: explainDatabaseError(error, 'the database URL') }
}
