import type { Kysely } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'

/**
 * The posts of a filter are read from an index. Those of a category or tag from the index alone: in a large blog they are on
 * all pages of the table.
 */
export const filterIndexes: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema.createIndex('posts_published_at_idx').on('posts').column('published_at').execute()
    for (const [table, other] of [
      ['post_categories', 'category_id'],
      ['post_tags', 'tag_id'],
    ] as const) {
      await db.schema.createIndex(`${table}_${other}_post_id_idx`).on(table).columns([other, 'post_id']).execute()
      await db.schema.dropIndex(`${table}_${other}_idx`).ifExists().execute()
    }
  },
}
