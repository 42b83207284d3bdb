import type { Kysely } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'

/** The posts of a category or tag are read from an index alone: in a large blog they are on all pages of the table. */
export const linkRanges: Migration = {
  async up(db: Kysely<unknown>) {
    for (const [table, other] of [
      ['post_categories', 'category_id'],
      ['post_tags', 'tag_id'],
    ] as const) {
      await db.schema.createIndex(`${table}_${other}_post_id_idx`).on(table).columns([other, 'post_id']).execute()
      await db.schema.dropIndex(`${table}_${other}_idx`).ifExists().execute()
    }
  },
}
