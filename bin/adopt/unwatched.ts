import { type Kysely, sql } from 'kysely'
import type { DatabaseProblem } from '../../db/content-problems.ts'
import { ownRelation } from '../../db/own-schema.ts'
import type { Database } from '../../db/schema.ts'

/** A condition on `pg_proc`: whether it is a trigger function that popular_posts_watch has created. */
export const IS_WATCHER = sql<boolean>`proname like 'popular\\_posts\\_watch\\_%'`

/** Finds the tables that the views of an adopted blog read, and whose changes nothing announces. */
export async function findUnwatchedTables(db: Kysely<Database>): Promise<DatabaseProblem[]> {
  const { rows } = await sql<{ subject: string }>`
    with recursive own as (
      select relnamespace as schema from pg_class where oid = ${ownRelation('post_views_total')}
    ), used (id) as (
      select pg_class.oid from pg_class, own where relnamespace = schema and relkind = 'v'
      union
      select refobjid from used
      join pg_rewrite on ev_class = used.id
      join pg_depend on pg_depend.classid = 'pg_rewrite'::regclass and objid = pg_rewrite.oid
        and refclassid = 'pg_class'::regclass
    )
    select used.id::regclass::text as subject from own, used join pg_class on pg_class.oid = used.id
    where relkind in ('r', 'p') and relnamespace <> schema and not exists (
      select from pg_trigger join pg_proc on pg_proc.oid = tgfoid
      where tgrelid = used.id and pronamespace = schema and ${IS_WATCHER}
    ) order by 1`.execute(db)
  return rows.map(({ subject }) => ({
    subject,
    message:
      'a view reads this table, and changes of it reach lists only when they expire: call popular_posts_watch for it',
  }))
}
