import { type Kysely, sql } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'
import { withSafePath } from '../safe-path.ts'
import { createFunction } from './functions.ts'

/** Gives the triggers of a watched table names of their own, so that two schemas may watch one table. Triggers stay. */
export const ownTriggers: Migration = {
  async up(db: Kysely<unknown>) {
    const { rows } = await sql<{ schema: string }>`select quote_ident(current_schema()::text) as schema`.execute(db)
    for (const { schema } of rows)
      await withSafePath(db, async () => void (await createFunction('watch', schema, 'create or replace').execute(db)))
  },
}
