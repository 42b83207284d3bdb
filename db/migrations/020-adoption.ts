import { type Kysely, sql } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'

/**
 * The SQL of the views and triggers over a blog's own tables, for `popular-posts adopt --apply` after `--drop`. The role
 * of the service has no right to it: what it has, a user with more rights runs.
 */
export const adoption: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('popular_posts_adoption')
      .addColumn('script', 'text', (column) => column.notNull())
      .addColumn('applied_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
      .execute()
  },
}
