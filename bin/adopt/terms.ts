import type { Table } from './catalog.ts'
import { asText, type Expression, ofRef, type Uses, wrap } from './expression.ts'
import { findColumn, findRef, type Ref, type Source } from './find-posts.ts'
import { conditionsOf, isNamed, type Link, linksTo, quoted, referencesTo, referredTables } from './links.ts'
import { ident, isOneOf, literal, normalized } from './names.ts'
import type { Watch } from './proposal.ts'
import * as roles from './roles.ts'
import { keptOf } from './state.ts'

/** The views of tags or categories, and of their links to posts; empty if there are none. */
export interface Terms {
  terms?: string
  links?: string
  watches: readonly Watch[]
  /** The table of the terms, if a column of the posts refers to it. */
  direct?: { table: Table; ref: Ref } | undefined
}

export interface TermsContext {
  source: Source
  tables: readonly Table[]
  links: readonly Link[]
  uses: Uses
  /** The name of a term in the view of links: `tag_id`. */
  idName: string
  nouns: readonly string[]
  /** Columns of the posts that have the names of terms. */
  columns: readonly string[]
  /** What the user says: a table, a column, or `none`. */
  chosen: string | undefined
  /** Writes the view of links of a table whose rows refer to posts. */
  linkQuery(link: { table: Table; reference: Link['post'] }, select: string, where: readonly string[]): string
  /** The posts: `from …`, and the id. */
  posts: { from: string; id: string; where: readonly string[] }
}

/** A text as a slug. */
export function slugify(sql: string): string {
  return `trim(both '-' from lower(regexp_replace(${sql}, '[^[:alnum:]]+', '-', 'g')))`
}

/** Finds tags or categories: by a table of links, a column that refers to a table, or a column with names. */
export function termsOf(context: TermsContext): Terms {
  const { links, nouns, chosen, idName, uses } = context
  if (chosen === 'none') return { watches: [] }
  const [link] = [
    ...linksTo(links, nouns, chosen),
    ...links.filter(({ target }) => chosen === undefined && kindOf(target, nouns).length > 0),
  ]
  if (link !== undefined) {
    const { terms, watch } = tableQuery(link.target, uses, nouns)
    const select = `link.${ident(link.to.column)} as ${idName}`
    return {
      terms,
      links: context.linkQuery({ table: link.table, reference: link.post }, select, conditionsOf(link)),
      watches: [watch, { table: quoted(link.table), live: link.post.when }],
    }
  }
  const direct = directOf(context)
  if (direct !== undefined) {
    const { terms, watch } = tableQuery(direct.table, uses, nouns)
    const column = uses.show(direct.ref)
    const { from, id, where } = context.posts
    return {
      terms,
      links: query(`${id} as post_id, ${column} as ${idName}`, from, [...where, `${column} is not null`]),
      watches: [watch],
      direct,
    }
  }
  const rows = rowsOf(context)
  if (rows !== undefined) return rows
  const column = findRef(context.source, chosen === undefined ? context.columns : [normalized(chosen)], NAMING)
  return column === undefined ? { watches: [] } : namesQuery(context, column)
}

/** A table with a row for each term of each post: a reference to the post, and the name. */
function rowsOf({ source, tables, nouns, chosen, idName, linkQuery, uses }: TermsContext): Terms | undefined {
  for (const table of tables) {
    const [reference] = referencesTo(source, table)
    const name = findColumn(table, roles.TERM_NAMES, ['text'])
    const isMeant = chosen === undefined ? isOneOf(table.name, nouns) : isNamed(table, chosen)
    if (reference === undefined || name === undefined || !isMeant) continue
    const column = asText({ alias: 'link', table, column: name }).write(uses.show)
    return {
      terms: query(
        `distinct ${column} as id, ${slugify(column)} as slug, ${column} as name`,
        `${quoted(table)} as link`,
        [`${column} <> ''`],
      ),
      links: linkQuery({ table, reference }, `${column} as ${idName}`, []),
      watches: [{ table: quoted(table), live: reference.when }],
    }
  }
  return undefined
}

const NAMING = ['array', 'json', 'text', 'enum'] as const

