import createError from '@fastify/error'
import type { Kysely } from 'kysely'
import { type FoundSchema, findOwnSchemas, hasSchema, type OwnSchema, TablesMissing } from '../db/own-schema.ts'
import type { Tables } from '../db/ranking.ts'
import { backgroundClock } from '../lib/clock.ts'
import { withinDeadline } from '../lib/deadline.ts'
import type { Logger } from '../lib/logger.ts'
import type { Settings } from '../settings/options.ts'

const NoSuchSchema = createError<[string, string]>(
  'PP_NO_SUCH_SCHEMA',
  'Expected the option schema (DATABASE_SCHEMA) to name a schema of the database, got "%s", which does not exist: correct ' +
    'it, or run "npx popular-posts migrate --schema \'%s\'" (with --adopt for a blog with its own tables).',
  500,
)

/** How long the start waits for the database, and how long a later search waits (ms). */
const TIMEOUT_MS = { start: 1_000, later: 5_000 }

/** Where the tables of this package are. */
interface SchemaFinder {
  /**
   * Returns the schema.
   * @throws while it is not known: the error of the last search. A search starts then, so the next query may succeed.
   */
  schema: OwnSchema
  /** Returns the name of the schema; `undefined`: it is not known. */
  name(): string | undefined
  /** Searches for the schema, unless it is known. Call it before a query. Never rejects: the query then throws the error. */
  ready(): Promise<void>
  /**
   * Searches for the schema at the start, for up to a second.
   * @throws `PP_NO_SUCH_SCHEMA` if the database says that the schema of the option does not exist.
   */
  start(): Promise<void>
}

/**
 * Creates a finder of the schema: the one of the option; else the one in which the database has the counters.
 * @param db returns the database.
 */
export function createSchemaFinder(
  { schema: given }: Pick<Settings, 'schema'>,
  db: () => Kysely<Tables>,
  log: Pick<Logger, 'warn'>,
): SchemaFinder {
  let found: FoundSchema | undefined = given === undefined ? undefined : { name: given, isInPath: false }
  let failure: unknown = new Error('Expected PostgreSQL to tell where the tables are, but it has not replied yet.')
  let searching: Promise<void> | undefined

  async function search(): Promise<void> {
    const [first, other] = await findOwnSchemas(db())
    if (first === undefined) throw new TablesMissing()
    if (other !== undefined) {
      const message =
        'two schemas have the tables of this package, and the first is used: set the option schema (DATABASE_SCHEMA)'
      log.warn({ schemas: [first.name, other.name] }, `popular posts: ${message}`)
    }
    found = first
  }

  function searchOnce(): Promise<void> {
    searching ??= withinDeadline(backgroundClock, TIMEOUT_MS.later, search())
      .catch((error: unknown) => {
        failure = error
      })
      .finally(() => {
        searching = undefined
      })
    return searching
  }

  return {
    schema() {
      if (found !== undefined) return found.isInPath ? undefined : found.name
      void searchOnce()
      throw failure
    },
    name: () => found?.name,
    async ready() {
      if (found === undefined) await searchOnce()
    },
    async start() {
      const exists = given === undefined ? searchOnce().then(() => true) : hasSchema(db(), given)
      const isThere = await withinDeadline(backgroundClock, TIMEOUT_MS.start, exists).catch(() => true)
      if (given !== undefined && !isThere) throw new NoSuchSchema(given, given)
    },
  }
}
