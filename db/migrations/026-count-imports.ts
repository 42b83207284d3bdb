import { type Kysely, sql } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'
import type { PostIdType } from './001-view-counters.ts'

/**
 * The ledger of `popular-posts import-counts` (see `CountImportTables`). Its rows never expire, so an old export is never
 * counted again.
 */
export const countImports = (postId: PostIdType): Migration => ({
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('post_views_import')
      .addColumn('id', 'bigint', (column) => column.primaryKey().generatedAlwaysAsIdentity())
      .addColumn('source', 'text', (column) => column.notNull())
      .addColumn('imported_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
      .execute()
    await db.schema
      .createTable('post_views_import_count')
      .addColumn('import_id', 'bigint', (column) => column.notNull())
      .addColumn('day', 'date', (column) => column.notNull())
      .addColumn('post_id', postId, (column) => column.notNull())
      .addColumn('hour', 'timestamptz', (column) => column.notNull())
      .addColumn('views', 'bigint', (column) => column.notNull())
      .addColumn('heat', 'float8')
      .addPrimaryKeyConstraint('post_views_import_count_pkey', ['import_id', 'day', 'post_id', 'hour'])
      .execute()
    await db.schema
      .createIndex('post_views_import_count_post_idx')
      .on('post_views_import_count')
      .columns(['post_id', 'day'])
      .execute()
  },
})
