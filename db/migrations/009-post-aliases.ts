import { type Kysely, sql } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'
import { withSafePath } from '../safe-path.ts'
import { createFunction } from './functions.ts'

/**
 * The earlier slugs of posts: `post_aliases`, and a trigger that adds the old slug of a published post when the slug
 * changes. A blog with tables of its own may have a view of this name.
 */
export const postAliases: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('post_aliases')
      .addColumn('slug', 'text', (column) => column.primaryKey())
      .addColumn('post_id', 'bigint', (column) => column.notNull().references('posts.id').onDelete('cascade'))
      .execute()
    await db.schema.createIndex('post_aliases_post_id_idx').on('post_aliases').column('post_id').execute()
    const { rows } = await sql<{ schema: string }>`select quote_ident(current_schema()::text) as schema`.execute(db)
    for (const { schema } of rows)
      await withSafePath(db, async () => {
        await createFunction('keep-slug', schema).execute(db)
        await sql.raw(`revoke execute on function ${schema}.popular_posts_keep_slug from public`).execute(db)
        await sql
          .raw(`
            create trigger popular_posts_keep_slug after update of slug on ${schema}.posts
            for each row when (old.slug <> new.slug and old.published_at <= now())
            execute function ${schema}.popular_posts_keep_slug()`)
          .execute(db)
      })
  },
}
