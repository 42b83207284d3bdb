import { type Kysely, sql } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'

/**
 * Indexes from which rankings read the top (see `rank-candidates.ts`). A counter in an index would never be updated in
 * place (HOT), so the indexed columns are steps of the counters, which seldom change: the square root of the views, and
 * quarters of the heat, each without its fraction. Both functions keep the order, because PostgreSQL rounds `sqrt` and
 * casts correctly (IEEE 754). Heat is limited first: a product of the greatest numbers would be an error.
 */
export const ranks: Migration = {
  async up(db: Kysely<unknown>) {
    await sql`
      alter table post_views_total
        add column views_rank real not null generated always as (floor(sqrt(greatest(views, 0)::float8))::real) stored,
        add column heat_rank real not null generated always as
          (floor(least(greatest(heat, -1000000::float8), 1000000::float8) * 4::float8)::real) stored`.execute(db)
    for (const column of ['views_rank', 'heat_rank'])
      await db.schema.createIndex(`post_views_total_${column}_idx`).on('post_views_total').column(column).execute()
    // Rollups of earlier versions have no head, and are not read any more.
    await sql`truncate post_views_window`.execute(db)
    await db.schema
      .createIndex('post_views_window_rank_idx')
      .on('post_views_window')
      .columns(['days', 'last_day', 'touches', 'views', 'post_id'])
      .execute()
  },
}
