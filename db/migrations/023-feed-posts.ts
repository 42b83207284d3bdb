import type { Kysely } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'

/** The ids that feeds give to posts, so that `popular-posts import-feed` recognizes a post whose address has changed. */
export const feedPosts: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('feed_posts')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('post_id', 'bigint', (column) => column.notNull().references('posts.id').onDelete('cascade'))
      .execute()
    await db.schema.createIndex('feed_posts_post_id_idx').on('feed_posts').column('post_id').execute()
  },
}
