import { type Kysely, sql } from 'kysely'
import { LRUCache } from 'lru-cache'
import { explainDatabaseError } from '../db/explain-error.ts'
import { TablesMissing } from '../db/own-schema.ts'
import type { Tables } from '../db/ranking.ts'
import type { Clock } from '../lib/clock.ts'
import { type LoggedError, loggedError, ofOwnQuery } from '../lib/logged-error.ts'
import type { Logger } from '../lib/logger.ts'
import { listenForChanges } from './listen.ts'
import { createNotificationCheck } from './notifications.ts'
import { NotificationsDropped } from './pooler.ts'
import { changesSince, committedSince, hasChangeTable, partsOf } from './revision.ts'
import type { ChangeEvent } from './throttle.ts'

interface WatchOptions {
  db: Kysely<Tables>
  /** The database to listen to; `undefined`: changes are found by polling only. */
  databaseUrl: string | undefined
  /** Makes the password for each new connection. */
  password?: (() => string) | undefined
  /** Returns the schema of this package's tables; `undefined`: it is not known. Default: it is not. */
  schema?: (() => string | undefined) | undefined
  clock: Clock
  /** Called once for each change. */
  onChange: (event: ChangeEvent) => void
  log: Pick<Logger, 'info' | 'warn'>
}

/**
 * How often the revision is compared. With notifications, polling finds the changes whose notifications a pooler drops or
 * a dead connection loses. Without notifications, polling is the only way.
 */
const POLL_MS = { listening: 60_000, polling: 5_000 }
/** How long the start waits for the first revision. */
const START_MS = 1_000
const LOST_MESSAGES = {
  lost: 'not listening for changes any more, reconnecting',
  // A standby (25006), a pooler, or a user without the right to connect.
  refused: 'the server refuses LISTEN: changes are found by polling every 5 s, next attempt in a minute',
  dropped:
    'a pooler in front of PostgreSQL drops notifications, as PgBouncer does in transaction mode: changes are found by polling every 5 s',
}

/**
 * Finds the changes of the database, and reports each once. It listens for notifications where that is possible. It also
 * compares revisions: after every connection, at intervals (polling), and when a scheduled post is due.
 */
export function watchChanges({
  db,
  databaseUrl,
  password,
  schema = () => undefined,
  clock,
  onChange,
  log,
}: WatchOptions) {
  const seen = new LRUCache<string, true>({ max: 10_000 })
  let revision: string | undefined
  let hasTable = false
  let isMissingTableLogged = false
  let listenState: 'connecting' | 'listening' | keyof typeof LOST_MESSAGES = 'connecting'
  /** Polling found a change that should have arrived as a notification: notifications are being lost. */
  let missesNotifications = false
  /** The comparison that runs next was started by the poll interval. */
  let isScheduledPoll = false
  let isFailing = false
  let isClosed = false
  let cancel = () => {}
  let last = Promise.resolve(false)
  let next: Promise<boolean> | undefined

  function isUnseen(name: string): boolean {
    if (seen.has(name)) return false
    seen.set(name, true)
    return true
  }

  /** Compares with the state of the database after this call. Resolves to whether there was a change. Never rejects. */
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
    const wasScheduledPoll = isScheduledPoll
    isScheduledPoll = false
    let dueInMs = Number.POSITIVE_INFINITY
    let isFound = false
    try {
      hasTable ||= await hasChangeTable(db)
      if (!hasTable) {
        const message = 'the database does not record changes: run "npx popular-posts migrate"'
        if (!isMissingTableLogged) log.info({}, `popular posts: ${message}`)
        isMissingTableLogged = true
        return false
      }
      const found = await changesSince(db, revision, isUnseen)
      isFailing = false
      revision = found.revision
      dueInMs = found.dueInMs ?? dueInMs
      if (found.mode !== undefined) {
        isFound = true
        missesNotifications = wasScheduledPoll && listenState === 'listening' && found.isComparable
        onChange({ mode: found.mode, name: found.name, isNotification: false })
      }
    } catch (error) {
      // The check of the database reports missing tables.
      if (!isFailing && !(error instanceof TablesMissing))
        log.warn(errorDetails(error), 'popular posts: the database could not be polled for changes, retrying')
      isFailing = true
    }
    const pollMs = listenState === 'listening' && !missesNotifications ? POLL_MS.listening : POLL_MS.polling
    cancel = clock.schedule(Math.min(dueInMs, pollMs), () => {
      isScheduledPoll = pollMs <= dueInMs
      void compare()
    })
    return isFound
  }

  const notifications = createNotificationCheck({
    clock,
    async committed(names) {
      // A running comparison may report the same changes.
      await last
      return revision === undefined ? [] : committedSince(db, revision, names)
    },
    onChange(name) {
      if (isUnseen(name)) onChange({ mode: name.startsWith('hard ') ? 'hard' : 'soft', name, isNotification: true })
    },
    compare,
  })

  function onNotification(payloadInDatabase: string): void {
    const [payload, from] = partsOf(payloadInDatabase)
    const own = schema()
    if (from !== undefined && own !== undefined && from !== own) return
    missesNotifications = false
    if (!seen.has(payload)) notifications.onNotification(payload)
  }

  async function onListening(): Promise<void> {
    const isReconnect = listenState !== 'connecting'
    listenState = 'listening'
    await compare()
    // Without a revision to compare with, the missed changes are unknown.
    if (isReconnect && revision === undefined) onChange({ mode: 'hard', name: undefined, isNotification: false })
  }

  const listener =
    databaseUrl === undefined
      ? undefined
      : listenForChanges({
          connectionString: databaseUrl,
          password,
          onNotification: onNotification,
          onListening: () => void onListening(),
          notify: (channel, payload) => sql`select pg_notify(${channel}, ${payload})`.execute(db),
          onLost(error, isRefused) {
            const isDropped = error instanceof NotificationsDropped
            const state = isDropped ? 'dropped' : isRefused ? 'refused' : 'lost'
            if (listenState !== state) {
              const message = `popular posts: ${LOST_MESSAGES[state]}`
              if (isDropped) log.info({}, message)
              else log.warn(errorDetails(error), message)
            }
            listenState = state
            missesNotifications = false
          },
        })

  return {
    /** Resolves when there is a revision to compare with, or after 1 s: then polling goes on until there is one. */
    ready(): Promise<void> {
      return new Promise((resolve) => {
        const cancelTimeout = clock.schedule(START_MS, resolve)
        void compare().then(() => {
          cancelTimeout()
          resolve()
        })
      })
    },
    async close(): Promise<void> {
      isClosed = true
      cancel()
      await listener?.close()
      await notifications.close()
      await last
    },
  }
}

/** Details for the log, without the names and values that messages of the driver may contain. */
function errorDetails(error: unknown): { err: LoggedError; reason: string | undefined } {
  return { err: loggedError(ofOwnQuery(error)), reason: explainDatabaseError(error, 'the database URL') }
}
