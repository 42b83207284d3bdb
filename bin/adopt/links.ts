import type { Column, Reference, Table } from './catalog.ts'
import { findColumn, type Ref, type Source } from './find-posts.ts'
import { ident, isOneOf, literal, normalized, singular } from './names.ts'
import { isCopy } from './references.ts'
import { IMAGES, NOUNS, POSITIONS } from './roles.ts'

/** A table whose rows link posts to rows of another table. */
export interface Link {
  table: Table
  /** The reference to the post. */
  post: Reference
  /** The reference to the other table. */
  to: Reference
  target: Table
}

/** A table with more columns is more than a link. */
const MAX_COLUMNS = 9
/** Links of readers to posts, which say nothing of the post. */
const OF_READERS =
  /(?:^|_)(?:like|vote|follow|favou?rite|bookmark|view|reaction|clap|save|subscri|notif|mention|rating|invit|permission|log|visit|comment|review|report|revision|lock|share|reshare|reading)/

/** The references of a table to a source. Of two, the one that is never null comes first. */
export function referencesTo(source: Source, table: Table): Reference[] {
  const isOptional = ({ column }: Reference) =>
    table.columns.some(({ name, isNullable }) => name === column && isNullable) ? 1 : 0
  return table.references
    .filter((reference) => source.parts.some((part) => part.table.id === reference.table))
    .toSorted((a, b) => isOptional(a) - isOptional(b))
}

/** The tables that columns of a source refer to, as far as the user can read them, each with the column. */
export function referredTables(
  source: Source,
  tables: readonly Table[],
): { table: Table; ref: Ref; when: string | undefined }[] {
  return source.parts.flatMap((part) =>
    part.table.references.flatMap((reference) => {
      const column = part.table.columns.find(({ name }) => name === reference.column) as Column
      const table = tables.find(({ id }) => id === reference.table)
      return table === undefined ? [] : [{ table, ref: { ...part, column }, when: reference.when }]
    }),
  )
}

/** The links of posts to other tables, those with the shortest names first. */
export function linksOf(source: Source, tables: readonly Table[]): Link[] {
  const isPart = (table: Table) => source.parts.some((part) => part.table === table)
  return tables
    .filter((table) => !isPart(table) && table.columns.length <= MAX_COLUMNS && !isCopy(table.name))
    .filter(({ name }) => !OF_READERS.test(normalized(name)))
    .flatMap((table) => {
      const [post] = referencesTo(source, table)
      if (post === undefined) return []
      return table.references.flatMap((to) => {
        const target = tables.find(({ id }) => id === to.table)
        const isLink = target !== undefined && !isPart(target) && target !== table && to.column !== post.column
        return isLink && to.when === undefined ? [{ table, post, to, target }] : []
      })
    })
    .toSorted((a, b) => a.table.name.length - b.table.name.length)
}

/** Links whose target is one of these things, or is named by the user: the table of links, or the target. */
export function linksTo(links: readonly Link[], nouns: readonly string[], chosen: string | undefined): Link[] {
  if (chosen !== undefined)
    return links.filter(({ table, target }) => isNamed(table, chosen) || isNamed(target, chosen))
  return nouns.flatMap((noun) => links.filter(({ target }) => isOneOf(target.name, [noun])))
}

/** Whether a name of the user means a table: with its schema, or without. */
export function isNamed(table: Table, name: string): boolean {
  return table.name === name || table.id === name
}

/** The conditions on a row of links, with the name of the table in the SQL. */
export function conditionsOf({ table, post, to }: Link): string[] {
  const isNullable = table.columns.some(({ name, isNullable }) => name === to.column && isNullable)
  return [
    ...(post.when === undefined ? [] : [post.when]),
    ...(isNullable ? [`link.${ident(to.column)} is not null`] : []),
  ]
}

/** Names of columns, of tables and of fields for the authors of a post. */
const WRITERS = /author|writer|contributor|editor|person|byline|creator/

/**
 * The links to the authors of posts. Users may be linked to posts as readers, too, so that a name must tell.
 * @returns the condition on the field, too, where the table has the links of several fields.
 */
export function authorLinks(links: readonly Link[], chosen: string | undefined): { link: Link; field: string[] }[] {
  return linksTo(links, NOUNS.authors, chosen).flatMap((link) => {
    const path = link.table.columns.find(({ name }) => name === 'path' || name === 'field')
    const value = path?.values.find((each) => WRITERS.test(each))
    const isNamed = [link.table.name, link.to.column, link.target.name].some((name) => WRITERS.test(normalized(name)))
    if (!isNamed && value === undefined && chosen === undefined) return []
    const isOf = path !== undefined && value !== undefined
    return [{ link, field: isOf ? [`link.${ident(path.name)} = ${literal(value)}`] : [] }]
  })
}

/** The column that orders the rows of one post. */
export function positionOf(table: Table): Column | undefined {
  return findColumn(table, POSITIONS, ['integer', 'number'])
}

/** The condition that a link to a file is for the picture of a post, if a column names the field. */
export function pictureField(table: Table): string | undefined {
  const field = findColumn(table, ['field'], ['text'])
  const value = IMAGES.map((name) => field?.values.find((each) => singular(normalized(each)) === name)).find(Boolean)
  return field === undefined || value === undefined ? undefined : `link.${ident(field.name)} = ${literal(value)}`
}

/** A table as SQL writes it. */
export function quoted({ schema, name }: Pick<Table, 'schema' | 'name'>): string {
  return `${ident(schema)}.${ident(name)}`
}
