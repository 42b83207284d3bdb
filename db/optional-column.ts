import { type RawBuilder, sql } from 'kysely'

/**
 * A column that the view of an adopted blog may lack, as text; null if it does. PostgreSQL looks a name up in the row first
 * (`own`), and then in the query around it (`none`). So one statement fits both, and no catalog has to be read.
 */
export function optionalColumn(table: 'posts' | 'categories', name: string): RawBuilder<string | null> {
  const column = sql.ref(name)
  return sql`(
    select own.value from (select null::text as ${column}) as none,
    lateral (select ${column}::text as value from (select ${sql.id(table)}.*) as own_row) as own
  )`
}
