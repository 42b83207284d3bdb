import { type Kysely, sql } from 'kysely'
import type { DatabaseProblem } from '../../db/content-problems.ts'
import { checkHostViews } from '../../db/host-views.ts'
import { migrateToLatest, POST_ID_TYPES, type PostIdType } from '../../db/migrate.ts'
import { inOwnSchema } from '../../db/own-schema.ts'
import type { Database } from '../../db/schema.ts'
import { codeOf, messageOf, StartupError } from '../../lib/errors.ts'
import { problemsOf } from './check.ts'
import { ident } from './names.ts'
import { inOneTransaction } from './one-transaction.ts'
import { OTHER_VIEWS } from './proposal.ts'
import { IS_WATCHER } from './unwatched.ts'
import { emptyQuery, POST_DEFAULTS } from './write-sql.ts'

/**
 * Migrates, replaces the views and the triggers by those of a script, and keeps the script for the next time: all in
 * one transaction. Views that the script lacks are created empty, and columns of `posts` with their defaults.
 * @returns what a person should look at.
 * @throws StartupError with PostgreSQL's message, if the script or its views do not fit. Nothing is changed then.
 */
export async function applyScript(db: Kysely<Database>, schema: string, script: string): Promise<DatabaseProblem[]> {
  const postId = postIdOf(script)
  return inOneTransaction(db, async (plain) => {
    const trx = inOwnSchema(plain, () => schema)
    await migrateToLatest(trx, { adopt: { postId }, schema })
    await takeDown(trx, schema)
    await run(trx, script)
    await complete(trx, schema, postId)
    await checkHostViews(trx)
    await sql`delete from ${adoption(schema)}`.execute(trx)
    await sql`insert into ${adoption(schema)} (script) values (${script})`.execute(trx)
    return problemsOf(trx)
  })
}

/** The type of post ids that a script names in a comment. Default: bigint. */
export function postIdOf(script: string): PostIdType {
  const [, type] = /--post-id (\w+)/.exec(script) ?? []
  return POST_ID_TYPES.find((each) => each === type) ?? 'bigint'
}

/** The script of the last `applyScript`; `undefined`: there was none. */
export async function keptScript(db: Kysely<Database>, schema: string): Promise<string | undefined> {
  const { rows: found } =
    await sql`select where to_regclass(${`${ident(schema)}.popular_posts_adoption`}) is not null`.execute(db)
  if (found.length === 0) return undefined
  const { rows } = await sql<{ script: string }>`select script from ${adoption(schema)}`.execute(db)
  return rows[0]?.script
}

/**
 * Drops the views and the triggers, which block changes of the tables that they read. The counters stay.
 * @throws StartupError if `applyScript` could not put them back.
 */
export async function dropViews(db: Kysely<Database>, schema: string): Promise<void> {
  if ((await keptScript(db, schema)) === undefined)
    throw new StartupError(
      `The schema ${schema} has no SQL of "popular-posts adopt", so nothing could put its views back, and nothing was changed: write the SQL of your views and triggers into a file, and run "popular-posts adopt --apply <file>" first.`,
    )
  await db.transaction().execute((trx) => takeDown(trx, schema))
}

const adoption = (schema: string) => sql.table(`${schema}.popular_posts_adoption`)

async function takeDown(db: Kysely<Database>, schema: string): Promise<void> {
  const { rows: watched } = await sql<{ oid: string }>`
    select distinct tgrelid::text as oid from pg_trigger join pg_proc on pg_proc.oid = tgfoid
    where pronamespace = ${ident(schema)}::regnamespace and ${IS_WATCHER}`.execute(db)
  for (const { oid } of watched)
    await sql`select ${sql.raw(ident(schema))}.popular_posts_unwatch(${oid}::oid::regclass)`.execute(db)
  const { rows: views } = await sql<{ name: string }>`
    select relname::text as name from pg_class
    where relnamespace = ${ident(schema)}::regnamespace and relkind = 'v'`.execute(db)
  // One statement: views of the script may read each other.
  if (views.length > 0)
    await sql`drop view ${sql.join(views.map(({ name }) => sql.table(`${schema}.${name}`)))}`.execute(db)
}

/** Runs the statements of a script. */
async function run(db: Kysely<Database>, script: string): Promise<void> {
  try {
    await sql.raw(script).execute(db)
  } catch (error) {
    const { position } = error as { position?: string }
    const line = position === undefined ? '' : `, line ${script.slice(0, Number(position)).split('\n').length}`
    throw new StartupError(
      `Nothing was changed, because PostgreSQL does not accept the SQL (${codeOf(error)}${line}): ${messageOf(error)}.`,
      { cause: error },
    )
  }
}

/** Creates the views that a script lacks, and adds columns to its view of posts. */
async function complete(db: Kysely<Database>, schema: string, postId: PostIdType): Promise<void> {
  const own = ident(schema)
  const { rows } = await sql<{ view: string; columns: string[]; query: string }>`
    select relname::text as view, pg_get_viewdef(pg_class.oid) as query,
      array(select attname::text from pg_attribute where attrelid = pg_class.oid and attnum > 0) as columns
    from pg_class where relnamespace = ${own}::regnamespace and relkind = 'v'`.execute(db)
  const posts = rows.find(({ view }) => view === 'posts')
  if (posts === undefined)
    throw new StartupError(
      `Nothing was changed: the SQL creates no view ${own}.posts, the only view that has no default.`,
    )
  const defaults = Object.entries({ url: "'/' || given.slug", ...POST_DEFAULTS })
  const missing = defaults.filter(([column]) => !posts.columns.includes(column))
  if (missing.length > 0) {
    const columns = missing.map(([column, value]) => `${value} as ${column}`).join(', ')
    const query = posts.query.replace(/;\s*$/, '')
    await sql
      .raw(`create or replace view ${own}.posts as select given.*, ${columns} from (${query}) as given`)
      .execute(db)
  }
  for (const view of OTHER_VIEWS.filter((name) => !rows.some((row) => row.view === name)))
    await sql.raw(`create view ${own}.${view} as ${emptyQuery(view, postId)}`).execute(db)
}
