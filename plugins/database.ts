import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import type { Database } from '../db/schema.ts'
import { codeOf } from '../db/startup-error.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Our connection pool, made from `databaseUrl`. */
    popularPostsDatabase: Kysely<Database>
  }
}

/** Opens a pool of connections to PostgreSQL. `onError` is told when a connection breaks that nobody is using. */
export function openDatabase(connectionString: string, onError: (error: Error) => void): Kysely<Database> {
  const pool = new pg.Pool({
    connectionString,
    application_name: 'popular-posts',
    max: 10,
    // A server that does not answer must not keep a request waiting for ever.
    connectionTimeoutMillis: 5_000,
    query_timeout: 30_000,
    statement_timeout: 30_000,
  })
  pool.on('error', onError)
  // A pool listens to idle connections only. One that breaks between two statements of a transaction would else end the
  // process; here the next statement tells.
  pool.on('connect', (client) => client.on('error', () => {}))
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
}

const database: FastifyPluginAsync<{ databaseUrl: string }> = async (app, { databaseUrl }) => {
  const db = openDatabase(databaseUrl, (error) => app.log.warn({ code: codeOf(error) }, 'a database connection broke'))
  app.decorate('popularPostsDatabase', db)
  app.addHook('onClose', () => db.destroy())
}

export default fp(database, { name: 'popular-posts-database', fastify: '5.x' })
