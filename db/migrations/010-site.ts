import type { Kysely } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'

/** What all processes of a site must agree on: see `time-zone.ts`. */
export const site: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('popular_posts_site')
      .addColumn('name', 'text', (column) => column.primaryKey())
      .addColumn('value', 'text', (column) => column.notNull())
      .execute()
  },
}
