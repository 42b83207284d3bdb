import { type Kysely, type Migrator, sql } from 'kysely'
import { codeOf, messageOf, StartupError } from '../lib/errors.ts'
import { NamesTaken } from './explain-error.ts'
import { importMigrator, type Migration } from './kysely-migrator.ts'
import { POST_ID_TYPES, type PostIdType, viewCounters } from './migrations/001-view-counters.ts'
import { blog } from './migrations/002-blog.ts'
import { logImports } from './migrations/003-log-imports.ts'
import { signals } from './migrations/004-signals.ts'
import { blogSignals } from './migrations/005-blog-signals.ts'
import { keptWindows } from './migrations/006-kept-windows.ts'
import { safeFunctions } from './migrations/007-safe-functions.ts'
import { postAliases } from './migrations/009-post-aliases.ts'
import { site } from './migrations/010-site.ts'
import { parentsAndLanguages } from './migrations/013-parents-and-languages.ts'
import { ownTriggers } from './migrations/014-own-triggers.ts'
import { adoption } from './migrations/020-adoption.ts'
import { feedPosts } from './migrations/023-feed-posts.ts'
import { logVisits } from './migrations/024-log-visits.ts'
import { countImports } from './migrations/026-count-imports.ts'
import { ranks } from './migrations/027-ranks.ts'
import { filterIndexes } from './migrations/030-filter-indexes.ts'
import { ADOPTED_SCHEMA, findOwnSchemas } from './own-schema.ts'
import { findShadowingObjects } from './safe-path.ts'
import { grantToServiceUser } from './service-user.ts'

export { POST_ID_TYPES, type PostIdType } from './migrations/001-view-counters.ts'

/** Options of `migrateToLatest`. */
export interface MigrateOptions {
  /** The blog has its own tables: only the tables of this package are created, for post ids of this type. */
  adopt?: { postId: PostIdType } | undefined
  /** The schema, which is created if it does not exist. Default: the first one of the search_path. */
  schema?: string | undefined
  /** The database user of the service, which gets its rights: see `db/service-user.ts`. Default: no rights change. */
  serviceUser?: string | undefined
}

/** The migrations for the counters and changes of a blog, whatever its tables. */
const counterMigrations = (postId: PostIdType): Record<string, Migration> => ({
  '001-view-counters': viewCounters(postId),
  '003-log-imports': logImports(postId),
  '004-signals': signals,
  '006-kept-windows': keptWindows(postId),
  '007-safe-functions': safeFunctions,
  '010-site': site,
  '014-own-triggers': ownTriggers,
  '020-adoption': adoption,
  '024-log-visits': logVisits(postId),
  '026-count-imports': countImports(postId),
  '027-ranks': ranks,
})

/** The migrations for the blog tables of the service. */
const blogMigrations: Record<string, Migration> = {
  '002-blog': blog,
  '005-blog-signals': blogSignals,
  '009-post-aliases': postAliases,
  '013-parents-and-languages': parentsAndLanguages,
  '023-feed-posts': feedPosts,
  '030-filter-indexes': filterIndexes,
}

/** The tables that each migration creates. */
const TABLES: Readonly<Record<string, readonly string[]>> = {
  '001-view-counters': ['post_views_hourly', 'post_views_daily', 'post_views_total', 'post_views_batch'],
  '002-blog': ['authors', 'categories', 'tags', 'posts', 'post_categories', 'post_tags', 'comments', 'site_facts'],
  '003-log-imports': ['post_views_log_chunk'],
  '004-signals': ['popular_posts_change'],
  '006-kept-windows': ['post_views_touch', 'post_views_window'],
  '007-safe-functions': ['popular_posts_watch_failure'],
  '009-post-aliases': ['post_aliases'],
  '010-site': ['popular_posts_site'],
  '020-adoption': ['popular_posts_adoption'],
  '023-feed-posts': ['feed_posts'],
  '024-log-visits': ['post_views_log_import', 'post_views_log_visits'],
  '026-count-imports': ['post_views_import', 'post_views_import_count'],
}

