import type { Kysely } from 'kysely'
import { passwordsOf } from '../aws/tokens.ts'
import { openEmbeddedDatabase } from '../db/embedded/database.ts'
import { toStartupError } from '../db/explain-error.ts'
import { checkHostViews } from '../db/host-views.ts'
import {
  expectNamesFree,
  findSchema,
  isAdopted,
  type MigrateOptions,
  migrateToLatest,
  pendingMigrations,
} from '../db/migrate.ts'
import { openDatabase } from '../db/open-database.ts'
import type { Database } from '../db/schema.ts'
import { claimTimeZone } from '../db/time-zone.ts'
import { codeOf, StartupError } from '../lib/errors.ts'
import { isWrongRedis } from '../lib/wrong-redis.ts'
import type { Config } from './config.ts'

/** The database of the service and of the command line: reachable, with all tables. */
export interface ServiceDatabase {
  db: Kysely<Database>
  /** Contains a password: never log it. */
  connectionString: string
  isEmbedded: boolean
  /** The schema of the tables of this package; `undefined`: the search_path finds them. */
  schema: string | undefined
  /** The blog has its own tables, and views in place of this package's: see `docs/adopting.md`. */
  isAdopted: boolean
  /** The names of the migrations that were run to open it. */
  migrations: readonly string[]
  close(): Promise<void>
}

/**
 * Opens the database of the configuration: `DATABASE_URL`, or else the embedded database in `DATA_DIR`.
 *
 * The embedded database is migrated. A server in `DATABASE_URL` is migrated only with `migrate`, so by a command only.
 * @throws StartupError if the database cannot be reached, its folder cannot be used, or tables are missing.
 */
export async function openServiceDatabase(
  config: Config,
  { migrate }: { migrate?: MigrateOptions } = {},
): Promise<ServiceDatabase> {
  const isEmbedded = config.databaseUrl === undefined
  if (isEmbedded && migrate?.adopt !== undefined)
    throw new StartupError('The embedded database has no blog to adopt: set DATABASE_URL.')
  const server = await openServer(config)
  // The pool replaces a connection that breaks between two queries; a query that fails reports its own error.
  const { databasePassword: password } = passwordsOf(config.iam)
  let schema = config.databaseSchema
  const db = openDatabase(
    server.connectionString,
    () => {},
    { password },
    () => schema,
  )
  const close = async () => {
    await db.destroy()
    await server.close()
  }
  try {
    schema ??= await findSchema(db, migrate)
    let migrations: string[] = []
    if (isEmbedded || migrate !== undefined)
      migrations = await migrateToLatest(db, { ...migrate, schema, serviceUser: config.databaseServiceUser })
    else await expectTables(db, schema)
    const hasViews = await isAdopted(db, schema)
    // An adopting blog migrates first, and creates its views after that.
    if (hasViews && migrate === undefined) await checkHostViews(db)
    const { connectionString } = server
    return { db, connectionString, isEmbedded, schema, isAdopted: hasViews, migrations, close }
  } catch (error) {
    await close()
    throw unusable(explainStartupError(error, config), config)
  }
}

async function openServer({
  databaseUrl,
  dataDir,
}: Config): Promise<{ connectionString: string; close(): Promise<void> }> {
  if (databaseUrl !== undefined) return { connectionString: databaseUrl, close: async () => {} }
  return openEmbeddedDatabase({ directory: dataDir })
}

async function expectTables(db: Kysely<Database>, schema: string | undefined): Promise<void> {
  const pending = await pendingMigrations(db, { schema })
  if (pending.length === 0) return
  // Do not advise a migration that would fail.
  await expectNamesFree(db, { schema })
  const place = schema === undefined ? '' : ` in the schema ${schema}`
  throw new StartupError(
    `The database in DATABASE_URL lacks tables of this version${place} (${pending.join(', ')}): run "npx popular-posts migrate"${place && ' with this DATABASE_SCHEMA'}, then start again.`,
  )
}

/**
 * Checks that the days of the site are counted in the configured time zone. If none were counted yet, they will be.
 * @throws StartupError if they are counted in another one, or if PostgreSQL does not know it.
 */
export async function expectTimeZone(db: Kysely<Database>, { siteTimeZone }: Config): Promise<void> {
  const { timeZone, isWanted } = await claimTimeZone(db, siteTimeZone)
  if (!isWanted)
    throw new StartupError(
      `The days of this site are counted in the time zone ${timeZone}, but SITE_TIME_ZONE is ${siteTimeZone}: set SITE_TIME_ZONE=${timeZone}, or change the zone of the site with "npx popular-posts time-zone" (see docs/counting.md).`,
    )
}

/**
 * Turns an error of the configured database, or of a wrong Redis, into a `StartupError` that explains it; returns any
 * other error unchanged.
 */
export function explainStartupError(error: unknown, config: Config): unknown {
  if (isWrongRedis(error)) return new StartupError(`REDIS_URL: ${error.message}`, { cause: error })
  return toStartupError(error, nameOf(config))
}

const nameOf = ({ databaseUrl }: Config) => (databaseUrl === undefined ? 'DATA_DIR' : 'DATABASE_URL')

/** Hides the message of an unknown error, because the driver's messages may contain the address and the user. */
function unusable(error: unknown, config: Config): StartupError {
  if (error instanceof StartupError) return error
  const code = codeOf(error)
  return new StartupError(
    `The database in ${nameOf(config)} could not be used${code && ` (${code})`}: see the log of PostgreSQL for the reason.`,
    { cause: error },
  )
}
