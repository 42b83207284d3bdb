import { type Kysely, sql } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'
import type { PostIdType } from './001-view-counters.ts'

/**
 * The ledger of `popular-posts import-log` (see `LogImportTables`). Its rows never expire, so an old log is never
 * counted again.
 */
export const logImports = (postId: PostIdType): Migration => ({
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('post_views_log_chunk')
      .addColumn('id', 'bigint', (column) => column.primaryKey().generatedAlwaysAsIdentity())
      .addColumn('before', 'text', (column) => column.notNull())
      .addColumn('lines', 'integer', (column) => column.notNull())
      .addColumn('digest', 'text', (column) => column.notNull())
      .addColumn('post_ids', sql`${sql.raw(postId)}[]`, (column) => column.notNull())
      .addColumn('imported_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
      .execute()
    await db.schema.createIndex('post_views_log_chunk_before_idx').on('post_views_log_chunk').column('before').execute()
  },
})
