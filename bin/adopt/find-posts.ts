import type { Column, Kind, Table } from './catalog.ts'
import { ident, isOneOf, normalized, nounOf, wordsOf } from './names.ts'
import { isCopy } from './references.ts'
import { DATES, DRAFTS, EXCERPTS, KINDS, LANGUAGES, PUBLISHED_FLAGS, SLUGS, STATUSES, TEXTS, TITLES } from './roles.ts'

/** A table of a source, and its name in the SQL. */
export interface Part {
  alias: string
  table: Table
  /** The column of the language, or of the site, in a table that has the texts of a post in several languages. */
  language?: Column
}

/** A column of a source. */
export interface Ref extends Part {
  column: Column
}

/**
 * A table of posts, and those that it inherits from: in Django, a row of `blog_blogpage` is also a row of
 * `wagtailcore_page`, with the same key. A table of posts without titles may have one with the texts of each language.
 */
export interface Source {
  parts: readonly Part[]
  /** How the parts are joined: `on` of each part after the first one. */
  joins: readonly string[]
}

/** A table that may have the posts. */
export interface Candidate {
  table: Table
  /** How well it fits. */
  score: number
}

/** Nouns of posts, the most certain ones first. */
const NOUNS: readonly (readonly [number, readonly string[]])[] = [
  [10, ['post', 'article', 'blogentry', 'blogarticle']],
  [9, ['blogpage', 'entry', 'story', 'newsitem', 'newspage', 'articlepage', 'entrypage', 'postpage']],
  [7, ['news', 'blog', 'topic', 'essay']],
  [5, ['node', 'note', 'publication', 'content', 'writing']],
  [3, ['page', 'document', 'item', 'thread']],
]
/** Words of tables that are about posts. */
const ABOUT = new Set(
  'tag,tagging,category,comment,meta,metum,rel,lnk,link,locale,translation,like,vote,view,image,media,author,index,search,type,template,subscriber,user,member,setting,config,relationship,read,reaction,bookmark,favorite,notification,mention,alias'.split(
    ',',
  ),
)
const LIST_PAGE = /(?:index|home|landing|list|form|standard|gallery|people|person|contact|redirect)(?:page)?$/

/** References to the language of a text. */
export const LANGUAGE_IDS = ['locale_id', 'language_id', 'site_id']

/** The least score of a table that is proposed, and how much better than the second one it must be. */
const ENOUGH = 12
const AHEAD = 3

/**
 * The tables that may have the posts, the best first.
 * @returns `best`, if one fits well, and clearly better than all others.
 */