/** The first major version with `pg_current_snapshot` and `xid8`. */
const MIN_POSTGRES_VERSION = 13

/** The schema of the migration: see {@link MigrateOptions}. */
async function schemaOf<DB>(db: Kysely<DB>, wanted: string | undefined): Promise<string> {
  const { rows } = await sql<{ schema: string | null; version: number }>`
    select coalesce(${wanted ?? null}::text, current_schema()) as schema, current_setting('server_version_num')::int / 10000 as version`.execute(
    db,
  )
  const schema = rows[0]?.schema
  for (const { version } of rows)
    if (version < MIN_POSTGRES_VERSION)
      throw new StartupError(
        `Expected PostgreSQL ${MIN_POSTGRES_VERSION} or newer, got ${version}: use a newer server.`,
      )
  if (typeof schema !== 'string')
    throw new StartupError('No schema of the search_path exists: create it with "create schema".')
  return schema
}

/** The same migration with only the schema in the search_path of its transaction. */
function inSchema({ up }: Migration, schema: string): Migration {
  return {
    async up(db) {
      await sql`select set_config('search_path', quote_ident(${schema}), true)`.execute(db)
      await up(db)
    },
  }
}

async function createMigrator<DB>(
  db: Kysely<DB>,
  migrations: Record<string, Migration>,
  schema: string,
): Promise<Migrator> {
  const { Migrator } = await importMigrator()
  const inTheirSchema = Object.entries(migrations).map(([name, migration]) => [name, inSchema(migration, schema)])
  return new Migrator({
    db: db.withoutPlugins(),
    provider: { getMigrations: async () => Object.fromEntries(inTheirSchema) as Record<string, Migration> },
    // Not Kysely's default names: the host may run its own migrations with Kysely.
    migrationTableName: 'popular_posts_migration',
    migrationLockTableName: 'popular_posts_migration_lock',
    // Without a schema, tables of these names in any schema are used.
    migrationTableSchema: schema,
  })
}

/**
 * The type of post ids of the counters, and whether the blog has its own tables; `undefined`: nothing has been
 * migrated.
 */
async function readState<DB>(
  db: Kysely<DB>,
  schema: string,
): Promise<{ postId: PostIdType; isAdopted: boolean } | undefined> {
  const migrator = await createMigrator(db, { ...counterMigrations('bigint'), ...blogMigrations }, schema)
  const all = await migrator.getMigrations()
  const executed = all.filter(({ executedAt }) => executedAt !== undefined).map(({ name }) => name)
  if (executed.length === 0) return undefined
  const { rows } = await sql<{ type: PostIdType }>`
    select format_type(atttypid, null) as type from pg_attribute
    where attrelid = format('%I.post_views_total', ${schema}::text)::regclass and attname = 'post_id'`.execute(db)
  return rows.map(({ type }) => ({ postId: type, isAdopted: !executed.includes('002-blog') }))[0]
}

/** Statements of a migration, Kysely's included, must not call a function of another role. */
async function expectNoShadowing<DB>(db: Kysely<DB>): Promise<void> {
  for (const name of await findShadowingObjects(db))
    throw new StartupError(
      `The ${name} would be called in place of PostgreSQL's own, with the rights of the user that migrates: drop it, and let no other role create objects in a schema of the search_path (revoke create on schema public from public).`,
    )
}

