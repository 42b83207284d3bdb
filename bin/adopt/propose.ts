import type { Column, Table } from './catalog.ts'
import { commentsOf } from './comments.ts'
import { columnOf, createUses, type Expression, isTrue, type Uses, wrap } from './expression.ts'
import { chosen, identityOf, languageOf, minutesOf, slugOf, titleOf, urlOf } from './fields.ts'
import { findColumn, findPosts, findRef, type Part, type Ref, type Source, sourceOf } from './find-posts.ts'
import { isNamed, type Link, linksOf, quoted } from './links.ts'
import { ident } from './names.ts'
import { peopleOf } from './people.ts'
import { pictureOf } from './pictures.ts'
import { PLAIN_TEXT } from './plain-text.ts'
import { ofProduct } from './products.ts'
import type { Choices, PostColumn, Proposal, Question, Watch } from './proposal.ts'
import { withObjects, withReferences } from './references.ts'
import * as roles from './roles.ts'
import { type State, stateOf } from './state.ts'
import { kindOf, query, type Terms, type TermsContext, termsOf } from './terms.ts'
import { asInstant, dateOf, datesOf, lacksZone } from './times.ts'
import { languageOfTexts, withTranslations } from './translations.ts'
import { mergeWatches, watchesOfOthers, watchOf } from './watches.ts'

/**
 * Proposes how the tables of a blog become the views of this package.
 * @returns a question, where the tables do not tell: its answer belongs in the choices of the next call.
 */
export function propose(catalog: readonly Table[], choices: Choices): Proposal | Question {
  const referring = withTranslations(withReferences(catalog), choices.language)
  const product = choices.posts === undefined ? ofProduct(referring, choices) : undefined
  if (product !== undefined) return product
  const table = tableOfPosts(referring, choices)
  if ('flag' in table) return table
  const tables = withObjects(referring, table)
  const source = sourceOf(table, tables)
  const zone = choices.timeZone ?? 'UTC'
  const identity = identityOf(source, choices)
  if ('flag' in identity) return identity
  const ofTexts = languageOfTexts(source, choices)
  if (typeof ofTexts === 'object') return ofTexts
  const title = titleOf(source, choices)
  if ('flag' in title) return title
  const slug = slugOf(source, choices, title)
  if ('flag' in slug) return slug
  const state = stateOf(source, choices, zone)
  if ('flag' in state) return state
  const date = timeOf(source, choices, state, zone)
  if ('flag' in date) return date
  const language = languageOf(source, choices, (ref) => localeQuery(tables, ref), ofTexts)
  if (language !== undefined && 'flag' in language) return language

  const uses = createUses()
  const { show } = uses
  const id = identity.expression.write(show)
  const where = [...identity.filters, ...state.filters].map((each) => each.write(show))
  const from = fromOf(source)
  const links = linksOf(source, tables)
  const linkQuery: TermsContext['linkQuery'] = ({ table, reference }, select, conditions) =>
    linkedTo(source, identity.isKey, { id, from, where })({ table, reference }, select, conditions)
  const common = { source, tables, links, uses, linkQuery, posts: { from, id, where } }
  const people = peopleOf({ ...common, chosen: choices.authors })
  const tags = termsOf({
    ...common,
    idName: 'tag_id',
    nouns: roles.NOUNS.tags,
    columns: roles.TAG_COLUMNS,
    chosen: choices.tags,
  })
  const categories = termsOf({
    ...common,
    links: links.filter(
      ({ table, target }) =>
        choices.categories !== undefined || !isUsed(tags, table) || kindOf(target, roles.NOUNS.categories).length > 0,
    ),
    idName: 'category_id',
    nouns: roles.NOUNS.categories,
    columns: roles.CATEGORY_COLUMNS,
    chosen: choices.categories,
  })
  const comments = commentsOf({ source, tables, chosen: choices.comments, linkQuery })
  const picture = pictureOf({ source, tables, links, uses, chosen: choices.image })
  if ('flag' in picture) return picture
  const url = urlOf(source, choices.url, { slug, id: identity.expression, date, zone })
  if ('flag' in url) return url
  const html = findRef(source, roles.HTML_EXCERPTS, roles.KINDS.text)
  const excerpt = html ?? findRef(source, roles.EXCERPTS, roles.KINDS.text)
  const isPublished = [...state.published, ...state.expiry].map((each) => each.write(show)).join(' and ')
  const time = date.write(show)
  const isPrivate = [...state.isPrivate.map((each) => each.write(show)), ...closedShelf(categories, uses)]
  const columns: Partial<Record<PostColumn, string>> = {
    id,
    slug: slug.write(show),
    title: title.write(show),
    url: url.write(show),
    excerpt:
      excerpt === undefined
        ? "''"
        : `coalesce(${html === undefined ? show(excerpt) : `popular_posts_schema.plain_text(${show(html)})`}, '')`,
    author_id: people.authorId ?? 'null::text',
    published_at: isPublished === '' ? time : `case when ${isPublished} then ${time} end`,
    is_private: isPrivate.join(' or ') || 'false',
    ...picture.columns,
    reading_minutes: minutesOf(source).write(show),
    ...(language === undefined ? {} : { language: language.write(show) }),
    ...(people.coAuthorIds === undefined ? {} : { co_author_ids: people.coAuthorIds }),
  }
  const hard = [slug, url].flatMap(({ refs }) => refs)
  const conditions = {
    live: [
      ...identity.filters,
      ...state.filters,
      ...state.published,
      ...state.isPrivate.map((each) => wrap(each, (sql) => `not (${sql})`)),
    ],
    date,
  }
  const posts = { columns, from: picture.join === undefined ? from : `${from}\n${picture.join}`, where }
  const views = {
    ...some('authors', people.authors),
    ...some('categories', categories.terms),
    ...some('tags', tags.terms),
    ...some('post_categories', categories.links),
    ...some('post_tags', tags.links),
    ...some('comments', comments.comments),
  }
  const watches = mergeWatches([
    ...source.parts.map((part) => watchOf(part, uses, hard, conditions)),
    ...[people, tags, categories, comments, picture].flatMap(({ watches }): readonly Watch[] => watches),
  ])
  const queries = [...Object.values(columns), posts.from, ...where, ...Object.values(views)]
  return {
    postId: identity.postId,
    prelude: html === undefined ? [] : [PLAIN_TEXT],
    posts,
    views,
    watches: [...watches, ...watchesOfOthers(queries, tables, watches)],
    notes: [...identity.notes, ...notesOf(source, choices)],
  }
}

