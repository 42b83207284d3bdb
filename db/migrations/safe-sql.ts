/**
 * The functions that announce changes. Some run with the rights of another role than the one that writes, so a role that
 * can make functions and operators in some schema must not be able to have its own called in place of PostgreSQL's. A call
 * with inexact types prefers an exact match in any schema of the search_path. Hence, in each of these functions:
 * the search_path is pg_catalog alone (`pg_temp` is named, as it would come first otherwise, and has no functions), what is
 * ours is named with its schema, and ours is called with all of its arguments, in their own types.
 */
export const SAFE_PATH = 'set search_path = pg_catalog, pg_temp'

/** A text as it stands between the quotes of an SQL literal. */
export function inLiteral(text: string): string {
  return text.replaceAll("'", "''")
}
