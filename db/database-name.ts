import pg from 'pg'

/** Names the server and the database of a connection string, as the driver reads it, without user and password. */
export function databaseName(connectionString: string): string {
  const { host, port, database } = new pg.Client({ connectionString })
  const place = host.startsWith('/') ? `the socket in ${host}` : `${host.includes(':') ? `[${host}]` : host}:${port}`
  return `${database ?? 'the default database'} of PostgreSQL at ${place}`
}
