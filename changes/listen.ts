import { Socket } from 'node:net'
import { type ConnectionOptions, clientClass } from '../db/client.ts'
import { codeOf } from '../lib/errors.ts'
import { expectNotifications, NotificationsDropped } from './pooler.ts'
import { CHANNEL } from './revision.ts'

/** The delay before a reconnect; it doubles with each failure. */
const RECONNECT_MS = { first: 100, longest: 5_000, refused: 60_000 }
/** The time in which the server must close a connection. */
const CLOSE_TIMEOUT_MS = 500

interface ListenOptions extends ConnectionOptions {
  /** Called with the payload of each notification. */
  onNotification: (payload: string) => void
  /** Called after each LISTEN, the first and those after a reconnect. Notifications from before are missed. */
  onListening: () => void
  /**
   * Called when the connection is lost or cannot be opened. The next attempt follows within 5 seconds, or after a minute
   * with `isRefused`: the server does not allow it, as a standby, or a pooler drops notifications
   * ({@link NotificationsDropped}). Attempts continue until `close`.
   */
  onLost: (error: unknown, isRefused: boolean) => void
  /** Sends a notification on another connection: see {@link expectNotifications}. */
  notify: (channel: string, payload: string) => Promise<unknown>
  /** The timeout for opening a connection, and for LISTEN, in milliseconds. Default 5,000. */
  timeoutMs?: number
  /** Runs a function after a delay; returns a function that cancels it. Default: a timer that is unreferenced. */
  schedule?: (delayMs: number, run: () => void) => () => void
}

/** Listens for changes on a connection of its own, and reconnects until `close`. At most one connection is open. */
export function listenForChanges(options: ListenOptions): { close(): Promise<void> } {
  const { connectionString, onNotification, onListening, onLost, notify, timeoutMs = 5_000, schedule = later } = options
  const Client = clientClass(options.password)
  let isClosed = false
  let failures = 0
  let cancel = () => {}
  let disconnect = connect()

  /** @returns a function that closes the connection, in every state, within half a second. */
  function connect(): () => Promise<void> {
    const socket = new Socket()
    const connection = new Client({
      connectionString,
      application_name: 'popular-posts listener',
      connectionTimeoutMillis: timeoutMs,
      query_timeout: timeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      stream: () => socket,
    })
    const end = async () => {
      // The driver waits for the server to close its side, which a suspended server never does.
      const closeTimeout = setTimeout(() => socket.destroy(), CLOSE_TIMEOUT_MS)
      await connection.end()
      clearTimeout(closeTimeout)
    }
    let isLost = false
    const onConnectionLost = async (error: unknown) => {
      if (isLost || isClosed) return
      isLost = true
      const isRefused = isRefusal(error)
      onLost(error, isRefused)
      const ended = end()
      disconnect = () => ended
      await ended
      if (isClosed) return
      const delayMs = Math.min(RECONNECT_MS.first * 2 ** failures, RECONNECT_MS.longest)
      failures += 1
      cancel = schedule(isRefused ? RECONNECT_MS.refused : delayMs, () => {
        disconnect = connect()
      })
    }
    connection.on('error', onConnectionLost)
    connection.on('end', () => onConnectionLost(new Error('the connection ended')))
    connection.on('notification', ({ channel, payload = '' }) => {
      if (channel === CHANNEL) onNotification(payload)
    })
    connection
      .connect()
      .then(() => expectNotifications(connection, notify))
      .then(() => connection.query(`listen ${CHANNEL}`))
      .then(() => {
        failures = 0
        if (!isClosed) onListening()
      })
      .catch(onConnectionLost)
    return end
  }

  return {
    async close() {
      isClosed = true
      cancel()
      await disconnect()
    },
  }
}

/**
 * Whether an error is a refusal of the server (a SQLSTATE): it is a standby or a pooler, or the user may not connect.
 * The classes 53 (too many connections) and 57 (starting up, shutting down) are temporary, and no refusal.
 */
function isRefusal(error: unknown): boolean {
  return error instanceof NotificationsDropped || /^(?!53|57|E)[0-9A-Z]{5}$/.test(codeOf(error))
}

function later(delayMs: number, run: () => void): () => void {
  const timer = setTimeout(run, delayMs).unref()
  return () => clearTimeout(timer)
}
