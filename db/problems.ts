import { type Kysely, sql } from 'kysely'
import { contentProblems, type DatabaseProblem, MAX_PER_KIND } from './content-problems.ts'
import { hasOwnTable } from './own-schema.ts'
import type { Tables } from './ranking.ts'
import type { RowGuard } from './row-guard.ts'
import { findShadowingObjects } from './safe-path.ts'

/**
 * Finds problems that make lists wrong or unsafe, with one statement for each kind.
 * @param read runs queries of the blog. Default: directly.
 * @throws the error of PostgreSQL.
 */
export async function findProblems(
  db: Kysely<Tables>,
  read: RowGuard = (blog, query) => query(blog),
): Promise<DatabaseProblem[]> {
  return [...(await brokenWatchers(db)), ...(await read(db, contentProblems)), ...(await shadowingObjects(db))]
}
/** Watched tables whose trigger function fails: see `popular_posts_failed`. */
async function brokenWatchers(db: Kysely<Tables>): Promise<DatabaseProblem[]> {
  if (!(await hasOwnTable(db, 'popular_posts_watch_failure'))) return []
  const { rows } = await sql<{ subject: string; reason: string }>`
    select distinct on (pg_trigger.tgrelid) pg_trigger.tgrelid::regclass::text as subject,
      concat_ws(' ', failure.code, nullif(failure.message, '')) as reason
    from ${sql.table('popular_posts_watch_failure')} as failure
    join pg_proc on pg_proc.proname = failure.watcher::name
    join pg_trigger on pg_trigger.tgfoid = pg_proc.oid
    where pg_proc.pronamespace = (select relnamespace from pg_class where oid = failure.tableoid)
    order by pg_trigger.tgrelid, failure.failed_at desc limit ${MAX_PER_KIND}`.execute(db)
  return rows.map(({ subject, reason }) => ({
    subject,
    message: `changes of a watched table cannot be detected (${reason}), so every write to it invalidates all lists: call popular_posts_watch for it again`,
  }))
}

async function shadowingObjects(db: Kysely<Tables>): Promise<DatabaseProblem[]> {
  return (await findShadowingObjects(db)).map((subject) => ({
    subject,
    message:
      "another role has a function or an operator of the name of PostgreSQL's own, which may be called in its place with the rights of this user: drop it, and let no other role create objects in a schema of the search_path",
  }))
}
