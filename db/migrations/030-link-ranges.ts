import { type Kysely, sql } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'

/**
 * Locks both tables at once, or neither: a migration that has one and waits for the other would be in a deadlock with a writer
 * of both. While it waits, readers and writers wait behind it, so a wait is half a second, and others go first after that.
 * The last wait, after some 12 s, is an error (55P03).
 */
const LOCK = sql`
  do $lock$
  begin
    perform set_config('lock_timeout', '500ms', true);
    for attempt in 1..19 loop
      begin
        lock table post_categories, post_tags in access exclusive mode;
        return;
      exception when lock_not_available then
        perform pg_sleep(0.1);
      end;
    end loop;
    lock table post_categories, post_tags in access exclusive mode;
  end
  $lock$`

/** The posts of a category or tag are read from an index alone: in a large blog they are on all pages of the table. */
export const linkRanges: Migration = {
  async up(db: Kysely<unknown>) {
    await LOCK.execute(db)
    for (const [table, other] of [
      ['post_categories', 'category_id'],
      ['post_tags', 'tag_id'],
    ] as const) {
      // Without a name, PostgreSQL chooses a free one: an operator may have made an index of the usual name.
      await sql`create index on ${sql.table(table)} (${sql.ref(other)}, post_id)`.execute(db)
      await db.schema.dropIndex(`${table}_${other}_idx`).ifExists().execute()
    }
  },
}
