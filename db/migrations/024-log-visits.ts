import { type Kysely, sql } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'
import type { PostIdType } from './001-view-counters.ts'

/**
 * The ledger of `popular-posts import-log` (see `db/log-ledger.ts`): visits in place of the lines of
 * `post_views_log_chunk`, which stays for the time of the last import that it has.
 */
export const logVisits = (postId: PostIdType): Migration => ({
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('post_views_log_import')
      .addColumn('id', 'bigint', (column) => column.primaryKey().generatedAlwaysAsIdentity())
      .addColumn('started_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
      .addColumn('source', 'text', (column) => column.notNull())
      .addColumn('known_from', sql`bigint[]`, (column) => column.notNull().defaultTo(sql`'{}'`))
      .execute()
    await db.schema
      .createTable('post_views_log_visits')
      .addColumn('id', 'bigint', (column) => column.primaryKey().generatedAlwaysAsIdentity())
      .addColumn('import_id', 'bigint', (column) => column.notNull())
      .addColumn('hour', 'integer', (column) => column.notNull())
      .addColumn('post_ids', sql`${sql.raw(postId)}[]`, (column) => column.notNull())
      .addColumn('visits', 'bytea', (column) => column.notNull())
      .execute()
    // Digests cannot be compressed.
    await sql`alter table post_views_log_visits alter column visits set storage external`.execute(db)
    for (const column of ['hour', 'import_id'])
      await db.schema
        .createIndex(`post_views_log_visits_${column}_idx`)
        .on('post_views_log_visits')
        .column(column)
        .execute()
  },
})
