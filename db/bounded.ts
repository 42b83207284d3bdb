import { type RawBuilder, sql } from 'kysely'

/** The most characters of a text in a list, so that one row cannot make a list larger than the cache accepts. */
export const MAX_TEXT = 10_000
/** The most categories and tags of a post in a list. */
export const MAX_LINKS = 100

/** The first column's text that is not null, at most {@link MAX_TEXT} characters of it; empty if all are null. */
export function boundedText(...columns: string[]): RawBuilder<string> {
  return sql`coalesce(${sql.join(columns.map((column) => sql`left(${sql.ref(column)}, ${sql.lit(MAX_TEXT)})`))}, '')`
}

/** A column, or an expression, of views: 0 without a row, and for a number below 0, which an administrator may have written. */
export function viewsOf(views: string | RawBuilder<string>): RawBuilder<string> {
  return sql`greatest(coalesce(${typeof views === 'string' ? sql.ref(views) : views}, 0), 0)`
}

/** A condition: the heat of a row of the table is a number that can be compared, neither infinite nor NaN. */
export function hasFiniteHeat(table: string): RawBuilder<boolean> {
  const heat = sql.ref(`${table}.heat`)
  // NaN is greater than infinity.
  return sql`(${heat} > '-infinity' and ${heat} < 'infinity')`
}

/** A count, whatever the host's parser made of it: an integer of 0 or more; 0 for all other values. */
export function countOf(value: unknown): number {
  const number = Math.trunc(Number(value))
  return number > 0 && number < Number.POSITIVE_INFINITY ? number : 0
}
