import { type Kysely, sql } from 'kysely'

/**
 * A query for the untrusted roles: all but superusers and members of the current role, which could act as it anyway.
 */
export const UNTRUSTED_ROLES = `
  select oid from pg_roles
  where not rolsuper and rolname <> 'pg_database_owner' and not pg_has_role(oid, current_user, 'member')`

/**
 * Runs statements of a transaction with only PostgreSQL's own schema in the search_path: with any other schema, a
 * function or an operator of another role may match a call better than PostgreSQL's own.
 * @param work gets the schemas of the original search_path, as the text of an array.
 */
export async function withSafePath<DB, T>(db: Kysely<DB>, work: (schemas: string) => Promise<T>): Promise<T> {
  const { path, schemas } = await db
    .selectNoFrom([
      sql<string>`pg_catalog.current_setting('search_path'::pg_catalog.text)`.as('path'),
      sql<string>`pg_catalog.current_schemas(false)::pg_catalog.text`.as('schemas'),
    ])
    .$castTo<{ path: string; schemas: string }>()
    .executeTakeFirstOrThrow()
  const setPath = (path: string) =>
    sql`select pg_catalog.set_config('search_path'::pg_catalog.text, ${path}::pg_catalog.text, true)`.execute(db)
  await setPath('pg_catalog, pg_temp')
  const result = await work(schemas)
  await setPath(path)
  return result
}

/**
 * Finds functions and operators of other roles that PostgreSQL may call in place of its own: of the same name, in a
 * schema of the search_path, and not part of an extension.
 * @returns up to 3 descriptions, as PostgreSQL describes them.
 */
export async function findShadowingObjects<DB>(db: Kysely<DB>): Promise<string[]> {
  return db.transaction().execute((trx) =>
    withSafePath(trx, async (schemas) => {
      const { rows } = await sql<{ name: string }>`
          select pg_describe_object(class, id, 0) || ' of the role ' || pg_get_userbyid(owner) as name from (
            select 'pg_proc'::regclass as class, oid as id, proowner as owner, pronamespace as namespace
            from pg_proc where proname in (select proname from pg_proc where pronamespace = 'pg_catalog'::regnamespace)
            union all
            select 'pg_operator'::regclass, oid, oprowner, oprnamespace
            from pg_operator where oprname in (select oprname from pg_operator where oprnamespace = 'pg_catalog'::regnamespace)
          ) as named
          where namespace in (select oid from pg_namespace where nspname <> 'pg_catalog' and nspname = any (${schemas}::name[]))
            and owner in (${sql.raw(UNTRUSTED_ROLES)})
            -- Only an administrator installs extensions.
            and not exists (select from pg_depend where classid = class and objid = id and deptype = 'e')
          limit 3`.execute(trx)
      return rows.map(({ name }) => name)
    }),
  )
}
