import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { Kysely, PostgresDialect } from 'kysely'
import { openPool, type PoolOptions } from '../db/pool.ts'
import type { Database } from '../db/schema.ts'
import { codeOf } from '../db/startup-error.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Our connection pool, made from `databaseUrl`. */
    popularPostsDatabase: Kysely<Database>
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

type DatabaseOptions = Omit<PoolOptions, 'connectionString' | 'onError'> & { databaseUrl: string }

const database: FastifyPluginAsync<DatabaseOptions> = async (app, { databaseUrl, ...options }) => {
  const onError = (error: Error) => app.log.warn({ code: codeOf(error) }, 'a database connection broke')
  const db = openDatabase(databaseUrl, onError, options)
  app.decorate('popularPostsDatabase', db)
  app.addHook('onClose', () => db.destroy())
}

export default fp(database, { name: 'popular-posts-database', fastify: '5.x' })
