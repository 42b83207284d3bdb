import type { Column, Reference, Table } from './catalog.ts'
import { literal, normalized, nounOf, singular, withoutApp } from './names.ts'

/** Stems of columns that name a person: they refer to the table of users, if there is no table of that name. */
const PERSONS = ['author', 'user', 'owner', 'writer', 'creator', 'created_by', 'user_created', 'posted_by']

/** Tables of a blog have other rows of the same shape beside the published ones, which no reference means. */
const COPIES = new Set(['v', 'version', 'revision', 'history', 'draft', 'archive', 'log', 'backup', 'old'])

/** Whether a table has copies of rows: versions, drafts, logs. */
export function isCopy(name: string): boolean {
  return normalized(name)
    .split('_')
    .some((word) => COPIES.has(singular(word)))
}

/**
 * Adds the references that the database does not know of: columns with the name of a table (Rails and WordPress have no
 * foreign keys), pairs of an id and a type (`taggable_id`, `taggable_type`), and generic relations of Django.
 */
export function withReferences(tables: readonly Table[]): Table[] {
  return tables.map((table) => {
    const declared = new Set(table.references.map(({ column }) => column))
    const free = table.columns.filter(({ name }) => !declared.has(name))
    const references = [...table.references, ...polymorphic(tables, table), ...generic(tables, table)]
    for (const column of free) {
      if (references.some((each) => each.column === column.name)) continue
      const target = named(tables, table, column)
      if (target !== undefined) references.push({ column: column.name, table: target.id, to: target.key[0] as string })
    }
    return { ...table, references }
  })
}

/**
 * Adds the references of links to objects of which no column tells the class: in a blog, they are the posts.
 * The other column of such a link refers to a table.
 */
export function withObjects(tables: readonly Table[], posts: Table): Table[] {
  const [key = '', ...more] = posts.key
  return tables.map((table) => {
    const object = table.columns.find(({ name }) => ['object_id', 'objectid'].includes(normalized(name)))
    const hasClass = table.columns.some(({ name }) => /(?:^|_)(?:type|class|type_id)$/.test(normalized(name)))
    const isLink = table.references.some(({ column }) => column !== object?.name)
    const isKnown = table === posts || table.references.some(({ column }) => column === object?.name)
    if (object === undefined || hasClass || !isLink || isKnown || more.length > 0) return table
    return { ...table, references: [...table.references, { column: object.name, table: posts.id, to: key }] }
  })
}

/** The table that a column names, such as `author_id`. */
function named(tables: readonly Table[], table: Table, column: Column): Table | undefined {
  const stem = stemOf(table, column)
  if (stem === undefined) return undefined
  const noun = singular(stem)
  const fitting = tables.filter(
    (each) =>
      each.schema === table.schema &&
      each.key.length === 1 &&
      !isCopy(each.name) &&
      each.columns.some(({ name, kind }) => name === each.key[0] && kind === column.kind),
  )
  const bySuffix =
    shortest(
      fitting.filter(({ name }) => `_${singular(normalized(name))}`.endsWith(`_${noun}`) || nounOf(name) === noun),
    ) ?? fitting.find(({ columns }) => hasClass(columns, noun))
  return (
    bySuffix ?? (PERSONS.includes(stem) ? shortest(fitting.filter(({ name }) => nounOf(name) === 'user')) : undefined)
  )
}

/** The thing that a column refers to: `author` of `author_id`. A column that names a person needs no ending. */
function stemOf(table: Table, { name, kind }: Column): string | undefined {
  const own = normalized(name)
    .replace(/^cat_?id$/, 'category_id')
    .replace(/^(user|author|tag|post|category)id$/, '$1_id')
  const [, stem] = /^(.+?)_(?:id|uuid|uid|fk)$/.exec(own) ?? []
  const bare = withoutApp(table.name, stem ?? own)
  if (PERSONS.includes(bare)) return stem !== undefined || kind !== 'text' ? bare : undefined
  return stem
}

/** Rails: a table has the rows of several classes, whose names are in the column `type`. */
function hasClass(columns: readonly Column[], noun: string): boolean {
  const type = columns.find(({ name }) => name === 'type')
  return type?.values.some((value) => normalized(value) === noun) === true
}

/** Columns with an id and the name of its class, where these are not `taggable_id` and `taggable_type`: Odoo, Joomla. */
const CLASSES: Readonly<Record<string, string>> = {
  model: 'res_id',
  res_model: 'res_id',
  type_alias: 'content_item_id',
}

/** Rails: `taggable_id` with `taggable_type`, which has the name of a class. Strapi: `related_id`, `related_type`. */
function polymorphic(tables: readonly Table[], table: Table): Reference[] {
  return table.columns.flatMap((column) => {
    const [, stem] = /^(.+)_type$/.exec(column.name) ?? []
    const id = table.columns.find(({ name }) => name === (CLASSES[column.name] ?? `${stem}_id`))
    if (id === undefined) return []
    return column.values.flatMap((value) => {
      const target = ofClass(tables, table, value, stem)
      if (target === undefined) return []
      return [
        { column: id.name, table: target.id, to: target.key[0] as string, when: `${column.name} = ${literal(value)}` },
      ]
    })
  })
}

/**
 * The table of a class: `Post`, `Decidim::Blogs::Post` and `blog.post` by the last word or by all of them, and Joomla's
 * `com_content.article` by the component. A class of users that has no table is that of all users.
 */
function ofClass(tables: readonly Table[], table: Table, value: string, stem = ''): Table | undefined {
  const beside = tables.filter(({ schema, key }) => schema === table.schema && key.length === 1)
  const words = value.split(/[.:\\]+/).map(normalized)
  const [, component] = /^com_(\w+)\.article$/.exec(value) ?? []
  for (const name of [words.at(-1) as string, words.join('_')]) {
    const found = beside.find((each) => singular(normalized(each.name)) === singular(name))
    if (found !== undefined) return found
  }
  if (component !== undefined) return shortest(beside.filter(({ name }) => name.endsWith(`_${component}`)))
  return PERSONS.includes(withoutApp(table.name, stem)) && words.at(-1)?.includes('user') === true
    ? shortest(beside.filter(({ name }) => nounOf(name) === 'user'))
    : undefined
}

const shortest = (found: readonly Table[]) => found.toSorted((a, b) => a.name.length - b.name.length)[0]

/** Django: `object_id` of the model `content_type_id`, whose table is `app_model`. */
function generic(tables: readonly Table[], table: Table): Reference[] {
  const types = tables.find(({ name }) => name === 'django_content_type')
  const object = table.columns.find(({ name }) => name === 'object_id' || name === 'object_pk')
  if (types === undefined || object === undefined || !table.columns.some(({ name }) => name === 'content_type_id'))
    return []
  return tables
    .filter(({ key }) => key.length === 1)
    .map((target) => ({
      column: object.name,
      table: target.id,
      to: target.key[0] as string,
      when: `content_type_id = (select id from ${types.id} where app_label || '_' || model = ${literal(target.name)})`,
    }))
}
