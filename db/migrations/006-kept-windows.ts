import { type Kysely, sql } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'
import type { PostIdType } from './001-view-counters.ts'

/**
 * Rollups (see `window-rollups.ts`), and the changes by which a reader verifies them: one row for each change of a
 * day's counters, written by a trigger. Rows are only added, so that no writer waits for another.
 */
export const keptWindows = (postId: PostIdType): Migration => ({
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('post_views_touch')
      .addColumn('day', 'date', (column) => column.notNull())
      .addColumn('times', 'bigint', (column) => column.notNull())
      .execute()
    await db.schema.createIndex('post_views_touch_day_idx').on('post_views_touch').column('day').execute()
    await db.schema
      .createTable('post_views_window')
      .addColumn('days', 'integer', (column) => column.notNull())
      .addColumn('last_day', 'date', (column) => column.notNull())
      .addColumn('touches', 'bigint', (column) => column.notNull())
      .addColumn('post_id', postId, (column) => column.notNull())
      .addColumn('views', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('post_views_window_pkey', ['days', 'last_day', 'touches', 'post_id'])
      .execute()
    const { rows } = await sql<{ schema: string }>`select quote_ident(current_schema()::text) as schema`.execute(db)
    for (const { schema } of rows) {
      await sql`
        create function popular_posts_touch() returns trigger
        language plpgsql set search_path = ${sql.raw(schema)}, pg_temp as $function$
        begin
          insert into post_views_touch (day, times) select distinct day, 1 from touched;
          return null;
        end
        $function$`.execute(db)
    }
    for (const [event, table] of [
      ['insert', 'new'],
      ['update', 'new'],
      ['delete', 'old'],
    ] as const) {
      await sql`
        create trigger ${sql.ref(`popular_posts_touch_${event}`)} after ${sql.raw(event)} on post_views_daily
        referencing ${sql.raw(table)} table as touched
        for each statement execute function popular_posts_touch()`.execute(db)
    }
  },
})
