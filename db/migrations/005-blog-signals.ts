import { type Kysely, sql } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'

const TABLES = ['posts', 'comments', 'authors', 'categories', 'post_categories', 'tags', 'post_tags']

/**
 * The service's own blog announces its changes. Hard: a post that appears, disappears, or has another address. Soft: all
 * else that shows in a list. Nothing: what nobody sees, such as drafts.
 */
export const blogSignals: Migration = {
  async up(db: Kysely<unknown>) {
    await watch(db, 'posts', { hardColumns: '{slug,url}', live: 'not is_private', liveFrom: 'published_at' })
    await watch(db, 'comments', { live: 'is_approved', columns: '{post_id}' })
    for (const table of TABLES.slice(2)) await watch(db, table)
  },
}

interface Watched {
  hardColumns?: string
  live?: string
  liveFrom?: string
  columns?: string
}

/** With all arguments, in their own types: see `functions.ts`. */
async function watch(
  db: Kysely<unknown>,
  table: string,
  { hardColumns, live = 'true', liveFrom, columns }: Watched = {},
): Promise<void> {
  await sql`
    select popular_posts_watch(${table}::regclass, ${hardColumns ?? null}::text[], ${live}::text,
      ${liveFrom ?? null}::text, ${columns ?? null}::text[], '{}'::name[])`.execute(db)
}
