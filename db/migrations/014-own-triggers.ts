import { type Kysely, sql } from 'kysely'
import type { Migration } from '../kysely-migrator.ts'
import { withSafePath } from '../safe-path.ts'
import { createFunction } from './functions.ts'

/**
 * Lets two schemas of a database watch one table: triggers get names of their own, and notifications have the schema.
 * Triggers that exist stay.
 */
export const ownTriggers: Migration = {
  async up(db: Kysely<unknown>) {
    const { rows } = await sql<{ schema: string }>`select quote_ident(current_schema()::text) as schema`.execute(db)
    for (const { schema } of rows)
      await withSafePath(db, async () => {
        for (const file of ['announce', 'watch']) await createFunction(file, schema, 'create or replace').execute(db)
      })
  },
}
