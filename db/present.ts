import { type RawBuilder, sql } from 'kysely'

/** The present as SQL: the moment given, in milliseconds since the epoch, or the database's clock. */
export function present(nowMs: number | undefined): RawBuilder<unknown> {
  return nowMs === undefined ? sql`statement_timestamp()` : sql`${new Date(nowMs)}::timestamptz`
}
