import { type RawBuilder, sql } from 'kysely'

/** A stretch of time, seen from a present moment. */
export interface WindowQuery {
  /**
   * 0: all time. 1: the last 24 hours, to the hour: this hour so far and the 24 before.
   * From 2 on, whole days of the site's time zone: today so far and the `days` days before.
   */
  days: number
  /** The present, in milliseconds since the epoch. Default: by the database's clock, which also says when a post is live. */
  nowMs?: number | undefined
  /** The site's IANA time zone. */
  timeZone: string
}

/** The present as SQL: the moment given, in milliseconds since the epoch, or the database's clock. */
export function sqlNow(nowMs: number | undefined): RawBuilder<unknown> {
  return nowMs === undefined ? sql`statement_timestamp()` : sql`${new Date(nowMs)}::timestamptz`
}

/**
 * A moment as SQL that gives whole milliseconds since the epoch. As a number, because what a driver makes of the text of a
 * date before our era, or of a zone with seconds, is up to the host's own parsers.
 */
export function inMilliseconds(moment: string): RawBuilder<number> {
  return sql`round(extract(epoch from date_trunc('milliseconds', ${sql.ref(moment)}::timestamptz)) * 1000)::float8`
}
