import { type RawBuilder, sql } from 'kysely'

/** A window of time that ends now. */
export interface WindowQuery {
  /**
   * 0: all time. 1: the last 24 hours, to the hour: this hour so far and the 24 before.
   * From 2 on, whole days of the site's time zone: today so far and the `days` days before.
   */
  days: number
  /**
   * The present, in milliseconds since the epoch. Default: the database's clock, which also decides when a post is
   * live.
   */
  nowMs?: number | undefined
  /** The site's IANA time zone. */
  timeZone: string
}

/** The present as SQL: the given time, in milliseconds since the epoch, or the database's clock. */
export function sqlNow(nowMs: number | undefined): RawBuilder<unknown> {
  return nowMs === undefined ? sql`statement_timestamp()` : sql`${new Date(nowMs)}::timestamptz`
}

/**
 * A timestamp column as whole milliseconds since the epoch. An integer, because the result for the text of a date
 * before our era, or of a zone with seconds, depends on the host's parsers: read it with `Number`.
 */
export function inMilliseconds(moment: string): RawBuilder<number | string | bigint> {
  return sql`round(extract(epoch from date_trunc('milliseconds', ${sql.ref(moment)}::timestamptz)) * 1000)::bigint`
}
