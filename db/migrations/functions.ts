import { type Kysely, type RawBuilder, sql } from 'kysely'
import { readTextFile } from '../../lib/text-files.ts'

/**
 * The search_path of every function here. Some functions run with the rights of another role than the writer's, so a
 * role that can create functions and operators in some schema must not be able to have its own called in place of
 * PostgreSQL's: a call with inexact types prefers an exact match in any schema of the search_path. Hence, in each of
 * these functions, the search_path is pg_catalog alone (`pg_temp` is named, because it comes first otherwise, and has
 * no functions), objects of this package are named with their schema, and its functions are called with all arguments,
 * in their own types.
 */
export const SAFE_PATH = 'set search_path = pg_catalog, pg_temp'

/**
 * Stands for the schema in the `.sql` files: a name, so that editors and `psql -f` understand the files as they are.
 */
const PLACEHOLDER = 'popular_posts_schema'

/**
 * The statement of a `.sql` file of this folder.
 * @param file its name without the extension.
 * @param schema where the function belongs, quoted as an identifier.
 */
export function createFunction(
  file: string,
  schema: string,
  mode: 'create' | 'create or replace' = 'create',
): RawBuilder<unknown> {
  return sql.raw(
    readTextFile(`db/migrations/${file}.sql`)
      .replace(/^create /m, () => `${mode} `)
      .replaceAll(`'${PLACEHOLDER}`, () => `'${schema.replaceAll("'", "''")}`)
      .replaceAll(PLACEHOLDER, () => schema),
  )
}

/**
 * Creates the functions that announce changes, or replaces those that are there: see `withSafePath`.
 * @param schema where they belong, quoted.
 * @param announce `create or replace` keeps the grants on the function, and must not meet a function of another role.
 */
export async function installChangeFunctions(
  db: Kysely<unknown>,
  schema: string,
  announce: 'create' | 'create or replace',
): Promise<void> {
  for (const [name, args] of [
    ['watch', 'regclass, text[], text, text, text[]'],
    ['watch', 'regclass, text[], text, text, text[], name[]'],
    ['unwatch', 'regclass'],
    ['write_watcher', 'text, regclass, text, text, text, text, text, name[]'],
    ['failed', 'text, text, text'],
  ])
    await sql.raw(`drop function if exists ${schema}.popular_posts_${name}(${args})`).execute(db)
  await createFunction('announce', schema, announce).execute(db)
  for (const file of ['failed', 'write-watcher', 'watch', 'unwatch']) await createFunction(file, schema).execute(db)
  for (const name of ['announce', 'failed'])
    await sql.raw(`revoke execute on function ${schema}.popular_posts_${name} from public`).execute(db)
}
