import type { Reference, Table } from './catalog.ts'
import { bare, combine, type Expression, isNotTrue, isTrue, ofRef, wrap } from './expression.ts'
import { findColumn, findRef, type Ref, type Source } from './find-posts.ts'
import { isNamed, quoted, referencesTo } from './links.ts'
import { isOneOf, literal, nounOf } from './names.ts'
import type { Watch } from './proposal.ts'
import { isCopy } from './references.ts'
import * as roles from './roles.ts'
import { wordAmong, wordFlags } from './state.ts'

/** The view of comments; empty if there are none. */
export interface Comments {
  comments?: string
  watches: readonly Watch[]
}

interface CommentsContext {
  source: Source
  tables: readonly Table[]
  /** What the user says: a table, or `none`. */
  chosen: string | undefined
  /** Writes a query of rows that refer to posts. */
  linkQuery(link: { table: Table; reference: Reference }, select: string, where: readonly string[]): string
}

/** Finds the table of comments, and which of them readers see. */
export function commentsOf({ source, tables, chosen, linkQuery }: CommentsContext): Comments {
  const isThread = ['topic', 'thread', 'discussion'].some(
    (noun) => nounOf(source.parts[0]?.table.name as string) === noun,
  )
  const nouns = isThread ? [...roles.COMMENT_NOUNS, 'post'] : roles.COMMENT_NOUNS
  const [table] = tables
    .filter((each) => (chosen === undefined ? isOfComments(each, nouns) && !isCopy(each.name) : isNamed(each, chosen)))
    .filter((each) => referencesTo(source, each).length > 0)
    .toSorted((a, b) => a.name.length - b.name.length)
  if (table === undefined) return { watches: [] }
  // Replies refer to a comment, and to the post at its root.
  const isRoot = ({ column }: Reference) => Number(/(?:^|_)root_/.test(column))
  const [reference] = referencesTo(source, table).toSorted((a, b) => isRoot(b) - isRoot(a)) as [Reference]
  const approved = combine(approvedOf(table), (...all) => all.join(' and ') || 'true')
  const show = (ref: Ref) => `link.${bare(ref)}`
  return {
    comments: linkQuery({ table, reference }, `${approved.write(show)} as is_approved`, when(reference)),
    watches: [
      {
        table: quoted(table),
        live: [...when(reference), ...approvedOf(table).map((each) => each.write(bare))].join(' and ') || undefined,
        columns: [reference.column],
      },
    ],
  }
}

/** A table may have messages of several types: some are comments. */
const isOfComments = (table: Table, nouns: readonly string[]) =>
  isOneOf(table.name, nouns) || typeOfComments(table).length > 0

function typeOfComments(table: Table): Expression[] {
  const column = findColumn(table, ['message_type', 'type'], ['text', 'enum'])
  const word = column && wordAmong(roles.COMMENT_NOUNS, column.values)
  if (column === undefined || word === undefined) return []
  return [wrap(ofRef({ alias: 'link', table, column }), (name) => `${name} = ${literal(word)}`)]
}

const when = (reference: Reference) => (reference.when === undefined ? [] : [reference.when])

function approvedOf(table: Table): Expression[] {
  const source = { parts: [{ alias: 'link', table }], joins: [] }
  const found = (...search: [names: readonly string[], kinds: Parameters<typeof findRef>[2]]) => {
    const ref = findRef(source, ...search)
    return ref === undefined ? [] : [ref]
  }
  const first = findColumn(table, ['post_number'], ['integer'])
  return [
    ...typeOfComments(table),
    ...found(roles.STATUSES, ['text', 'enum']).flatMap((ref) => {
      const word = wordAmong(roles.PUBLISHED_WORDS, ref.column.values)
      return word === undefined ? [] : [wrap(ofRef(ref), (name) => `${name} = ${literal(word)}`)]
    }),
    ...found(roles.PUBLISHED_FLAGS.toReversed(), roles.KINDS.flag).map(isTrue),
    ...wordFlags(source),
    ...roles.COMMENT_HIDDEN.flatMap((name) => found([name], roles.KINDS.flag)).map(isNotTrue),
    ...found(roles.DELETED_AT, roles.KINDS.clock).map((ref) => wrap(ofRef(ref), (name) => `${name} is null`)),
    // The first row of a topic is its text.
    ...(first === undefined ? [] : [wrap(ofRef({ alias: 'link', table, column: first }), (name) => `${name} > 1`)]),
  ]
}
