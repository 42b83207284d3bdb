import type { PostgresPool, PostgresPoolClient } from 'kysely'
import pg from 'pg'

/** The server, and what may be given beside its URL. */
export interface ConnectionOptions {
  /** Of the form `postgres://user@host/database`. */
  connectionString: string
  /** Makes the password for each new connection: for tokens that run out. */
  password?: (() => string) | undefined
}

export interface PoolOptions extends ConnectionOptions {
  /** What the connections are called in `pg_stat_activity`, unless the URL says it. Default `popular-posts`. */
  name?: string
  /** How many connections at most. Default 10. */
  max?: number
  /** A statement that takes longer is given up, here and at the server. Default 30. */
  statementSeconds?: number
  /** Told when a connection breaks that nobody is using. */
  onError: (error: Error) => void
}

/** A pool as Kysely 0.28 and 0.29 need it: only 0.29 reads the options. */
type Pool = PostgresPool & { options: object }

/** A connection that lay unused for so long is asked for a sign of life first. */
const PROBE = { afterMs: 1_000, patienceMs: 250 }

/** What the driver needs of a URL and a password beside it. The driver would take the one in the URL, none, over ours. */
export function clientOptions({ connectionString, password }: ConnectionOptions): pg.ClientConfig {
  if (password === undefined) return { connectionString }
  const client = new pg.Client({ connectionString })
  const { host, port, database, user, ssl } = client
  return Object.assign<pg.ClientConfig, object>({ host, port, password, ssl }, { database, user })
}

/**
 * A pool of connections to PostgreSQL that heals when connections broke without a word, as they do while a process is frozen
 * or behind a firewall that forgets: one that does not give a sign of life is replaced within a statement, and one on
 * which a statement timed out is not used again. (pg's own pool keeps both.)
 */
export function openPool({
  name = 'popular-posts',
  max = 10,
  statementSeconds = 30,
  onError,
  ...connection
}: PoolOptions): Pool {
  const pool = new pg.Pool({
    ...clientOptions(connection),
    application_name: name,
    max,
    // A server that does not answer must not keep a request waiting for ever.
    connectionTimeoutMillis: 5_000,
    query_timeout: statementSeconds * 1000,
    // Sent at the start of a connection, where RDS Proxy refuses it. Whoever needs tokens may be behind one.
    ...(connection.password === undefined ? { statement_timeout: statementSeconds * 1000 } : {}),
  })
  pool.on('error', onError)
  // The pool listens to those that nobody uses. One that breaks between two statements of its user tells the next of them,
  // and would end the process if nobody listened.
  pool.on('connect', (client) => client.on('error', () => undefined))
  const releasedAtMs = new WeakMap<pg.PoolClient, number>()

  async function connect(): Promise<PostgresPoolClient> {
    for (;;) {
      const client = await pool.connect()
      const idleMs = Date.now() - (releasedAtMs.get(client) ?? Date.now())
      if (idleMs < PROBE.afterMs || (await isAlive(client))) return wrapClient(client)
      client.release(true)
    }
  }

  function wrapClient(client: pg.PoolClient): PostgresPoolClient {
    let isBroken = false
    return {
      // Kysely's own type of a result, as it declares it for pg.
      query: ((...query: Parameters<typeof client.query>) => {
        const result = client.query(...query) as unknown
        if (result instanceof Promise) {
          result.catch((error: Error) => {
            isBroken ||= error.message === 'Query read timeout'
          })
        }
        return result
      }) as PostgresPoolClient['query'],
      // Kysely asks to destroy a connection whose rollback has failed.
      release(destroy = false) {
        releasedAtMs.set(client, Date.now())
        client.release(isBroken || destroy)
      },
    }
  }

  return { connect, end: () => pool.end(), options: pool.options }
}

async function isAlive(client: pg.PoolClient): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<boolean>((resolve) => {
    // After the sockets were read: see `systemClock` of the cache.
    timer = setTimeout(() => setImmediate(resolve, false), PROBE.patienceMs)
  })
  const answers = client.query('select 1').then(
    () => true,
    () => false,
  )
  const answered = await Promise.race([answers, tooLate])
  clearTimeout(timer)
  return answered
}
