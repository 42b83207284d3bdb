import { type Kysely, sql } from 'kysely'
import { messageOf } from '../../lib/errors.ts'
import type { Migration } from '../kysely-migrator.ts'
import { withSafePath } from '../safe-path.ts'
import { createFunction, installChangeFunctions, SAFE_PATH } from './functions.ts'

/**
 * Replaces the functions of earlier versions, in which calls could reach functions of another role, and the trigger
 * functions that they wrote. Also deletes the rollups if the counters are truncated.
 */
export const safeFunctions: Migration = {
  async up(db: Kysely<unknown>) {
    await sql`
      create table popular_posts_watch_failure (
        watcher text not null,
        xid xid8 not null default pg_current_xact_id(),
        failed_at timestamptz not null default now(),
        code text not null,
        message text not null,
        primary key (watcher, xid)
      )`.execute(db)
    const { rows } = await sql<{ schema: string }>`select quote_ident(current_schema()::text) as schema`.execute(db)
    for (const { schema } of rows)
      await withSafePath(db, async () => {
        await installChangeFunctions(db, schema, 'create or replace')
        await replaceWatchers(db, schema)
        await createFunction('touch', schema, 'create or replace').execute(db)
      })
    for (const table of TRUNCATED)
      await sql`
        create trigger popular_posts_touch_truncate after truncate on ${sql.table(table)}
        for each statement execute function popular_posts_touch()`.execute(db)
  },
}

/** The tables that rollups depend on. */
const TRUNCATED = ['post_views_daily', 'post_views_touch']

interface Watcher {
  name: string
  watched: string
  body: string
  isOurs: boolean
  schemas: string[]
}

/**
 * Rewrites the trigger functions of watched tables under their own names, so that triggers stay and no table has to be
 * watched again. The arguments given to earlier versions are parsed from the functions that these versions wrote. Such
 * a function is the text of the role that called them, so it is parsed only if that is the role that migrates. If it is
 * not, or if the text is not accepted any more, the table announces every change, and the next start logs it.
 */
async function replaceWatchers(db: Kysely<unknown>, schema: string): Promise<void> {
  const { rows: watchers } = await sql<Watcher>`
    select distinct proname::text as name, tgrelid::regclass::text as watched, prosrc as body,
      pg_get_userbyid(proowner) = current_user as "isOurs",
      array(select nspname::text from pg_namespace, string_to_array(substr(proconfig[1], length('search_path=') + 1), ', ') as path
        where quote_ident(nspname) = any (path) order by array_position(path, quote_ident(nspname))) as schemas
    from pg_trigger join pg_proc on pg_proc.oid = tgfoid
    where proname like 'popular\\_posts\\_watch\\_%' and pronamespace = ${schema}::regnamespace
    and proconfig <> '{"search_path=pg_catalog, pg_temp"}'`.execute(db)
  for (const watcher of watchers) {
    const change = watcher.body.includes(`popular_posts_announce('hard'`) ? 'hard' : 'soft'
    const everything = { live: 'true', since: null, hardRow: ALL, softRow: ALL }
    const given = watcher.isOurs ? readBody(watcher.body) : undefined
    const failure =
      given === undefined
        ? 'it belongs to another role, or was changed by hand'
        : await attempt(db, () => replaceWatcher(db, schema, watcher, change, given))
    if (failure === undefined) continue
    const worse = await attempt(db, () => replaceWatcher(db, schema, watcher, change, everything))
    await sql`
      insert into ${sql.raw(schema)}.popular_posts_watch_failure (watcher, code, message)
      values (${watcher.name}, 'migrated', ${worse ?? failure})`.execute(db)
  }
}

type Given = { live: string; since: string | null; hardRow: string; softRow: string }

const ALL = 'popular_posts_row::text'

/** The arguments that an earlier version of `popular_posts_watch` got; `undefined`: the body is not of that version. */
function readBody(body: string): Given | undefined {
  const [, since] = /select distinct ([\s\S]*?) as since from new_rows as popular_posts_row where /.exec(body) ?? []
  const [, condition] =
    /if exists \(select from new_rows as popular_posts_row where ([\s\S]*?)\) then\n/.exec(body) ?? []
  const [, hardRow, softRow] =
    /sum\(hashtextextended\(([\s\S]*?), 0\)\) as hard, sum\(hashtextextended\(([\s\S]*?), 0\)\) as soft/.exec(body) ??
    []
  const end = `\n) and ${since} <= statement_timestamp()`
  if (hardRow === undefined || softRow === undefined || since === undefined || condition === undefined) return undefined
  const live = condition.slice('('.length, -end.length)
  return { live, since: since === `'-infinity'::timestamptz` ? null : since, hardRow, softRow }
}

async function replaceWatcher(
  db: Kysely<unknown>,
  schema: string,
  { name, watched, schemas }: Watcher,
  change: string,
  { live, since, hardRow, softRow }: Given,
): Promise<void> {
  const { rows } = await sql<{ body: string }>`
    select quote_literal(${sql.raw(schema)}.popular_posts_write_watcher(${name}::text, ${watched}::regclass, ${change}::text,
      ${live}::text, ${since}::text, ${hardRow}::text, ${softRow}::text, ${schemas}::name[])) as body`.execute(db)
  for (const { body } of rows)
    await sql`
      create or replace function ${sql.raw(schema)}.${sql.ref(name)}() returns trigger
      language plpgsql security definer ${sql.raw(SAFE_PATH)} as ${sql.raw(body)}`.execute(db)
}

/** @returns why `work` failed, with its changes rolled back; `undefined`: it succeeded. */
async function attempt(db: Kysely<unknown>, work: () => Promise<void>): Promise<string | undefined> {
  await sql`savepoint popular_posts_watcher`.execute(db)
  try {
    await work()
    return undefined
  } catch (error) {
    await sql`rollback to savepoint popular_posts_watcher`.execute(db)
    return messageOf(error)
  }
}
