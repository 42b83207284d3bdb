import { Kysely, PostgresDialect } from 'kysely'
import { loggedError } from '../lib/logged-error.ts'
import type { Logger } from '../lib/logger.ts'
import { openPool, type PoolOptions } from './pool.ts'
import type { Database } from './schema.ts'

/** Opens a pool of connections to PostgreSQL. `onError` is told when a connection breaks that nobody is using. */
export function openDatabase(
  connectionString: string,
  onError: (error: Error) => void,
  options: Omit<PoolOptions, 'connectionString' | 'onError'> = {},
): Kysely<Database> {
  const pool = openPool({ ...options, connectionString, onError })
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
}

/**
 * A statement that counts a batch takes some 20 ms, and one that deletes rows as long. One that hangs, such as behind a lock, ends
 * after this, and is tried again.
 */
const FLUSH_STATEMENT_SECONDS = 10

interface DatabasesOptions {
  databaseUrl: string
  password?: (() => string) | undefined
  /** How long a statement may take, but for those of `flushDb`. */
  statementSeconds: number
  /** How many connections `db` has at most. */
  max: number
  /** How many connections lists have of their own; 0: they use those of `db`. */
  listMax: number
}

/** The connection pools of an app: what is slow in one never holds the connections of another. */
export interface Databases {
  /** For posts, probes and changes. */
  db: Kysely<Database>
  /** For loading lists. */
  listDb: Kysely<Database>
  /** One connection, for counting views and deleting old counters. */
  flushDb: Kysely<Database>
  close(): Promise<void>
}

/** Opens the connection pools of an app. No connection is made before the first statement. */
export function openDatabases(options: DatabasesOptions, log: Logger): Databases {
  const { databaseUrl, password, statementSeconds, max, listMax } = options
  const onError = (error: Error) => log.warn({ err: loggedError(error) }, 'a database connection broke')
  const open = (more: Omit<PoolOptions, 'connectionString' | 'onError' | 'password'>) =>
    openDatabase(databaseUrl, onError, { password, ...more })
  const db = open({ max, statementSeconds })
  const listDb = listMax === 0 ? db : open({ max: listMax, statementSeconds, name: 'popular-posts-lists' })
  const flushDb = open({ max: 1, statementSeconds: FLUSH_STATEMENT_SECONDS, name: 'popular-posts-flush' })
  return {
    db,
    listDb,
    flushDb,
    close: async () => void (await Promise.all([...new Set([db, listDb, flushDb])].map((each) => each.destroy()))),
  }
}