/** A column of the posts that refers to a table of terms. */
function directOf({ source, tables, nouns, chosen }: TermsContext): { table: Table; ref: Ref } | undefined {
  return referredTables(source, tables)
    .filter(({ table }) => !source.parts.some((part) => part.table === table))
    .find(({ table, ref }) =>
      chosen === undefined
        ? isOneOf(table.name, nouns) && findColumn(table, roles.TERM_NAMES, ['text']) !== undefined
        : isNamed(table, chosen) || normalized(ref.column.name) === normalized(chosen),
    )
}

/** The condition that a row is such a term, if a table of another name has terms of several kinds. */
export function kindOf(table: Table, nouns: readonly string[]): Expression[] {
  const column = findColumn(table, roles.TERM_KINDS, ['text', 'enum'])
  // A field of tags is no tag.
  if (column === undefined || isOneOf(table.name, [...nouns, 'field'])) return []
  const word = nouns.flatMap((noun) => column.values.filter((value) => isOneOf(value, [noun])))[0]
  return word === undefined
    ? []
    : [wrap(ofRef({ alias: 'term', table, column }), (name) => `${name} = ${literal(word)}`)]
}

/** Joomla: the root of a nested set is a row, which is no term. */
function nested(table: Table): Expression[] {
  const columns = ['level', 'lft', 'rgt', 'alias'].map((each) => findColumn(table, [each], ['integer', 'text']))
  const [level] = columns
  return level === undefined || columns.includes(undefined)
    ? []
    : [wrap(ofRef({ alias: 'term', table, column: level }), (name) => `${name} > 0`)]
}

/** The view of a table of terms. */
function tableQuery(table: Table, uses: Uses, nouns: readonly string[]): { terms: string; watch: Watch } {
  const ref = (names: readonly string[], kinds: Parameters<typeof findColumn>[2]) => {
    const column = findColumn(table, names, kinds)
    return column === undefined ? undefined : { alias: 'term', table, column }
  }
  const text = (found: Ref | undefined) => (found === undefined ? undefined : asText(found).write(uses.show))
  const key = `term.${ident(table.key[0] as string)}`
  const shown = text(ref(['display_name'], ['text']))
  const name = shown ?? text(ref(roles.TERM_NAMES, ['text'])) ?? `${key}::text`
  // Where a name is there to be shown, the other one is for addresses.
  const slugs = shown === undefined ? roles.TERM_SLUGS : [...roles.TERM_SLUGS, 'name']
  const slug = text(ref(slugs, ['text'])) ?? slugify(name)
  const parent = ref(roles.PARENTS, ['integer', 'uuid', 'text'])
  const parents = parent === undefined ? '' : `, ${uses.show(parent)} as parent_id`
  const conditions = [
    ...keptOf({ parts: [{ alias: 'term', table }], joins: [] }),
    ...kindOf(table, nouns),
    ...nested(table),
  ]
  const where = conditions.map((each) => each.write(uses.show))
  return {
    terms: query(`${key} as id, ${slug} as slug, ${name} as name${parents}`, `${quoted(table)} as term`, where),
    watch: { table: quoted(table), columns: uses.of(table.id) },
  }
}

/** The views of terms that have no table: an array, JSON, or a text with commas. */
function namesQuery({ uses, posts, idName }: TermsContext, ref: Ref): Terms {
  const column = uses.show(ref)
  const isList = roles.TAG_COLUMNS.includes(normalized(ref.column.name)) || normalized(ref.column.name).endsWith('s')
  const lists: Readonly<Record<string, string>> = {
    array: `unnest(${column}::text[])`,
    json: `jsonb_array_elements_text(case when jsonb_typeof(${column}::jsonb) = 'array' then ${column}::jsonb else '[]' end)`,
    text: isList ? `regexp_split_to_table(trim(${column}), '\\s*,\\s*')` : '',
  }
  const list = lists[ref.column.kind] || `(values (${column}::text))`
  const from = `${posts.from}\ncross join lateral ${list} as named (name)`
  const where = [...posts.where, `named.name <> ''`]
  return {
    terms: query(`distinct named.name as id, ${slugify('named.name')} as slug, named.name as name`, from, where),
    links: query(`${posts.id} as post_id, named.name as ${idName}`, from, where),
    // The watch of the posts has the column.
    watches: [],
  }
}

/** A query, one clause a line. */
export function query(select: string, from: string, where: readonly string[]): string {
  const conditions = where.map((condition, index) => `${index === 0 ? 'where' : '  and'} ${condition}`)
  return [`select ${select}`, `from ${from}`, ...conditions].join('\n')
}
