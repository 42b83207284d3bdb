import type { Table } from './catalog.ts'
import { asText, parseExpression, type Uses } from './expression.ts'
import { findColumn, findRef, type Ref, type Source } from './find-posts.ts'
import { authorLinks, conditionsOf, isNamed, type Link, positionOf, quoted, referredTables } from './links.ts'
import { ident, isOneOf, normalized, withoutApp } from './names.ts'
import type { Watch } from './proposal.ts'
import * as roles from './roles.ts'
import { keptOf } from './state.ts'
import { query, slugify } from './terms.ts'

/** The view of authors, and the columns of the view of posts that refer to it; empty if there are none. */
export interface People {
  authors?: string
  authorId?: string
  /** An array of the ids of all authors, where a post may have several. */
  coAuthorIds?: string | undefined
  watches: readonly Watch[]
}

interface PeopleContext {
  source: Source
  tables: readonly Table[]
  links: readonly Link[]
  uses: Uses
  /** What the user says: a table, a column, or `none`. */
  chosen: string | undefined
  posts: { from: string; where: readonly string[] }
}

/** Finds the authors: by a table of links, a column that refers to a table, or a column with names. */
export function peopleOf(context: PeopleContext): People {
  const { source, links, uses, chosen } = context
  if (chosen === 'none') return { watches: [] }
  const [author] = authorLinks(links, chosen)
  if (author !== undefined) return linked(context, author)
  const direct = directOf(context)
  if (direct !== undefined) {
    const { authors, watch } = tableQuery(direct.table, uses)
    const others = findRef(source, ['co_author_ids', 'coauthor_ids', 'author_ids'], ['array'])
    return {
      authors,
      authorId:
        direct.when === undefined
          ? uses.show(direct.ref)
          : `case when ${parseExpression(direct.when, source).write(uses.show)} then ${uses.show(direct.ref)} end`,
      coAuthorIds: others && uses.show(others),
      watches: [watch],
    }
  }
  const column = findRef(source, chosen === undefined ? roles.AUTHOR_COLUMNS : [normalized(chosen)], ['text'])
  if (column === undefined) return { watches: [] }
  const name = asText(column).write(uses.show)
  return {
    authors: query(`distinct ${name} as id, ${slugify(name)} as slug, ${name} as name`, context.posts.from, [
      ...context.posts.where,
      `${name} <> ''`,
    ]),
    authorId: name,
    watches: [],
  }
}

function linked({ uses, source }: PeopleContext, { link, field }: { link: Link; field: string[] }): People {
  const { authors, watch } = tableQuery(link.target, uses)
  const id = `link.${ident(link.to.column)}`
  const part = source.parts.find(({ table }) => table.id === link.post.table) as Source['parts'][number]
  const position = positionOf(link.table)
  const order = position === undefined ? id : `link.${ident(position.name)}, ${id}`
  const of = `from ${quoted(link.table)} as link where ${[
    `link.${ident(link.post.column)} = ${part.alias}.${ident(link.post.to)}`,
    ...conditionsOf(link),
    ...field,
  ].join(' and ')}`
  return {
    authors,
    authorId: `(select ${id} ${of} order by ${order} limit 1)`,
    coAuthorIds: `array(select ${id} ${of})`,
    watches: [watch, { table: quoted(link.table), live: link.post.when }],
  }
}

/** The column of the posts that refers to the author. */
function directOf({ source, tables, chosen }: PeopleContext) {
  const referred = referredTables(source, tables)
  if (chosen !== undefined)
    return referred.find(({ table, ref }) => isNamed(table, chosen) || ref.column.name === chosen)
  const place = ({ ref }: { ref: Ref }) =>
    roles.PERSONS.indexOf(withoutApp(ref.table.name, ref.column.name).replace(/_?(?:id|uuid)$/, ''))
  return referred
    .filter((each) => isPerson(each) || hasName(each.table))
    .filter((each) => place(each) >= 0)
    .toSorted((a, b) => place(a) - place(b) || Number(isPerson(b)) - Number(isPerson(a)))[0]
}

const isPerson = ({ table }: { table: Table }) => isOneOf(table.name, roles.NOUNS.authors)
const hasName = (table: Table) =>
  findColumn(table, [...roles.PERSON_NAMES, 'username', 'first_name'], roles.KINDS.text) !== undefined

/** The view of a table of persons. An address of mail is never shown. */
function tableQuery(table: Table, uses: Uses): { authors: string; watch: Watch } {
  const text = (names: readonly string[]) => {
    const column = findColumn(table, names, roles.KINDS.text)
    return column === undefined ? undefined : asText({ alias: 'person', table, column }).write(uses.show)
  }
  const id = `person.${ident(table.key[0] as string)}`
  const [first, last] = [
    text(['first_name', 'firstname', 'given_name']),
    text(['last_name', 'lastname', 'family_name']),
  ]
  const full = text(roles.PERSON_NAMES)
  const parts = [first, last].filter((part) => part !== undefined)
  const login = text(roles.LOGINS)
  const names = [
    ...(full === undefined ? [] : [full]),
    ...(parts.length === 0 ? [] : [`nullif(trim(concat_ws(' ', ${parts.join(', ')})), '')`]),
    ...(login === undefined ? [] : [login]),
  ]
  const name = names.length > 1 ? `coalesce(${names.join(', ')})` : (names[0] ?? `${id}::text`)
  const slug = text(roles.PERSON_SLUGS) ?? slugify(name)
  const kept = keptOf({ parts: [{ alias: 'person', table }], joins: [] }).map((each) => each.write(uses.show))
  return {
    authors: query(`${id} as id, ${slug} as slug, ${name} as name`, `${quoted(table)} as person`, kept),
    watch: { table: quoted(table), columns: uses.of(table.id) },
  }
}