const some = <Name extends string>(name: Name, sql: string | undefined) => (sql === undefined ? {} : { [name]: sql })

function tableOfPosts(tables: readonly Table[], { posts }: Choices): Table | Question {
  const { best, candidates } = findPosts(tables)
  const found = posts === undefined ? best : tables.find((table) => isNamed(table, posts))
  if (found !== undefined) return found
  return {
    flag: 'posts',
    sentence:
      posts === undefined
        ? 'Cannot tell which table has the posts:'
        : `There is no table ${posts} that the user can read:`,
    candidates: (candidates.length > 0 ? candidates.map(({ table }) => table) : tables).map(({ id }) => id),
  }
}

function timeOf(source: Source, choices: Choices, state: State, zone: string): Expression | Question {
  const given = chosen('date', choices, source)
  if (given !== undefined && 'flag' in given) return given
  const dates = datesOf(source)
  if (given !== undefined) {
    const ref = columnOf(given)
    return ref === undefined ? given : asInstant(ref, zone)
  }
  return (
    dateOf(dates, state.published.length > 0, zone) ?? {
      flag: 'date',
      sentence: 'Found no time of publication:',
      candidates: source.parts.flatMap(({ table }) =>
        table.columns.filter(({ kind }) => /^(?:instant|timestamp|date|integer)$/.test(kind)).map(({ name }) => name),
      ),
    }
  )
}

function fromOf({ parts, joins }: Source): string {
  return parts
    .map(({ alias, table }, index) => {
      const named = `${quoted(table)} as ${alias}`
      return index === 0 ? named : `join ${named} on ${joins[index - 1]}`
    })
    .join('\n')
}

