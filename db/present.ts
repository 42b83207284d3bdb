import { type RawBuilder, sql } from 'kysely'

/** The present as SQL: the moment given, in milliseconds since the epoch, or the database's clock. */
export function present(nowMs: number | undefined): RawBuilder<unknown> {
  return nowMs === undefined ? sql`statement_timestamp()` : sql`${new Date(nowMs)}::timestamptz`
}

/**
 * A moment as SQL that gives whole milliseconds since the epoch. As a number, because what a driver makes of the text of a
 * date before our era, or of a zone with seconds, is up to the host's own parsers.
 */
export function inMilliseconds(moment: string): RawBuilder<number> {
  return sql`round(extract(epoch from date_trunc('milliseconds', ${sql.ref(moment)}::timestamptz)) * 1000)::float8`
}
