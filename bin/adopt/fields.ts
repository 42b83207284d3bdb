import type { PostIdType } from '../../db/migrate.ts'
import type { Column } from './catalog.ts'
import { asText, bare, columnOf, combine, type Expression, ofRef, parseExpression, wrap } from './expression.ts'
import { findColumn, findRef, LANGUAGE_IDS, type Part, type Ref, type Source } from './find-posts.ts'
import { ident, literal } from './names.ts'
import type { Choices, Flag, Question } from './proposal.ts'
import * as roles from './roles.ts'
import { slugify } from './terms.ts'

/** The id of a post. */
export interface Identity {
  postId: PostIdType
  expression: Expression
  /** Whether other tables refer to posts by this id, as it is. */
  isKey: boolean
  /** Conditions that make the id unique. */
  filters: readonly Expression[]
  notes: readonly string[]
}

/** The expression of a flag. @returns a question, if the flag names a column that the table does not have. */
export function chosen(flag: Flag, choices: Choices, source: Source): Expression | Question | undefined {
  const text = choices[flag]
  if (text === undefined) return undefined
  const expression = parseExpression(text, source)
  if (/^\w+$/.test(text) && expression.refs.length === 0)
    return { flag, sentence: `There is no column ${text} in ${tableNames(source)}:`, candidates: columnNames(source) }
  return expression
}

const tableNames = ({ parts }: Source) => parts.map(({ table }) => table.name).join(' and ')
const columnNames = ({ parts }: Source, kinds?: readonly string[]) => [
  ...new Set(
    parts.flatMap(({ table }) =>
      table.columns.filter(({ kind }) => kinds?.includes(kind) ?? true).map(({ name }) => name),
    ),
  ),
]

/** Finds the id: the primary key, or of Strapi the id of the document, because each publication is a new row. */
export function identityOf(source: Source, choices: Choices): Identity | Question {
  const given = chosen('id', choices, source)
  if (given !== undefined && 'flag' in given) return given
  const base = source.parts[0] as Part
  const [name, ...more] = base.table.key
  const key = base.table.columns.find((column) => column.name === name)
  const type = (column: Column | undefined) => (column === undefined ? undefined : ID_TYPES[column.kind])
  if (given !== undefined) {
    const column = columnOf(given)?.column
    const postId = type(column)
    const expression = postId === undefined ? wrap(given, (sql) => `(${sql})::text`) : given
    const isKey = column !== undefined && column === key && more.length === 0
    return { postId: postId ?? 'text', expression, isKey, filters: [], notes: [] }
  }
  const document = findColumn(base.table, ['document_id'], ['text'])
  const published = findColumn(base.table, ['published_at'], roles.KINDS.clock)
  if (document !== undefined && published !== undefined && key?.kind === 'integer') {
    const locale = findColumn(base.table, ['locale'], ['text'])
    const ref = (column: Column) => ofRef({ ...base, column })
    const hasLocales = locale !== undefined && locale.values.length > 1
    return {
      postId: 'text',
      expression: hasLocales
        ? combine([ref(document), ref(locale)], (id, language) => `concat_ws(':', ${id}, ${language})`)
        : wrap(ref(document), (id) => `${id}::text`),
      isKey: false,
      filters: [wrap(ref(published), (time) => `${time} is not null`)],
      notes: [
        'The id is document_id, because the key changes at each publication. Rows without published_at are drafts beside the published row.',
      ],
    }
  }
  const texts = source.parts.find(({ language }) => language !== undefined)
  if (texts?.language !== undefined && key !== undefined && more.length === 0)
    return {
      postId: 'text',
      expression: combine(
        [ofRef({ ...base, column: key }), ofRef({ ...texts, column: texts.language })],
        (id, language) => `concat_ws(':', ${id}, ${language})`,
      ),
      isKey: false,
      filters: [],
      notes: [
        `A post is in lists once for each row of ${texts.table.name}: --where "${texts.language.name} = …" selects one language or site.`,
      ],
    }
  const postId = more.length === 0 ? type(key) : undefined
  if (key === undefined || postId === undefined)
    return {
      flag: 'id',
      sentence: `${base.table.name} has no key of one column that is a number, a uuid or text:`,
      candidates: [
        ...(more.length > 0 ? [`concat_ws(':', ${base.table.key.map(ident).join(', ')})`] : []),
        ...columnNames(source, roles.KINDS.id),
      ],
    }
  const expression = wrap(ofRef({ ...base, column: key }), (id) => (key.kind === 'number' ? `${id}::bigint` : id))
  return { postId, expression, isKey: true, filters: [], notes: [] }
}

const ID_TYPES: Readonly<Partial<Record<string, PostIdType>>> = {
  integer: 'bigint',
  number: 'bigint',
  uuid: 'uuid',
  text: 'text',
}

