import { Client } from 'pg'
import { readSqlFile } from '../sql-files.ts'

/** The role that everything connects as: no superuser, it owns what is in the database. */
export const ROLE = 'popular_posts_service'

interface RoleOptions {
  port: number
  /** Of the user `postgres`, and then of the role. */
  password: string
  /** The server must be the one of this folder. */
  dataDirectory: string
}

// Any two numbers: see the lock of `presence.ts`.
const LOCK = '1886351984, 3'

/**
 * Makes the role, gives it all that the superuser owns, and takes from the superuser the right to log in: a superuser's SQL
 * reads every file that the server can, and as root that is every file of root's. In one transaction, and again without harm.
 * The role gets the superuser's password by its hash, so that no statement holds a password.
 * @throws what PostgreSQL answered: 28000 where it was done before.
 */
export async function makeRole({ port, password, dataDirectory }: RoleOptions): Promise<void> {
  const client = new Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    database: 'postgres',
    password,
    application_name: 'popular-posts setup',
    connectionTimeoutMillis: 2_000,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query('begin')
    await client.query(`select pg_advisory_xact_lock(${LOCK})`)
    const { rows } = await client.query<{ directory: string }>(`select current_setting('data_directory') as directory`)
    if (rows[0]?.directory !== dataDirectory) return
    await client.query(readSqlFile('embedded/make-role.sql'))
    await client.query('commit')
  } finally {
    await client.end()
  }
}
