import type pg from 'pg'
import { nonce } from '../lib/nonce.ts'

/** The channel of the notification that a connection behind a pooler sends to itself. */
const PROBE_CHANNEL = 'popular_posts_probe'
/** How long the connection waits for this notification. */
const PROBE_MS = 2_000

/**
 * Notifications do not reach the connection: a pooler lends it a connection to PostgreSQL for each transaction, as
 * PgBouncer does in transaction mode.
 */
export class NotificationsDropped extends Error {
  override readonly name = 'NotificationsDropped'
  constructor() {
    super('Expected PostgreSQL to send notifications to this connection, but a pooler drops them.')
  }
}

/**
 * Checks that a connection receives notifications. A direct connection does. Behind a pooler, whose clients get a
 * process id that PostgreSQL does not have, another connection sends a notification, and this one waits for it.
 * `LISTEN` for the real channel would tell nothing: it succeeds, and stays on a connection that the pooler lends to
 * other programs.
 * @param notify sends a notification on another connection.
 * @throws NotificationsDropped, or the error of PostgreSQL.
 */
export async function expectNotifications(
  connection: pg.Client,
  notify: (channel: string, payload: string) => Promise<unknown>,
): Promise<void> {
  const { rows } = await connection.query<{ pid: string }>('select pg_backend_pid()::text as pid')
  if ('processID' in connection && String(connection.processID) === rows[0]?.pid) return
  const token = nonce()
  let timer: NodeJS.Timeout | undefined
  const isReceived = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, PROBE_MS, false).unref()
    connection.on('notification', ({ channel, payload }) => {
      if (channel === PROBE_CHANNEL && payload === token) resolve(true)
    })
    connection.once('end', () => resolve(false))
  })
  await connection.query(`listen ${PROBE_CHANNEL}`)
  await notify(PROBE_CHANNEL, token)
  const isListening = await isReceived
  clearTimeout(timer)
  await connection.query(`unlisten ${PROBE_CHANNEL}`)
  if (!isListening) throw new NotificationsDropped()
}
