import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import { migrateToLatest } from '../../../db/migrate.ts'

const MIGRATIONS = new URL('../../../db/migrations/', import.meta.url)
// One process creates the template; the other test files wait for it.
const LOCK = '1886351984, 2'

/**
 * Prepares a server for tests: it counts statements, and has a migrated template database. A copy of the template takes
 * 95 ms; an empty database and its migrations take 155 ms, and more with every new migration.
 * @returns the name of the template, which contains a digest of the migrations.
 */
export async function prepareServer(admin: Pool, url: string): Promise<string> {
  const name = `popular_posts_template_${await digestOfMigrations()}`
  const connection = await admin.connect()
  try {
    await connection.query(`select pg_advisory_lock(${LOCK})`)
    const counting = await connection.query(`select from pg_available_extensions where name = 'pg_stat_statements'`)
    if (counting.rowCount === 1) await connection.query('create extension if not exists pg_stat_statements')
    const { rowCount } = await connection.query('select from pg_database where datname = $1', [name])
    if (rowCount === 0) {
      // The template has another name until it is complete, because a run may end before that.
      await connection.query(`drop database if exists ${name}_new with (force)`)
      await connection.query(`create database ${name}_new template template0`)
      await migrate(withDatabase(url, `${name}_new`))
      await connection.query(`alter database ${name}_new allow_connections false`)
      await connection.query(`alter database ${name}_new rename to ${name}`)
    }
    await connection.query(`select pg_advisory_unlock(${LOCK})`)
    return name
  } finally {
    connection.release()
  }
}

/** The URL of another database on the same server. */
export function withDatabase(url: string, name: string): string {
  const changed = new URL(url)
  changed.pathname = `/${name}`
  return changed.href
}

async function migrate(url: string): Promise<void> {
  const db = new Kysely<unknown>({
    dialect: new PostgresDialect({ pool: new Pool({ connectionString: url, max: 1 }) }),
  })
  await migrateToLatest(db)
  await db.destroy()
}

async function digestOfMigrations(): Promise<string> {
  const hash = createHash('sha256')
  for (const file of (await readdir(MIGRATIONS)).sort()) hash.update(await readFile(new URL(file, MIGRATIONS)))
  return hash.digest('hex').slice(0, 12)
}
