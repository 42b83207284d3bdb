import type { Table } from './catalog.ts'
import { combine, type Expression, ofRef, wrap } from './expression.ts'
import { findColumn, type Ref, type Source } from './find-posts.ts'
import { literal } from './names.ts'
import { DATES, KINDS } from './roles.ts'

/** A column of a time as `timestamptz`. */
export function asInstant(ref: Ref, zone: string): Expression {
  const { kind, values } = ref.column
  return wrap(ofRef(ref), (name) => {
    if (kind === 'timestamp') return `${name} at time zone ${literal(zone)}`
    if (kind === 'date') return `${name}::timestamp at time zone ${literal(zone)}`
    if (kind === 'integer')
      return `to_timestamp(${name}${values.some((value) => value.length > 11) ? ' / 1000.0' : ''})`
    return name
  })
}

/** The columns that may be the time of publication, the likeliest first. A number is a time only if its values are. */
export function datesOf(source: Source): Ref[] {
  return DATES.flatMap((name) =>
    source.parts.flatMap((part) => {
      const column = findColumn(part.table, [name], KINDS.time)
      return column === undefined || (column.kind === 'integer' && !hasTimes(column.values))
        ? []
        : [{ ...part, column }]
    }),
  )
}

/** Seconds or milliseconds since 1970, later than 1973. */
function hasTimes(values: readonly string[]): boolean {
  return values.length > 0 && values.every((value) => value.length >= 9)
}

/**
 * The time of publication. A published post may lack it: then it is that of its creation.
 * @param isPublished whether another column decides that the post is published.
 */
export function dateOf(dates: readonly Ref[], isPublished: boolean, zone: string): Expression | undefined {
  const [first, second] = dates
  if (first === undefined) return undefined
  const time = asInstant(first, zone)
  if (!first.column.isNullable || !isPublished || second === undefined) return time
  return combine([time, asInstant(second, zone)], (date, created) => `coalesce(${date}, ${created})`)
}

/** Whether a table has times without a time zone among these columns. */
export function lacksZone(table: Table, names: readonly string[]): boolean {
  return table.columns.some(({ name, kind }) => names.includes(name) && (kind === 'timestamp' || kind === 'date'))
}
