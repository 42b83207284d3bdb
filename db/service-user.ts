import { type Kysely, sql } from 'kysely'
import { StartupError } from '../lib/errors.ts'

/** The tables that the service writes: counters, the log of changes, and what imports have read. */
export const WRITTEN: readonly string[] = [
  'post_views_hourly',
  'post_views_daily',
  'post_views_total',
  'post_views_batch',
  'post_views_touch',
  'post_views_window',
  'post_views_log_import',
  'post_views_log_visits',
  'post_views_import',
  'post_views_import_count',
  'popular_posts_change',
]

/**
 * Creates the database user of the service, if it does not exist, and grants it what `docs/adopting.md` grants: it reads the
 * tables of this package, and writes the counters and the log of changes. On RDS, where the role `rds_iam` exists, it signs in
 * with IAM.
 * @param schema of the tables. Default: the first one of the search_path.
 * @throws StartupError if the user is the one that migrates; the error of PostgreSQL.
 */
export async function grantToServiceUser<DB>(db: Kysely<DB>, user: string, schema?: string): Promise<void> {
  await db
    .withoutPlugins()
    .transaction()
    .execute(async (trx) => {
      const quoted = sql.id(user)
      const { place, isSelf, isThere } = await trx
        .selectNoFrom([
          sql`coalesce(${schema ?? null}::text, current_schema())`.as('place'),
          sql`current_user = ${user}`.as('isSelf'),
          sql`to_regrole(quote_ident(${user})) is not null`.as('isThere'),
        ])
        .$castTo<{ place: string; isSelf: boolean; isThere: boolean }>()
        .executeTakeFirstOrThrow()
      // With `rds_iam`, PostgreSQL on RDS would refuse the password of the user that migrates.
      if (isSelf)
        throw new StartupError(
          `DATABASE_SERVICE_USER: expected another user than ${user}, which migrates: the service needs fewer rights.`,
        )
      if (!isThere) await sql`create role ${quoted} login`.execute(trx)
      const { rows } = await sql`
        select from pg_roles where rolname = 'rds_iam' and not exists (
          select from pg_auth_members where roleid = pg_roles.oid and member = to_regrole(quote_ident(${user}))::oid
        )`.execute(trx)
      for (const _ of rows) await sql`grant rds_iam to ${quoted}`.execute(trx)
      const own = (name: string) => sql.id(place, name)
      for (const grant of [
        sql`usage on schema ${sql.id(place)}`,
        sql`select on all tables in schema ${sql.id(place)}`,
        sql`insert, update, delete on ${sql.join(WRITTEN.map(own))}`,
        sql`insert on ${own('popular_posts_site')}`,
        sql`execute on function ${own('popular_posts_announce')}`,
      ])
        await sql`grant ${grant} to ${quoted}`.execute(trx)
    })
}
