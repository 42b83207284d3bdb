import { type Kysely, sql } from 'kysely'
import pg from 'pg'

/** How a change of the data concerns cached lists: see `Store.invalidate`. */
export type Change = 'hard' | 'soft'

const CHANNEL = 'popular_posts'
const RECONNECT_MS = { first: 100, longest: 5_000 }

/** Tells all who listen on this database that lists are outdated; inside a transaction, when it commits. */
export async function announceChange<DB>(db: Kysely<DB>, change: Change): Promise<void> {
  await sql`select pg_notify(${CHANNEL}, ${change})`.execute(db)
}

interface ListenOptions {
  connectionString: string
  onChange: (change: Change) => void
  /** Told when the connection is lost or cannot be made; it is tried again until `close`. */
  onLost: (error: unknown) => void
}

/**
 * Listens for changes on a connection of its own, which is made anew for as long as it takes. What was announced while
 * there was no connection is not known: so a connection made anew counts as a hard change.
 */
export function listenForChanges({ connectionString, onChange, onLost }: ListenOptions): { close(): Promise<void> } {
  let isClosed = false
  let failures = 0
  let hasListened = false
  let client: pg.Client | undefined
  let timer: NodeJS.Timeout | undefined
  let attempt = connect()

  async function connect(): Promise<void> {
    const connection = new pg.Client({ connectionString, application_name: 'popular-posts listener', keepAlive: true })
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
    connection.on('notification', ({ payload }) => onChange(payload === 'soft' ? 'soft' : 'hard'))
    try {
      await connection.connect()
      await connection.query(`listen ${CHANNEL}`)
    } catch (error) {
      lost(error)
      return
    }
    failures = 0
    if (hasListened) onChange('hard')
    hasListened = true
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
