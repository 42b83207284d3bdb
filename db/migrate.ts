import type { Kysely } from 'kysely'
import { type Migration, Migrator, NO_MIGRATIONS } from 'kysely/migration'
import { viewCounters } from './migrations/001-view-counters.ts'
import { blog } from './migrations/002-blog.ts'
import { logImports } from './migrations/003-log-imports.ts'

const migrations: Record<string, Migration> = {
  '001-view-counters': viewCounters,
  '002-blog': blog,
  '003-log-imports': logImports,
}

function createMigrator<DB>(db: Kysely<DB>): Migrator {
  return new Migrator({
    db,
    provider: { getMigrations: async () => migrations },
    // Names of our own: the host may keep its migrations with Kysely too.
    migrationTableName: 'popular_posts_migration',
    migrationLockTableName: 'popular_posts_migration_lock',
  })
}

/**
 * Brings the tables to the newest version, in one transaction, under a lock: processes that migrate at once take turns.
 * @returns the names of the migrations that ran; none when the database was up to date.
 * @throws what PostgreSQL answered; the database is then as it was before.
 */
export async function migrateToLatest<DB>(db: Kysely<DB>): Promise<string[]> {
  return namesOf(await createMigrator(db).migrateToLatest())
}

/** Takes every migration back, newest first: all tables of this package are dropped, with what they hold. */
export async function migrateToNothing<DB>(db: Kysely<DB>): Promise<string[]> {
  return namesOf(await createMigrator(db).migrateTo(NO_MIGRATIONS))
}

/** The names of the migrations that have not run on this database, oldest first. Changes nothing. */
export async function pendingMigrations<DB>(db: Kysely<DB>): Promise<string[]> {
  const all = await createMigrator(db).getMigrations()
  return all.filter((migration) => migration.executedAt === undefined).map((migration) => migration.name)
}

function namesOf({ error, results = [] }: Awaited<ReturnType<Migrator['migrateToLatest']>>): string[] {
  if (error !== undefined) throw error
  return results.map((result) => result.migrationName)
}
