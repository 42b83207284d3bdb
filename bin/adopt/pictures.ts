import type { Table } from './catalog.ts'
import { columnOf, type Uses } from './expression.ts'
import { chosen as chosenExpression } from './fields.ts'
import { findColumn, findRef, type Ref, type Source } from './find-posts.ts'
import { conditionsOf, type Link, linksTo, pictureField, positionOf, quoted, referredTables } from './links.ts'
import { ident, isOneOf, normalized } from './names.ts'
import type { PostColumn, Question, Watch } from './proposal.ts'
import * as roles from './roles.ts'

/** The columns of the picture, and what must be joined for them; empty if there is none. */
export interface Picture {
  columns: Partial<Record<PostColumn, string>>
  join?: string
  watches: readonly Watch[]
}

interface PictureContext {
  source: Source
  tables: readonly Table[]
  links: readonly Link[]
  uses: Uses
  /** What the user says: a column, an expression, or `none`. */
  chosen: string | undefined
}

const FILES = ['file', 'image', 'medium', 'media', 'asset', 'upload', 'photo', 'picture', 'attachment']

/** Finds the picture of a post: a column with its address, JSON, a column that refers to a file, or a table of links. */
export function pictureOf(context: PictureContext): Picture | Question {
  const { source, links, uses, chosen, tables } = context
  if (chosen === 'none') return { columns: {}, watches: [] }
  const given = chosenExpression('image', chosen === undefined ? {} : { image: chosen }, source)
  if (given !== undefined && 'flag' in given) return given
  if (given !== undefined && columnOf(given) === undefined)
    return { columns: { image_url: `nullif((${given.write(uses.show)})::text, '')` }, watches: [] }
  const names =
    chosen === undefined ? roles.IMAGES.flatMap((name) => [name, `${name}_url`, `${name}_src`]) : [normalized(chosen)]
  const direct = fileOf(context, names)
  if (direct !== undefined) {
    const { ref, table: file } = direct
    return picture(
      file,
      tables,
      uses,
      `left join ${quoted(file)} as picture on picture.${ident(file.key[0] as string)} = ${uses.show(ref)}`,
    )
  }
  const column = findRef(source, chosen === undefined ? [...names, 'image_url'] : names, ['text', 'json'])
  if (column !== undefined) return column.column.kind === 'json' ? json(uses.show(column)) : address(context, column)
  const [link] = linksTo(links, FILES, undefined)
  if (link === undefined) return { columns: {}, watches: [] }
  const part = source.parts.find(({ table }) => table.id === link.post.table) as Source['parts'][number]
  const field = pictureField(link.table)
  const position = positionOf(link.table)
  const conditions = [
    `link.${ident(link.post.column)} = ${part.alias}.${ident(link.post.to)}`,
    ...conditionsOf(link),
    ...(field === undefined ? [] : [field]),
  ]
  const lateral = `left join lateral (
  select file.* from ${quoted(link.table)} as link join ${quoted(link.target)} as file on file.${ident(link.to.to)} = link.${ident(link.to.column)}
  where ${conditions.join(' and ')}
  order by link.${ident(position?.name ?? link.to.column)} limit 1
) as picture on true`
  const { watches, ...found } = picture(link.target, tables, uses, lateral)
  return { ...found, watches: [...watches, { table: quoted(link.table), live: link.post.when }] }
}

/** The table of files that a column of the posts refers to. */
function fileOf({ source, tables }: PictureContext, names: readonly string[]): { table: Table; ref: Ref } | undefined {
  const files = referredTables(source, tables).filter(({ table }) => isOneOf(table.name, FILES))
  const found = (name: string) => files.find(({ ref }) => [name, `${name}_id`].includes(normalized(ref.column.name)))
  return names.map(found).find((file) => file !== undefined)
}

/** The columns of a file. Its name is below the folder of the files of Django, or of Directus. */
function picture(file: Table, tables: readonly Table[], uses: Uses, join: string): Picture {
  const show = (names: readonly string[], kinds: Parameters<typeof findColumn>[2]) => {
    const column = findColumn(file, names, kinds)
    return column === undefined ? undefined : uses.show({ alias: 'picture', table: file, column })
  }
  const path = show(['file', 'file_path', 'filename', 'key', 'path'], ['text'])
  const url =
    file.name === 'directus_files'
      ? `'/assets/' || picture.id`
      : (show(['url', 'public_url', 'src', 'file_url', 'location'], ['text']) ??
        (path === undefined ? undefined : inFolder(path, tables)))
  if (url === undefined) return { columns: {}, watches: [] }
  const number = (name: string) => show([name], ['integer', 'number'])
  const [width, height] = [number('width'), number('height')]
  const alt = show(['alt', 'alternative_text', 'alt_text', 'description', 'caption', 'title'], ['text'])
  return {
    join,
    columns: {
      image_url: url,
      ...(width === undefined ? {} : { image_width: `${width}::integer` }),
      ...(height === undefined ? {} : { image_height: `${height}::integer` }),
      ...(alt === undefined ? {} : { image_alt: `coalesce(${alt}, '')` }),
    },
    watches: [{ table: quoted(file), columns: uses.of(file.id) }],
  }
}

/** Django stores the name of a file below MEDIA_URL. */
function inFolder(path: string, tables: readonly Table[]): string {
  const isDjango = tables.some(({ name }) => name === 'django_migrations')
  return isDjango ? `'/media/' || nullif(${path}, '')` : `nullif(${path}, '')`
}

function address({ source, uses, tables }: PictureContext, ref: Ref): Picture {
  const stem = normalized(ref.column.name).replace(/_(?:url|src)$/, '')
  const beside = (suffixes: readonly string[], kinds: Parameters<typeof findRef>[2]) => {
    const found = findRef(
      source,
      suffixes.flatMap((suffix) => [`${stem}_${suffix}`, `image_${suffix}`]),
      kinds,
    )
    return found && uses.show(found)
  }
  const [width, height] = [beside(['width'], ['integer']), beside(['height'], ['integer'])]
  const alt = beside(['alt', 'alt_text', 'caption'], ['text'])
  return {
    columns: {
      image_url: ref.column.name.endsWith('url') ? `nullif(${uses.show(ref)}, '')` : inFolder(uses.show(ref), tables),
      ...(width === undefined ? {} : { image_width: width }),
      ...(height === undefined ? {} : { image_height: height }),
      ...(alt === undefined ? {} : { image_alt: `coalesce(${alt}, '')` }),
    },
    watches: [],
  }
}

function json(column: string): Picture {
  const number = (name: string) =>
    `case when ${column} ->> '${name}' ~ '^[0-9]{1,5}$' then (${column} ->> '${name}')::integer end`
  return {
    columns: {
      image_url: `coalesce(${column} ->> 'url', ${column} ->> 'src')`,
      image_width: number('width'),
      image_height: number('height'),
      image_alt: `coalesce(${column} ->> 'alt', '')`,
    },
    watches: [],
  }
}
