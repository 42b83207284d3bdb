import { Kysely, PostgresDialect } from 'kysely'
import { loggedError } from '../lib/logged-error.ts'
import type { Logger } from '../lib/logger.ts'
import { inOwnSchema, type OwnSchema } from './own-schema.ts'
import { openPool, type PoolOptions } from './pool.ts'
import type { Database } from './schema.ts'

/**
 * Opens a connection pool to PostgreSQL. `onError` is called if an idle connection breaks.
 * @param schema where the tables of this package are. Default: as the search_path says.
 */
export function openDatabase(
  connectionString: string,
  onError: (error: Error) => void,
  options: Omit<PoolOptions, 'connectionString' | 'onError'> = {},
  schema: OwnSchema = () => undefined,
): Kysely<Database> {
  const pool = openPool({ ...options, connectionString, onError })
  return inOwnSchema(new Kysely<Database>({ dialect: new PostgresDialect({ pool }) }), schema)
}

/**
 * The timeout of a statement that counts a batch or deletes rows; it usually takes some 20 ms. A retry follows a
 * timeout.
 */
const FLUSH_STATEMENT_SECONDS = 10

interface DatabasesOptions {
  databaseUrl: string
  password?: (() => string) | undefined
  /** Where the tables of this package are. */
  schema: OwnSchema
  /** The timeout of a statement in seconds, except those of `flushDb`. */
  statementSeconds: number
  /** The greatest number of connections of `db`. */
  max: number
  /** The greatest number of connections of `listDb`; 0: lists use those of `db`. */
  listMax: number
  /** As of {@link PoolOptions}. */
  idleMs: number
}

/** The connection pools of an app: slow statements of one pool never take the connections of another. */
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
  const { databaseUrl, password, schema, statementSeconds, max, listMax, idleMs } = options
  const onError = (error: Error) => log.warn({ err: loggedError(error) }, 'a database connection broke')
  const open = (more: Omit<PoolOptions, 'connectionString' | 'onError' | 'password' | 'idleMs'>) =>
    openDatabase(databaseUrl, onError, { password, idleMs, ...more }, schema)
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
