import { type Expression, type RawBuilder, sql } from 'kysely'

/** JSON of a value, as PostgreSQL writes it. */
type JsonText<T> = string & { readonly of?: T }

/**
 * JSON as a column of type text. A host may parse any type in its own way, for the whole process or for a pool; text is
 * the type that all drivers return unchanged. So queries return text, and numbers, which `Number` reads in any form.
 */
export function jsonText<T>(json: Expression<T>): RawBuilder<JsonText<T> | (null extends T ? null : never)> {
  return sql`(${json})::text`
}

/** Reads a column of {@link jsonText}. */
export function fromJsonText<T>(text: JsonText<T>): T
export function fromJsonText<T>(text: JsonText<T> | null): T | null
export function fromJsonText(text: string | null): unknown {
  return text === null ? null : JSON.parse(text)
}
