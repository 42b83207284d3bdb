import { Client } from 'pg'
import { codeOf, messageOf } from '../../lib/errors.ts'
import { ROLE } from './role.ts'

/** How one process shows the others that it uses the server: a connection that holds a shared advisory lock. */
export interface ServerLease {
  /**
   * Ends it.
   * @returns whether nobody else is there. Then nobody can come any more either, until `release` or the server's end.
   */
  leave(): Promise<boolean>
  /** Closes the connection. */
  release(): Promise<void>
}

export interface JoinOptions {
  port: number
  password: string
  /** Who answers on the port must be the server of this folder. */
  dataDirectory: string
}

/**
 * Why nobody could enter: `absent`, there is no server of ours on that port; `busy`, it is there and takes nobody now
 * (starting, stopping, frozen).
 */
export class JoinError extends Error {
  readonly state: 'absent' | 'busy'
  constructor(state: 'absent' | 'busy', cause: unknown) {
    super(messageOf(cause), { cause })
    this.state = state
  }
}

// Any two numbers: locks named by two are never mistaken for those named by one, as migrators take them.
const LOCK = '1886351984, 1'
const RETRY_MS = 500

/**
 * Enters a server.
 *
 * The lock makes "the last one out stops it" safe: leaving turns the shared lock into the exclusive one, which is had
 * only while nobody else is there, and keeps newcomers out until the server is gone. Should the connection break (one
 * crashed backend ends them all), the process enters again by itself.
 * @throws NotEntered
 */
export async function joinServer(options: JoinOptions): Promise<ServerLease> {
  let client = await connect(options)
  let hasLeft = false
  let timer: NodeJS.Timeout | undefined
  let rejoining: Promise<void> | undefined

  const watch = (connected: Client) => {
    client = connected
    client.removeAllListeners('error')
    // Ending is what a server does in the end; what it says of it (57P01) is of no use to anyone.
    client.on('error', scheduleRejoin).once('end', scheduleRejoin)
  }
  const scheduleRejoin = () => {
    if (!hasLeft) timer ??= setTimeout(rejoin, RETRY_MS).unref()
  }
  const rejoin = () => {
    timer = undefined
    rejoining = connect(options).then(watch, scheduleRejoin)
  }
  watch(client)

  return {
    async leave() {
      hasLeft = true
      clearTimeout(timer)
      await rejoining
      const again = async () => {
        client = await connect(options)
        return isLast(client)
      }
      // A connection that was cut a moment ago is made once more; where there is no server, there is none to stop.
      return isLast(client)
        .catch(again)
        .catch(() => false)
    },
    async release() {
      await client.end()
    },
  }
}

/** Turns the shared lock into the exclusive one, which only the last one gets. */
async function isLast(client: Client): Promise<boolean> {
  await client.query(`select pg_advisory_unlock_shared(${LOCK})`)
  const { rows } = await client.query<{ got: boolean }>(`select pg_try_advisory_lock(${LOCK}) as got`)
  return rows[0]?.got === true
}

async function connect({ port, password, dataDirectory }: JoinOptions): Promise<Client> {
  const client = new Client({
    host: '127.0.0.1',
    port,
    user: ROLE,
    database: 'postgres',
    password,
    application_name: 'popular-posts presence',
    connectionTimeoutMillis: 2_000,
    query_timeout: 2_000,
    keepAlive: true,
  })
  client.on('error', () => client.end())
  try {
    await client.connect()
    const { rows } = await client.query<{ directory: string; entered: boolean }>(
      `select current_setting('data_directory') as directory, pg_try_advisory_lock_shared(${LOCK}) as entered`,
    )
    const isThere = rows.some(({ directory }) => directory === dataDirectory)
    if (!isThere) throw new JoinError('absent', 'another PostgreSQL server is on that port')
    if (rows.some(({ entered }) => entered)) return client
    throw new JoinError('busy', 'the server is being stopped')
  } catch (error) {
    await client.end()
    throw error instanceof JoinError ? error : new JoinError(isOurs(error) ? 'busy' : 'absent', error)
  }
}

/**
 * Whether an error is our server's, by its SQLSTATE, or may be, when nothing was said at all. Class 28 is a wrong
 * password; what begins with E (`EPIPE`) is the system's.
 */
function isOurs(error: unknown): boolean {
  return /^(?!28|E)[0-9A-Z]{5}$/.test(codeOf(error)) || /timeout/.test(messageOf(error))
}
