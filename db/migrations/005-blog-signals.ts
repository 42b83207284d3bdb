import { type Kysely, sql } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'

const TABLES = ['posts', 'comments', 'authors', 'categories', 'post_categories', 'tags', 'post_tags']

/**
 * The service's own blog announces its changes. Hard: a post that appears, disappears, or has another address. Soft: all
 * else that shows in a list. Nothing: what nobody sees, such as drafts.
 */
export const blogSignals: Migration = {
  async up(db: Kysely<unknown>) {
    await sql`select popular_posts_watch('posts', '{slug,url}', 'not is_private', 'published_at')`.execute(db)
    await sql`select popular_posts_watch('comments', live => 'is_approved', columns => '{post_id}')`.execute(db)
    for (const table of TABLES.slice(2)) await sql`select popular_posts_watch(${table})`.execute(db)
  },
  async down(db: Kysely<unknown>) {
    for (const table of TABLES) await sql`select popular_posts_unwatch(${table})`.execute(db)
  },
}