/** Finds the slug. Without a column, it may be made of the title and the id. */
export function slugOf(source: Source, choices: Choices, title: Expression): Expression | Question {
  const given = chosen('slug', choices, source)
  if (given !== undefined) return 'flag' in given ? given : textual(given)
  const ref = findRef(source, roles.SLUGS, roles.KINDS.text)
  if (ref !== undefined) return asText(ref)
  const { key } = (source.parts[0] as Part).table
  return {
    flag: 'slug',
    sentence: `Found no slug in ${tableNames(source)}, the part of the address that names the post:`,
    candidates: [
      ...key,
      `${slugify(title.write(bare))} || '-' || ${key.map(ident).join(" || '-' || ")}`,
      ...columnNames(source, roles.KINDS.text),
    ],
  }
}

/** A column, or an expression, as text. */
function textual(given: Expression): Expression {
  const ref = columnOf(given)
  return ref === undefined ? wrap(given, (sql) => `(${sql})::text`) : asText(ref)
}

/** Finds the title. */
export function titleOf(source: Source, choices: Choices): Expression | Question {
  const given = chosen('title', choices, source)
  if (given !== undefined) return 'flag' in given ? given : textual(given)
  const ref = findRef(source, roles.TITLES, roles.KINDS.text)
  if (ref !== undefined) return asText(ref)
  return {
    flag: 'title',
    sentence: `Found no title in ${tableNames(source)}:`,
    candidates: [
      ...columnNames(source, ['json']).map((name) => `${ident(name)} ->> 'title'`),
      ...columnNames(source, roles.KINDS.text),
    ],
  }
}

/** The address of a post: a template, which may name columns, a column with paths, or the slug. */
export function urlOf(
  source: Source,
  template: string | undefined,
  values: { slug: Expression; id: Expression; date: Expression; zone: string },
): Expression | Question {
  const paths = template === undefined ? pathOf(source) : undefined
  if (paths !== undefined) return paths
  const { slug, id, date, zone } = values
  const part = (format: string) => wrap(date, (time) => `to_char((${time}) at time zone ${literal(zone)}, '${format}')`)
  const known: Readonly<Record<string, Expression>> = {
    slug,
    id: wrap(id, (sql) => `${sql}::text`),
    year: part('YYYY'),
    month: part('MM'),
    day: part('DD'),
  }
  const expressions: Expression[] = []
  for (const [index, piece] of (template ?? '/{slug}').split(/\{(\w+)\}/).entries()) {
    const column = index % 2 === 1 ? (known[piece] ?? chosen('slug', { slug: piece }, source)) : undefined
    if (column !== undefined && 'flag' in column) return { ...column, flag: 'url' }
    if (column !== undefined) expressions.push(column === known[piece] ? column : wrap(column, (sql) => `${sql}::text`))
    else if (piece !== '') expressions.push({ refs: [], write: () => literal(piece) })
  }
  return combine(expressions, (...texts) => texts.join(' || '))
}

/** A column whose values are all addresses, or paths. Wagtail's begin with the slug of the root page. */
function pathOf(source: Source): Expression | undefined {
  for (const name of roles.PATHS) {
    const ref = findRef(source, [name], roles.KINDS.text)
    if (ref === undefined) continue
    if (ref.table.name === 'wagtailcore_page' && name === 'url_path')
      return wrap(ofRef(ref), (path) => `regexp_replace(${path}, '^/[^/]+', '')`)
    const { values } = ref.column
    if (values.length > 0 && values.every((value) => /^(?:\/|https?:)/.test(value))) return asText(ref)
  }
  return undefined
}

/** The language of a post: a column, or the row that `locale_id` refers to. */
export function languageOf(
  source: Source,
  choices: Choices,
  locales: (ref: Ref) => string | undefined,
  ofTexts: string | undefined,
): Expression | Question | undefined {
  if (ofTexts !== undefined) return { refs: [], write: () => literal(ofTexts.replaceAll('_', '-')) }
  const given = chosen('language', choices, source)
  if (given !== undefined) return given
  const ref = findRef(source, roles.LANGUAGES, ['text', 'enum'])
  if (ref !== undefined)
    return ref.column.values.includes('*') ? wrap(ofRef(ref), (name) => `nullif(${name}, '*')`) : asText(ref)
  const texts = source.parts.find(({ language }) => language !== undefined)
  const reference =
    texts === undefined
      ? findRef(source, ['locale_id', 'language_id'], roles.KINDS.id)
      : findRef({ parts: [texts], joins: [] }, LANGUAGE_IDS, roles.KINDS.id)
  const query = reference === undefined ? undefined : locales(reference)
  return reference === undefined || query === undefined
    ? undefined
    : wrap(ofRef(reference), (id) => query.replace('$id', () => id))
}

/** The reading time: a column, or the length of the text. */
export function minutesOf(source: Source): Expression {
  const minutes = findRef(source, roles.MINUTES, ['integer'])
  if (minutes !== undefined) return wrap(ofRef(minutes), (name) => `greatest(1, coalesce(${name}, 1))`)
  const text = findRef(source, roles.TEXTS, roles.KINDS.text)
  return text === undefined
    ? { refs: [], write: () => '1' }
    : wrap(ofRef(text), (name) => `greatest(1, coalesce(length(${name}), 0) / 1200)`)
}
