import { Client } from 'pg'
import { codeOf, messageOf } from '../../lib/errors.ts'
import { ROLE } from './role.ts'

/** Shows other processes that this process uses the server: a connection that holds a shared advisory lock. */
export interface ServerLease {
  /**
   * Gives up the shared lock.
   * @returns whether this process was the last one. Then no process can join until `release` or the end of the server.
   */
  leave(): Promise<boolean>
  /** Closes the connection. */
  release(): Promise<void>
}

/** Options of {@link joinServer}. */
export interface JoinOptions {
  port: number
  /** The password of the role. */
  password: string
  /** The server on the port must serve this folder. */
  dataDirectory: string
}

/**
 * Joining failed. `absent`: no server of this folder is on that port; `busy`: the server is there and accepts no
 * connection now (starting, stopping, suspended).
 */
export class JoinError extends Error {
  readonly state: 'absent' | 'busy'
  constructor(state: 'absent' | 'busy', cause: unknown) {
    super(messageOf(cause), { cause })
    this.state = state
  }
}

// Any two numbers: locks with two keys are different from locks with one key, which migrators use.
const LOCK = '1886351984, 1'
const RETRY_MS = 500

/**
 * Joins a server.
 *
 * The lock makes it safe that the last process stops the server: leaving replaces the shared lock by the exclusive
 * lock, which PostgreSQL grants only while no other process has the shared one, and which then keeps other processes
 * from joining until the server has ended. If the connection breaks (one crashed backend ends all connections), the
 * process rejoins.
 * @throws JoinError
 */
export async function joinServer(options: JoinOptions): Promise<ServerLease> {
  let client = await connect(options)
  let hasLeft = false
  let timer: NodeJS.Timeout | undefined
  let rejoining: Promise<void> | undefined

  const watch = (connected: Client) => {
    client = connected
    client.removeAllListeners('error')
    // A server that stops ends the connection, with an error (57P01) that needs no report.
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
      // Connects again if the connection has just broken. Without a server there is none to stop.
      return isLast(client)
        .catch(again)
        .catch(() => false)
    },
    async release() {
      await client.end()
    },
  }
}

/** Replaces the shared lock by the exclusive one, which only the last process gets. */
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
 * Whether an error comes from the server of this folder: it has a SQLSTATE, or is a timeout. Class 28 is a wrong
 * password, so another server; codes that begin with E (`EPIPE`) are those of the system.
 */
function isOurs(error: unknown): boolean {
  return /^(?!28|E)[0-9A-Z]{5}$/.test(codeOf(error)) || /timeout/.test(messageOf(error))
}
