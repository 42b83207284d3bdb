import { type Kysely, sql } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'

/** The types that post ids may have. */
export const POST_ID_TYPES = ['bigint', 'uuid', 'text'] as const
/** The type of the ids of a blog's posts. */
export type PostIdType = (typeof POST_ID_TYPES)[number]

/**
 * The counters. `fillfactor` 80 leaves room for HOT updates; no index holds a counter, because an update of an
 * indexed column is never HOT. No foreign key: the host's posts table is not touched.
 */
export const viewCounters = (postId: PostIdType): Migration => ({
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('post_views_hourly')
      .addColumn('hour', 'timestamptz', (column) => column.notNull())
      .addColumn('post_id', postId, (column) => column.notNull())
      .addColumn('views', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('post_views_hourly_pkey', ['hour', 'post_id'])
      .modifyEnd(sql`with (fillfactor = 80)`)
      .execute()
    await db.schema
      .createTable('post_views_daily')
      .addColumn('day', 'date', (column) => column.notNull())
      .addColumn('post_id', postId, (column) => column.notNull())
      .addColumn('views', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('post_views_daily_pkey', ['day', 'post_id'])
      .modifyEnd(sql`with (fillfactor = 80)`)
      .execute()
    await db.schema
      .createTable('post_views_total')
      .addColumn('post_id', postId, (column) => column.primaryKey())
      .addColumn('views', 'bigint', (column) => column.notNull())
      .addColumn('heat', 'float8', (column) => column.notNull())
      .modifyEnd(sql`with (fillfactor = 80)`)
      .execute()
    await db.schema
      .createTable('post_views_batch')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('applied_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
      .execute()
  },
})