export function findPosts(tables: readonly Table[]): { best: Table | undefined; candidates: Candidate[] } {
  const candidates = tables
    .map((table) => ({ table, score: scoreOf(table, tables) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
  const [first = { score: 0, table: undefined }, second = { score: 0 }] = candidates
  const isClear = first.score >= ENOUGH && first.score - second.score >= AHEAD
  return { best: isClear ? first.table : undefined, candidates }
}

function scoreOf(table: Table, tables: readonly Table[]): number {
  const noun = NOUNS.find(([, nouns]) => isOneOf(table.name, nouns))?.[0] ?? 0
  const words = wordsOf(table.name)
  const last = words.at(-1) as string
  if (isCopy(table.name) || words.some((word) => ABOUT.has(word)) || LIST_PAGE.test(last)) return 0
  const source = sourceOf(table, tables)
  const has = (names: readonly string[], kinds: readonly Kind[]) => findRef(source, names, kinds) !== undefined
  if (!source.parts.some(({ table }) => table.key.length > 0)) return 0
  // Its title may be in JSON: the user can say so.
  if (!has(TITLES, KINDS.text)) return has(SLUGS, KINDS.text) ? noun : 0
  const columns: [number, boolean][] = [
    [4, has(SLUGS, KINDS.text)],
    [2, has(DATES, KINDS.time)],
    [2, has(STATUSES, ['text', 'enum', 'integer']) || has([...PUBLISHED_FLAGS, ...DRAFTS], KINDS.flag)],
    [1, has(DATES.slice(0, DATES.indexOf('created_at')), KINDS.time)],
    [3, has(TEXTS, ['text', 'json'])],
    // The table of all pages is not the one of the posts.
    [-3, tables.some((other) => parentOf(other, tables)?.table === table)],
  ]
  return noun + columns.reduce((sum, [points, isThere]) => sum + (isThere ? points : 0), 0)
}

/** A table, those that it inherits from, and the one of its translations. */
export function sourceOf(table: Table, tables: readonly Table[]): Source {
  const parts: Part[] = [{ alias: 'post', table }]
  const joins: string[] = []
  for (const { alias, table: child } of parts) {
    const parent = parentOf(child, tables)
    if (parent === undefined || parts.length > 3) continue
    const name = nounOf(parent.table.name) === 'post' ? 'parent' : nounOf(parent.table.name)
    const parentAlias = parts.some((part) => part.alias === name) ? `${name}_${parts.length}` : name
    joins.push(`${parentAlias}.${parent.to} = ${alias}.${parent.column}`)
    parts.push({ alias: parentAlias, table: parent.table })
  }
  const texts = textsOf(parts, tables)
  return texts === undefined ? { parts, joins } : { parts: [...parts, texts.part], joins: [...joins, texts.join] }
}

/** The table with a title of a row in each language, if the row has none. */
function textsOf(parts: readonly Part[], tables: readonly Table[]): { part: Part; join: string } | undefined {
  const isIn = (names: readonly string[]) => parts.some(({ table }) => findColumn(table, names, ['text']) !== undefined)
  if (isIn(TITLES.slice(0, TITLES.indexOf('name')))) return undefined
  // A name may be one for editors: then the name of the other table must tell.
  const nouns = isIn(TITLES) ? ['translation', 'i18n'] : ['']
  for (const table of tables) {
    const language =
      findColumn(table, LANGUAGES, ['text', 'enum']) ?? findColumn(table, LANGUAGE_IDS, ['integer', 'uuid'])
    const isOther = isOneOf(table.name, nouns) && !isCopy(table.name) && parts.every((part) => part.table !== table)
    if (language === undefined || !isOther || findColumn(table, TITLES, ['text']) === undefined) continue
    for (const { alias, table: of } of parts)
      for (const { table: id, column, to, when } of table.references)
        if (id === of.id && when === undefined && of.key.length === 1 && of.key[0] === to)
          return {
            part: { alias: 'texts', table, language },
            join: `texts.${ident(column)} = ${alias}.${ident(to)}`,
          }
  }
  return undefined
}

function parentOf(table: Table, tables: readonly Table[]) {
  const [key, ...more] = table.key
  const reference = table.references.find(({ column, when }) => column === key && when === undefined)
  const parent = tables.find(({ id }) => id === reference?.table)
  if (reference === undefined || parent === undefined || parent === table || more.length > 0) return undefined
  if (normalized(reference.column) === `${nounOf(parent.name)}_id` && !hasText(table)) return undefined
  return { table: parent, column: reference.column, to: reference.to }
}

/** Whether a table has texts. One that has none, and whose key is `post_id`, counts or orders rows: it has no kind of them. */
const hasText = (table: Table) => findColumn(table, [...TITLES, ...EXCERPTS, ...TEXTS], ['text', 'json']) !== undefined

/** The first column that has one of these names, in this order, and one of these kinds. */
export function findRef(source: Source, names: readonly string[], kinds: readonly Kind[]): Ref | undefined {
  for (const name of names)
    for (const part of source.parts) {
      const column = findColumn(part.table, [name], kinds)
      if (column !== undefined) return { ...part, column }
    }
  return undefined
}

/** As `findRef`, in one table. A column may have the noun of its table before its name: `post_title`. */
export function findColumn(table: Table, names: readonly string[], kinds: readonly Kind[]): Column | undefined {
  const prefix = `${nounOf(table.name)}_`
  for (const name of names)
    for (const column of table.columns) {
      const own = normalized(column.name)
      if (kinds.includes(column.kind) && (own === name || own === prefix + name)) return column
    }
  return undefined
}
