import { type Kysely, sql } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'
import { withSafePath } from '../safe-path.ts'
import { installChangeFunctions } from './functions.ts'

/**
 * The changes of the blog, announced by the transactions that make them: one row for each transaction and kind of
 * change, and a notification. Rows are only added: writers that increase a counter would wait for each other, and
 * deadlock.
 */
export const signals: Migration = {
  async up(db: Kysely<unknown>) {
    await sql`
      create table popular_posts_change (
        xid xid8 not null default pg_current_xact_id(),
        change text not null check (change in ('hard', 'soft')),
        changed_at timestamptz not null default now(),
        primary key (xid, change, changed_at)
      )`.execute(db)
    await sql`create index popular_posts_change_changed_at_idx on popular_posts_change (changed_at)`.execute(db)
    const { rows } = await sql<{ schema: string }>`select quote_ident(current_schema()::text) as schema`.execute(db)
    for (const { schema } of rows) await withSafePath(db, () => installChangeFunctions(db, schema, 'create'))
  },
}
