import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { Kysely, PostgresDialect } from 'kysely'
import { loggedError } from '../lib/logged-error.ts'
import { openPool, type PoolOptions } from './pool.ts'
import type { Database } from './schema.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Our connection pool, made from `databaseUrl`. */
    popularPostsDatabase: Kysely<Database>
    /** One connection more, for counting views and deleting old counters: they never hold a reader's. */
    popularPostsFlushDatabase: Kysely<Database>
    /** A few connections more, for loading lists: a slow one never holds those of views, probes and changes. */
    popularPostsListDatabase: Kysely<Database>
  }
}

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

interface DatabaseOptions extends Omit<PoolOptions, 'connectionString' | 'onError' | 'name'> {
  databaseUrl: string
  /** How many connections lists have of their own; 0: they use those of all else. */
  listMax: number
}

const database: FastifyPluginAsync<DatabaseOptions> = async (app, { databaseUrl, listMax, ...options }) => {
  const onError = (error: Error) => app.log.warn({ err: loggedError(error) }, 'a database connection broke')
  const db = openDatabase(databaseUrl, onError, options)
  app.decorate('popularPostsDatabase', db)
  const flushDb = openDatabase(databaseUrl, onError, {
    ...{ password: options.password, max: 1, statementSeconds: FLUSH_STATEMENT_SECONDS, name: 'popular-posts-flush' },
  })
  app.decorate('popularPostsFlushDatabase', flushDb)
  const listOptions = { ...options, max: listMax, name: 'popular-posts-lists' }
  const listDb = listMax === 0 ? db : openDatabase(databaseUrl, onError, listOptions)
  app.decorate('popularPostsListDatabase', listDb)
  app.addHook('onClose', async () => {
    await Promise.all([...new Set([db, flushDb, listDb])].map((each) => each.destroy()))
  })
}

export default fp(database, { name: 'popular-posts-database', fastify: '5.x' })
