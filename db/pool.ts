import { Socket } from 'node:net'
import type { PostgresPool, PostgresPoolClient } from 'kysely'
import pg from 'pg'
import { codeOf, messageOf } from '../lib/errors.ts'
import { type ConnectionOptions, clientClass } from './client.ts'

/** Options of {@link openPool}. */
export interface PoolOptions extends ConnectionOptions {
  /** The `application_name` of the connections, unless the URL has one. Default `popular-posts`. */
  name?: string
  /** The greatest number of connections. Default 10. */
  max?: number
  /**
   * The timeout of a statement in seconds, in the client, and on the server unless a `password` is made or a pooler
   * refuses the setting. Default 30.
   */
  statementSeconds?: number
  /**
   * How long a connection may be idle before it is closed, in ms. 0: for ever. In a process that was suspended, the timers of
   * idle connections are due when it resumes, before the request that needs a connection. Default 10,000.
   */
  idleMs?: number
  /** Called if an idle connection breaks. */
  onError: (error: Error) => void
}

/** A pool as Kysely 0.28 and 0.29 need it: only 0.29 reads the options. */
type Pool = PostgresPool & { options: object }

/** A connection that was idle for `afterMs` is probed before use; it is replaced without a reply after `patienceMs`. */
const PROBE = { afterMs: 1_000, patienceMs: 250 }

/** How long connections have to end after `end()`: a suspended server never closes its side. */
const END_MS = 500

/**
 * A connection pool to PostgreSQL that recovers from connections that broke silently, as they do while a process is
 * suspended or behind a firewall that drops idle connections. An idle connection that does not answer a probe is
 * replaced, and a connection on which a statement timed out is not reused. (pg's own pool keeps both.)
 */
export function openPool({
  name = 'popular-posts',
  max = 10,
  statementSeconds = 30,
  idleMs = 10_000,
  onError,
  connectionString,
  password,
}: PoolOptions): Pool {
  // A startup parameter, which RDS Proxy refuses; connections with IAM tokens may go through RDS Proxy.
  let sendsTimeout = password === undefined
  const Client = clientClass(password)
  const sockets = new Set<Socket>()
  const pool = new pg.Pool({
    connectionString,
    stream() {
      const socket = new Socket()
      sockets.add(socket)
      return socket.once('close', () => sockets.delete(socket))
    },
    application_name: name,
    max,
    idleTimeoutMillis: idleMs,
    Client: class extends Client {
      constructor(config: pg.ClientConfig = {}) {
        super(sendsTimeout ? { ...config, statement_timeout: statementSeconds * 1000 } : config)
      }
    },
    // So that a server that does not answer cannot block a request for ever.
    connectionTimeoutMillis: 5_000,
    query_timeout: statementSeconds * 1000,
  })
  pool.on('error', onError)
  // pg-pool handles 'error' only for idle clients. A checked-out client that breaks emits 'error' too; unhandled it
  // ends the process. The next statement fails anyway.
  pool.on('connect', (client) => client.on('error', () => undefined))
  const releasedAtMs = new WeakMap<pg.PoolClient, number>()

  async function connect(): Promise<PostgresPoolClient> {
    for (;;) {
      const client = await pool.connect().catch((error: unknown) => {
        if (!refusesTimeout(error)) throw error
        sendsTimeout = false
        return pool.connect()
      })
      const idleMs = Date.now() - (releasedAtMs.get(client) ?? Date.now())
      if (idleMs < PROBE.afterMs || (await isAlive(client))) return wrapClient(client)
      client.release(true)
    }
  }

  function wrapClient(client: pg.PoolClient): PostgresPoolClient {
    let isBroken = false
    return {
      // The type that Kysely declares for the query of pg.
      query: ((...query: Parameters<typeof client.query>) => {
        const result = client.query(...query) as unknown
        if (result instanceof Promise) {
          result.catch((error: Error) => {
            isBroken ||= error.message === 'Query read timeout'
          })
        }
        return result
      }) as PostgresPoolClient['query'],
      // Kysely passes `true` for a connection whose rollback failed.
      release(destroy = false) {
        releasedAtMs.set(client, Date.now())
        client.release(isBroken || destroy)
      },
    }
  }

  /** Ends all connections: at once if they are idle, else after their statement, and in any case within half a second. */
  async function end(): Promise<void> {
    const timer = setTimeout(() => {
      for (const socket of sockets) socket.destroy()
    }, END_MS)
    await pool.end()
    clearTimeout(timer)
  }

  return { connect, end, options: pool.options }
}

/** Whether a pooler refuses the timeout: PgBouncer accepts few startup parameters. */
function refusesTimeout(error: unknown): boolean {
  return codeOf(error) === '08P01' && messageOf(error).includes('statement_timeout')
}

async function isAlive(client: pg.PoolClient): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<boolean>((resolve) => {
    // `setImmediate`, so that sockets are read first: see `systemClock`.
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
