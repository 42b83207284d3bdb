import type { Column } from './catalog.ts'
import type { Part, Ref, Source } from './find-posts.ts'
import { ident, literal } from './names.ts'

/** Writes a column of a source as SQL. */
export type Show = (ref: Ref) => string

/** An SQL expression over the columns of a source. */
export interface Expression {
  refs: readonly Ref[]
  write(show: Show): string
}

/** A column, as it is. */
export const ofRef = (ref: Ref): Expression => ({ refs: [ref], write: (show) => show(ref) })

/** An expression in which others are placed. */
export function combine(expressions: readonly Expression[], write: (...parts: string[]) => string): Expression {
  return {
    refs: expressions.flatMap(({ refs }) => refs),
    write: (show) => write(...expressions.map((each) => each.write(show))),
  }
}

export const wrap = (expression: Expression, write: (sql: string) => string): Expression => combine([expression], write)

/** A flag is true, also where it is a number. Null is not true. */
export function isTrue(ref: Ref): Expression {
  return wrap(ofRef(ref), (name) => (ref.column.kind === 'boolean' ? `${name} is true` : `${name} = 1`))
}

/** The contrary of `isTrue`: null is not true. */
export function isNotTrue(ref: Ref): Expression {
  return wrap(ofRef(ref), (name) =>
    ref.column.kind === 'boolean' ? `${name} is not true` : `coalesce(${name}, 0) = 0`,
  )
}

/** A column as `text`. */
export function asText(ref: Ref): Expression {
  return wrap(ofRef(ref), (name) => (ref.column.type === 'text' ? name : `${name}::text`))
}

/**
 * The expression of a flag: the name of a column, or SQL, in which names of columns are found outside of literals. In
 * SQL, a text in several languages is JSON as it is.
 */
export function parseExpression(text: string, { parts }: Source): Expression {
  const refs: Ref[] = []
  const pieces: (string | Ref)[] = []
  for (const [token] of text.matchAll(/'(?:[^']|'')*'|"(?:[^"]|"")+"|[A-Za-z_][\w.]*|[^'"A-Za-z_]+|['"]/g)) {
    const name = token.startsWith('"') ? token.slice(1, -1).replaceAll('""', '"') : token
    const ref = columnNamed(parts, name, /^\w+$/.test(text))
    if (ref !== undefined) refs.push(ref)
    pieces.push(ref ?? token)
  }
  return { refs, write: (show) => pieces.map((piece) => (typeof piece === 'string' ? piece : show(piece))).join('') }
}

/** The column that an expression is, if it is nothing more. */
export function columnOf({ refs, write }: Expression): Ref | undefined {
  return write(() => '?') === '?' ? refs[0] : undefined
}

function columnNamed(parts: readonly Part[], name: string, isText: boolean): Ref | undefined {
  for (const part of parts) {
    const column = part.table.columns.find((each: Column) => each.name === name)
    if (column !== undefined) return { ...part, column: isText ? column : { ...column, languages: undefined } }
  }
  return undefined
}

/** Records which columns of which tables an SQL text uses. */
export interface Uses {
  show: Show
  /** The used columns of a table. */
  of(tableId: string): readonly string[]
}

export function createUses(): Uses {
  const used = new Map<string, Set<string>>()
  return {
    show({ alias, table, column }) {
      const columns = used.get(table.id) ?? new Set()
      used.set(table.id, columns.add(column.name))
      return inLanguage(`${alias}.${ident(column.name)}`, column)
    },
    of: (tableId) => [...(used.get(tableId) ?? [])],
  }
}

/** Shows a column without its table: for `live` and `live_from`. */
export const bare: Show = ({ column }) => inLanguage(ident(column.name), column)

/** A text in several languages: in the first one that it has. */
function inLanguage(name: string, { languages }: Column): string {
  if (languages === undefined) return name
  const texts = languages.map((language) => `nullif(${name} ->> ${literal(language)}, '')`)
  return texts.length === 1 ? `(${name} ->> ${literal(languages[0] as string)})` : `coalesce(${texts.join(', ')})`
}
