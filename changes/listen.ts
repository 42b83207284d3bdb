import { Socket } from 'node:net'
import pg from 'pg'
import { type ConnectionOptions, clientOptions } from '../db/pool.ts'
import { codeOf } from '../lib/errors.ts'
import { CHANNEL } from './revision.ts'

/** How long until the next attempt: twice as long after each failure. */
const RECONNECT_MS = { first: 100, longest: 5_000, refused: 60_000 }
/** How long a server may take to close a connection. */
const GOODBYE_MS = 500

interface ListenOptions extends ConnectionOptions {
  /** Told of each notification: what was sent with it. */
  onNotice: (payload: string) => void
  /** Listening from now on, again or for the first time: what was sent before this has not been heard. */
  onListening: () => void
  /**
   * Called when the connection is lost or cannot be made. The next attempt comes in seconds, or in a minute where
   * `isRefused`: the server has answered that this is not allowed, as a standby does. It goes on until `close`.
   */
  onLost: (error: unknown, isRefused: boolean) => void
  /** How long a server may take to open a connection, and to answer LISTEN. Default 5,000. */
  patienceMs?: number
  /** Runs something later, unless what it returns is called first. Default: by a timer that keeps no process alive. */
  schedule?: (delayMs: number, run: () => void) => () => void
}

/** Listens for changes on a connection of its own, which is made anew for as long as it takes. One is open at most. */
export function listenForChanges(options: ListenOptions): { close(): Promise<void> } {
  const { onNotice, onListening, onLost, patienceMs = 5_000, schedule = later } = options
  let isClosed = false
  let failures = 0
  let cancel = () => {}
  let hangUp = connect()

  /** @returns what closes the connection, in every state, in half a second at most. */
  function connect(): () => Promise<void> {
    const socket = new Socket()
    const connection = new pg.Client({
      ...clientOptions(options),
      application_name: 'popular-posts listener',
      connectionTimeoutMillis: patienceMs,
      query_timeout: patienceMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      stream: () => socket,
    })
    const end = async () => {
      // A server that is frozen never closes its side, and the driver waits for that.
      const giveUp = setTimeout(() => socket.destroy(), GOODBYE_MS)
      await connection.end()
      clearTimeout(giveUp)
    }
    let isLost = false
    const lost = async (error: unknown) => {
      if (isLost || isClosed) return
      isLost = true
      const isRefused = isRefusal(error)
      onLost(error, isRefused)
      const ended = end()
      hangUp = () => ended
      await ended
      if (isClosed) return
      const delayMs = Math.min(RECONNECT_MS.first * 2 ** failures, RECONNECT_MS.longest)
      failures += 1
      cancel = schedule(isRefused ? RECONNECT_MS.refused : delayMs, () => {
        hangUp = connect()
      })
    }
    connection.on('error', lost)
    connection.on('end', () => lost(new Error('the connection ended')))
    connection.on('notification', ({ payload = '' }) => onNotice(payload))
    connection
      .connect()
      .then(() => connection.query(`listen ${CHANNEL}`))
      .then(() => {
        failures = 0
        if (!isClosed) onListening()
      })
      .catch(lost)
    return end
  }

  return {
    async close() {
      isClosed = true
      cancel()
      await hangUp()
    },
  }
}

/**
 * Whether an error is a server's final word (a SQLSTATE): it is a standby, or a pooler, or the user may not connect.
 * Not final are the classes 53 (too many connections) and 57 (starting up, shutting down).
 */
function isRefusal(error: unknown): boolean {
  return /^(?!53|57|E)[0-9A-Z]{5}$/.test(codeOf(error))
}

function later(delayMs: number, run: () => void): () => void {
  const timer = setTimeout(run, delayMs).unref()
  return () => clearTimeout(timer)
}
