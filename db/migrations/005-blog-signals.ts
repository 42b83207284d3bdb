import { type Kysely, sql } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'

const TABLES = ['posts', 'comments', 'authors', 'categories', 'post_categories', 'tags', 'post_tags']

/**
 * Makes the blog tables of the service announce their changes. Hard: a post appears, disappears, or gets another
 * address. Soft: any other change that a list shows. Changes that no list shows, such as those of drafts, are not
 * announced.
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

/** Calls the function with all arguments, in their own types: see `functions.ts`. */
async function watch(
  db: Kysely<unknown>,
  table: string,
  { hardColumns, live = 'true', liveFrom, columns }: Watched = {},
): Promise<void> {
  await sql`
    select popular_posts_watch(${table}::regclass, ${hardColumns ?? null}::text[], ${live}::text,
      ${liveFrom ?? null}::text, ${columns ?? null}::text[], '{}'::name[])`.execute(db)
}
