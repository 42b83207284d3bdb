import pg from 'pg'
import { type Connection, clientOptions } from './pool.ts'
import { CHANNEL } from './signals.ts'

const RECONNECT_MS = { first: 100, longest: 5_000 }

interface ListenOptions extends Connection {
  /** Told of each notification: what was sent with it. */
  onNotice: (payload: string) => void
  /** Listening from now on, again or for the first time: what was sent before this has not been heard. */
  onListening: () => void
  /** Told when the connection is lost or cannot be made; it is tried again until `close`. */
  onLost: (error: unknown) => void
}

/** Listens for changes on a connection of its own, which is made anew for as long as it takes. */
export function listenForChanges(options: ListenOptions): { close(): Promise<void> } {
  const { onNotice, onListening, onLost } = options
  let isClosed = false
  let failures = 0
  let client: pg.Client | undefined
  let timer: NodeJS.Timeout | undefined
  let attempt = connect()

  async function connect(): Promise<void> {
    const connection = new pg.Client({
      ...clientOptions(options),
      application_name: 'popular-posts listener',
      connectionTimeoutMillis: 5_000,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    })
    client = connection
    let isLost = false
    const lost = (error: unknown) => {
      if (isLost || isClosed) return
      isLost = true
      onLost(error)
      const delayMs = Math.min(RECONNECT_MS.first * 2 ** failures, RECONNECT_MS.longest)
      failures += 1
      timer = setTimeout(() => {
        attempt = connect()
      }, delayMs)
      timer.unref()
    }
    connection.on('error', lost)
    connection.on('end', () => lost(new Error('the connection ended')))
    connection.on('notification', ({ payload = '' }) => onNotice(payload))
    try {
      await connection.connect()
      await connection.query(`listen ${CHANNEL}`)
    } catch (error) {
      lost(error)
      return
    }
    failures = 0
    onListening()
  }

  return {
    async close() {
      isClosed = true
      clearTimeout(timer)
      await attempt
      await client?.end()
    },
  }
}