/** Writes queries of rows that refer to posts: with the id that they have, or with that of the view of posts. */
function linkedTo(
  source: Source,
  isKey: boolean,
  posts: { id: string; from: string; where: readonly string[] },
): TermsContext['linkQuery'] {
  return ({ table, reference }, select, conditions) => {
    const part = source.parts.find((each) => each.table.id === reference.table) as Part
    const column = `link.${ident(reference.column)}`
    const kindOf = (of: Table, name: string) => of.columns.find((each) => each.name === name)?.kind
    const kind = kindOf(part.table, reference.to)
    const isSame = kindOf(table, reference.column) === kind
    const cast = kind === 'uuid' ? 'uuid' : kind === 'text' ? 'text' : 'bigint'
    const own = isSame && kind !== 'number' ? column : `${column}::${cast}`
    if (isKey) return query(`${own} as post_id, ${select}`, `${quoted(table)} as link`, conditions)
    const joined = `${posts.from}\njoin ${quoted(table)} as link on ${own} = ${part.alias}.${ident(reference.to)}`
    return query(`${posts.id} as post_id, ${select}`, joined, [...posts.where, ...conditions])
  }
}

const isUsed = (terms: Terms, table: Link['table']) =>
  terms.watches.some((watch) => watch.table === quoted(table)) && table.references.length < 3

/** A post is private with its category, where a flag of the category says so: in Joomla, it is not published. */
function closedShelf({ direct }: Terms, uses: Uses): string[] {
  if (direct === undefined) return []
  const shelf = (column: Column) => ({ alias: 'shelf', table: direct.table, column })
  const flag = findColumn(direct.table, roles.PRIVATE_FLAGS, ['boolean'])
  const open = direct.ref.column.name === 'catid' ? findColumn(direct.table, ['published'], ['integer']) : undefined
  if (flag === undefined && open === undefined) return []
  const conditions = [
    ...(flag === undefined ? [] : [uses.show(shelf(flag))]),
    ...(open === undefined ? [] : [`not (${isTrue(shelf(open)).write(uses.show)})`]),
  ]
  const closed = conditions.length > 1 ? `(${conditions.join(' or ')})` : conditions[0]
  const key = `shelf.${ident(direct.table.key[0] as string)}`
  return [`exists (select from ${quoted(direct.table)} as shelf where ${key} = ${uses.show(direct.ref)} and ${closed})`]
}

/** The code of the language in the table that a column refers to. */
function localeQuery(tables: readonly Table[], ref: Ref): string | undefined {
  const reference = ref.table.references.find(({ column }) => column === ref.column.name)
  const table = tables.find(({ id }) => id === reference?.table)
  const code = table && findColumn(table, ['language_code', 'code', 'locale', 'language', 'iso_code'], roles.KINDS.text)
  if (reference === undefined || table === undefined || code === undefined) return undefined
  return `(select locale.${ident(code.name)} from ${quoted(table)} as locale where locale.${ident(reference.to)} = $id)`
}

const SITES = ['site_id', 'blog_id', 'tenant_id', 'website_id', 'instance_id', 'organization_id']
const POST_KINDS = ['taxonomy_id', 'type_id', 'post_type_id', 'kind_id']

function notesOf(source: Source, choices: Choices): string[] {
  const [{ table }] = source.parts as [Part]
  const type = findRef(source, roles.TYPES, ['text', 'enum'])
  const site = findRef(source, SITES, roles.KINDS.id)
  const kind = findRef(source, POST_KINDS, roles.KINDS.id)
  const hasTypes =
    type !== undefined &&
    type.column.values.length > 1 &&
    !type.column.values.some((value) => roles.POST_TYPES.includes(value.toLowerCase()))
  return [
    ...(hasTypes && choices.where === undefined
      ? [`The column ${type.column.name} has several values, all of which are listed: --where selects some.`]
      : []),
    ...(site !== undefined && site.column !== site.language && choices.where === undefined
      ? [
          `The posts of all values of ${site.column.name} are listed: --where "${site.column.name} = …" selects one site.`,
        ]
      : []),
    ...(kind !== undefined && choices.where === undefined
      ? [
          `The rows of all values of ${kind.column.name} are listed, perhaps also pages: --where "${kind.column.name} = …" selects one kind.`,
        ]
      : []),
    ...(choices.url === undefined ? ['The address of a post is guessed: --url /blog/{slug} sets it.'] : []),
    ...(lacksZone(table, roles.DATES) && choices.timeZone === undefined
      ? ['Times without a time zone are read as UTC: --time-zone sets another one.']
      : []),
  ]
}
