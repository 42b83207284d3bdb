import { randomBytes } from 'node:crypto'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import type { Database } from '../../db/schema.ts'
import { messageOf } from '../../lib/errors.ts'
import { startPostgres } from './private-postgres.ts'
import { prepareServer, withDatabase } from './services/template-database.ts'

export interface TestDatabase {
  db: Kysely<Database>
  /** The pool of `db`. */
  pool: Pool
  url: string
  /** Counts the matching statements in this database since the last reset. In their texts, constants are `$1`. */
  countStatements(pattern: RegExp): Promise<number>
  resetStatements(): Promise<void>
}

/** The part of a tap test that the helper uses. */
interface Teardown {
  teardown(end: () => Promise<void>): unknown
}

/** Enough connections for all test files at once. */
const ROOM = { max_connections: 300 }
const COUNTING = {
  shared_preload_libraries: 'pg_stat_statements',
  'pg_stat_statements.track': 'top',
  'pg_stat_statements.max': 20_000,
}

/** Four times as fast as copying through the log, on a server without fsync. */
const COPY = 'strategy file_copy'

let shared: Promise<{ admin: Pool; url: string; template: string; copy: string }> | undefined

/**
 * Creates a database for the caller on the server that all tests share. The database is dropped when the test ends.
 * The server is that of the test run, else `DATABASE_URL`, else one that this process starts.
 * @param options.migrate whether the database has the tables. Default true.
 */
export async function createTestDatabase(t: Teardown, { migrate = true } = {}): Promise<TestDatabase> {
  shared ??= providePostgres().then(async ({ url }) => {
    const admin = new Pool({ connectionString: url, max: 4, allowExitOnIdle: true })
    const { rows } = await admin.query<{ isOfUse: boolean }>(
      `select current_setting('server_version_num')::int >= 150000 and not current_setting('fsync')::boolean as "isOfUse"`,
    )
    return { admin, url, template: await prepareServer(admin, url), copy: rows[0]?.isOfUse === true ? COPY : '' }
  })
  const { admin, url: serverUrl, template, copy } = await shared
  const name = `popular_posts_test_${randomBytes(8).toString('hex')}`
  await admin.query(`create database ${name} template ${migrate ? template : 'template0'} ${copy}`)
  const url = withDatabase(serverUrl, name)
  const pool = new Pool({ connectionString: url, max: 10 })
  // Idle connections may break: a test cuts them, or the drop below ends them while they close.
  pool.on('error', () => undefined)
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
  t.teardown(async () => {
    await db.destroy()
    await admin.query(`drop database ${name} with (force)`)
  })
  const inThisDatabase = `dbid = (select oid from pg_database where datname = '${name}')`
  return {
    db,
    pool,
    url,
    async countStatements(pattern) {
      const { rows } = await admin.query<{ query: string; calls: string }>(
        `select query, calls from pg_stat_statements where ${inThisDatabase}`,
      )
      const matching = rows.filter((row) => row.query.search(pattern) !== -1)
      return matching.reduce((sum, row) => sum + Number(row.calls), 0)
    },
    async resetStatements() {
      await admin.query(`select pg_stat_statements_reset(0, oid, 0) from pg_database where datname = '${name}'`)
    },
  }
}

/** Finds the PostgreSQL server of the environment, else starts one. */
export async function providePostgres(env = process.env): Promise<{ url: string; description: string }> {
  const given = env['TEST_DATABASE_URL'] ?? env['DATABASE_URL']
  if (given !== undefined) return { url: given, description: 'the PostgreSQL of DATABASE_URL' }
  return startPostgres({ settings: { ...ROOM, ...COUNTING } }).catch((error: unknown) => {
    // Some systems package the extension separately. Without it only the tests that count statements fail.
    if (messageOf(error).includes('pg_stat_statements')) return startPostgres({ settings: ROOM })
    throw error
  })
}
