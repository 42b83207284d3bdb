import type { Kysely } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'

/** The parent of a category, and the language of a post (BCP 47): lists can be filtered by both. Adopted blogs may lack them. */
export const parentsAndLanguages: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .alterTable('categories')
      .addColumn('parent_id', 'bigint', (column) => column.references('categories.id').onDelete('set null'))
      .execute()
    await db.schema.alterTable('posts').addColumn('language', 'text').execute()
  },
}
