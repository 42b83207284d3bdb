import { type Kysely, sql } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'

/** The blog tables of the service. A slug is unique per kind; links go with the rows they join. */
export const blog: Migration = {
  async up(db: Kysely<unknown>) {
    for (const table of ['authors', 'categories', 'tags']) {
      await db.schema
        .createTable(table)
        .addColumn('id', 'bigint', (column) => column.primaryKey().generatedAlwaysAsIdentity())
        .addColumn('slug', 'text', (column) => column.notNull().unique())
        .addColumn('name', 'text', (column) => column.notNull())
        .execute()
    }
    await db.schema
      .createTable('posts')
      .addColumn('id', 'bigint', (column) => column.primaryKey().generatedAlwaysAsIdentity())
      .addColumn('slug', 'text', (column) => column.notNull().unique())
      .addColumn('title', 'text', (column) => column.notNull())
      .addColumn('url', 'text', (column) => column.notNull())
      .addColumn('excerpt', 'text', (column) => column.notNull().defaultTo(''))
      .addColumn('author_id', 'bigint', (column) => column.references('authors.id').onDelete('set null'))
      .addColumn('published_at', 'timestamptz')
      .addColumn('is_private', 'boolean', (column) => column.notNull().defaultTo(false))
      .addColumn('image_url', 'text')
      .addColumn('image_width', 'integer')
      .addColumn('image_height', 'integer')
      .addColumn('image_alt', 'text', (column) => column.notNull().defaultTo(''))
      .addColumn('reading_minutes', 'integer', (column) => column.notNull().defaultTo(1))
      .execute()
    await db.schema.createIndex('posts_author_id_idx').on('posts').column('author_id').execute()
    await linkTable(db, 'post_categories', 'category_id', 'categories.id')
    await linkTable(db, 'post_tags', 'tag_id', 'tags.id')
    await db.schema
      .createTable('comments')
      .addColumn('id', 'bigint', (column) => column.primaryKey().generatedAlwaysAsIdentity())
      .addColumn('post_id', 'bigint', (column) => column.notNull().references('posts.id').onDelete('cascade'))
      .addColumn('author_name', 'text', (column) => column.notNull())
      .addColumn('body', 'text', (column) => column.notNull())
      .addColumn('is_approved', 'boolean', (column) => column.notNull().defaultTo(true))
      .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
      .execute()
    await db.schema.createIndex('comments_post_id_idx').on('comments').column('post_id').execute()
    await db.schema
      .createTable('site_facts')
      .addColumn('name', 'text', (column) => column.primaryKey())
      .addColumn('value', 'text', (column) => column.notNull())
      .execute()
  },
}

async function linkTable(db: Kysely<unknown>, name: string, other: string, references: string): Promise<void> {
  await db.schema
    .createTable(name)
    .addColumn('post_id', 'bigint', (column) => column.notNull().references('posts.id').onDelete('cascade'))
    .addColumn(other, 'bigint', (column) => column.notNull().references(references).onDelete('cascade'))
    .addPrimaryKeyConstraint(`${name}_pkey`, ['post_id', other])
    .execute()
  await db.schema.createIndex(`${name}_${other}_idx`).on(name).column(other).execute()
}
