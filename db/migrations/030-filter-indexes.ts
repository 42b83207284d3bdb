import { type Kysely, sql } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'

/**
 * Locks all tables at once, or none: a migration that has one and waits for another would be in a deadlock with a writer of
 * both. While it waits, readers and writers wait behind it, so a wait is half a second, and others go first after that.
 * The last wait, after some 12 s, is an error (55P03).
 */
const LOCK = sql`
  do $lock$
  begin
    perform set_config('lock_timeout', '500ms', true);
    for attempt in 1..20 loop
      begin
        lock table post_categories, post_tags in access exclusive mode;
        lock table posts in share mode;
        return;
      exception when lock_not_available then
        if attempt = 20 then raise; end if;
        perform pg_sleep(0.1);
      end;
    end loop;
  end
  $lock$`

/**
 * The posts of a filter are read from an index. Those of a category or tag from the index alone: in a large blog they are on
 * all pages of the table.
 */
export const filterIndexes: Migration = {
  async up(db: Kysely<unknown>) {
    await LOCK.execute(db)
    // Without names, PostgreSQL chooses free ones: an operator may have made an index of the usual name.
    await sql`create index on posts (published_at)`.execute(db)
    // The expression of `db/language.ts`.
    await sql`create index on posts (replace(lower(left(language, 500) collate "C"), '_', '-'))`.execute(db)
    for (const [table, other] of [
      ['post_categories', 'category_id'],
      ['post_tags', 'tag_id'],
    ] as const) {
      await sql`create index on ${sql.table(table)} (${sql.ref(other)}, post_id)`.execute(db)
      await db.schema.dropIndex(`${table}_${other}_idx`).ifExists().execute()
    }
  },
}
