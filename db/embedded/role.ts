import { Client } from 'pg'

/** The role that every connection uses: it is no superuser, and owns the database. */
export const ROLE = 'popular_posts_service'

interface RoleOptions {
  port: number
  /** The password of the user `postgres`, and later of the role. */
  password: string
  /** The server on the port must serve this folder. */
  dataDirectory: string
}

// Any two numbers: see the lock of `server-lease.ts`.
const LOCK = '1886351984, 3'

/**
 * Creates the role in a new database, and takes from the superuser the right to log in: SQL of a superuser reads every
 * file that the server process can read, and as root that is every file. One transaction, which may run again. The role
 * gets the password of the superuser by its hash, so no statement holds a password.
 * @throws the error of PostgreSQL: 28000 where the superuser cannot log in any more.
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
    await client.query(CREATE_ROLE)
    await client.query('commit')
  } finally {
    await client.end()
  }
}

const CREATE_ROLE = `
do $$
begin
  if not exists (select from pg_roles where rolname = '${ROLE}') then create role ${ROLE}; end if;
  execute format('alter role ${ROLE} login password %L', (select rolpassword from pg_authid where rolname = 'postgres'));
  -- server-lease.ts reads the data folder of the server.
  grant pg_read_all_settings to ${ROLE};
  alter database postgres owner to ${ROLE};
  alter role postgres nologin;
end
$$`