async function migrator<DB>(db: Kysely<DB>, { adopt, schema: wanted }: MigrateOptions = {}): Promise<Migrator> {
  if (adopt !== undefined && !POST_ID_TYPES.includes(adopt.postId))
    throw new StartupError(`Expected adopt to be one of ${POST_ID_TYPES.join(', ')}, got something else.`)
  await expectNoShadowing(db)
  const schema = await schemaOf(db, wanted)
  const state = (await readState(db, schema)) ?? { postId: adopt?.postId ?? 'bigint', isAdopted: adopt !== undefined }
  if (adopt !== undefined && !state.isAdopted)
    throw new StartupError(
      'This schema has the blog tables of this package: to adopt your own blog, name another schema, such as --schema popular_posts (DATABASE_SCHEMA), for the services, too.',
    )
  if (adopt !== undefined && adopt.postId !== state.postId)
    throw new StartupError(
      `The counters in this schema are for post ids of type ${state.postId}, not ${adopt.postId}: to start again, drop the schema with all its views.`,
    )
  return createMigrator(
    db,
    state.isAdopted ? counterMigrations(state.postId) : { ...counterMigrations(state.postId), ...blogMigrations },
    schema,
  )
}

/**
 * Migrates the tables to the newest version, in one transaction, under a lock: concurrent processes take turns.
 * @returns the names of the migrations that ran; empty if the database was up to date.
 * @throws StartupError if the schema does not exist or was migrated with other options, or the server is too old;
 *   NamesTaken if another program has tables of the same names; the error of PostgreSQL. The database is then
 *   unchanged.
 */
export async function migrateToLatest<DB>(db: Kysely<DB>, options?: MigrateOptions): Promise<string[]> {
  const result = await (await migrator(db, options)).migrateToLatest()
  if (codeOf(result.error) === '42P07') await expectNamesFree(db, options)
  if (/^corrupted migrations/.test(messageOf(result.error)))
    throw new StartupError(
      'The database has migrations that this version of the package does not know: use the newer version that created them.',
      { cause: result.error },
    )
  const names = namesOf(result)
  if (options?.serviceUser !== undefined) await grantToServiceUser(db, options.serviceUser, options.schema)
  return names
}

/**
 * Checks that no table of another program has the name of a table that a pending migration creates.
 * @throws NamesTaken
 */
export async function expectNamesFree<DB>(db: Kysely<DB>, options?: MigrateOptions): Promise<void> {
  const schema = await schemaOf(db, options?.schema)
  // Tables are read first: if another process migrates now, its tables are then not pending any more.
  const { rows } = await sql<{ name: string }>`
    select relname as name from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where nspname = ${schema} and relname = any(${Object.values(TABLES).flat()}::text[])
    order by relname`.execute(db)
  const pending = (await pendingMigrations(db, options)).flatMap((name) => TABLES[name] ?? [])
  const taken = rows.map(({ name }) => name).filter((name) => pending.includes(name))
  if (taken.length > 0) throw new NamesTaken(taken)
}

/** The names of the migrations that have not run on this database, oldest first. Changes nothing. */
export async function pendingMigrations<DB>(db: Kysely<DB>, options?: MigrateOptions): Promise<string[]> {
  const all = await (await migrator(db, options)).getMigrations()
  return all.filter((migration) => migration.executedAt === undefined).map((migration) => migration.name)
}

/**
 * The schema to use or to migrate, where the user names none; `undefined`: that of the search_path, if it has the counters.
 * A new blog is adopted into `popular_posts`, never beside the tables of another program.
 */
export async function findSchema<DB>(db: Kysely<DB>, { adopt }: MigrateOptions = {}): Promise<string | undefined> {
  const [found] = await findOwnSchemas(db)
  if (found?.isInPath === true) return undefined
  return adopt === undefined ? found?.name : ADOPTED_SCHEMA
}

/** Whether the blog has its own tables: see `docs/adopting.md`. */
export async function isAdopted<DB>(db: Kysely<DB>, schema?: string): Promise<boolean> {
  return (await readState(db, await schemaOf(db, schema)))?.isAdopted ?? false
}

function namesOf({ error, results = [] }: Awaited<ReturnType<Migrator['migrateToLatest']>>): string[] {
  if (error !== undefined) throw error
  return results.map((result) => result.migrationName)
}
