import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { environmentSchema } from '../../service/config.ts'
import { optionsSchema } from '../../settings/options.ts'

interface Property {
  default?: unknown
  description?: string
  expected?: string
  minimum?: number
  maximum?: number
  type?: string
  anyOf?: object[]
}

const optionsFile = fileURLToPath(new URL('../../settings/options.ts', import.meta.url))

/** The document with the generated tables, between marks. */
export const DOCUMENT = fileURLToPath(new URL('../../docs/options.md', import.meta.url))

/** Replaces the tables in the text of the document. */
export function withTables(document: string): string {
  const tables = { options: optionsTable(), environment: environmentTable() }
  return Object.entries(tables).reduce((text, [name, table]) => {
    const place = new RegExp(`(<!-- ${name}: npm run docs -->\n).*?(<!-- end -->)`, 's')
    if (!place.test(text)) throw new Error(`Expected the marks of the table "${name}" in docs/options.md.`)
    return text.replace(place, (_all, begin, end) => `${begin}\n${table}\n\n${end}`)
  }, document)
}

function optionsTable(): string {
  const properties = optionsSchema.properties as Record<string, Property>
  const rows = described(readFileSync(optionsFile, 'utf8')).map(([name, description]) => {
    const property = properties[name] ?? {}
    return [name, shownDefault(property), expected(property), sentences(description)]
  })
  return table(['option', 'default', 'what it must be', ''], rows)
}

function environmentTable(): string {
  const descriptions = new Map(described(readFileSync(optionsFile, 'utf8')))
  const options = Object.entries(optionsSchema.properties as Record<string, Property>)
  const rows = Object.entries(environmentSchema.properties as Record<string, Property>).map(([name, property]) => {
    const [option = ''] = options.find(([, schema]) => schema === property) ?? []
    const description = property.description ?? sentences(descriptions.get(option) ?? '')
    return [name, shownDefault(property), expected(property), description]
  })
  return table(['variable', 'default', 'what it must be', ''], rows)
}

/** The names of the options with their docstrings. */
export function described(source: string): [string, string][] {
  const [, members = ''] = /export interface PopularPostsOptions \{([\s\S]*?)\n\}/.exec(source) ?? []
  return [...members.matchAll(/\/\*\*([\s\S]*?)\*\/\s+(\w+)\?:/g)].map(([, comment = '', name = '']) => [
    name,
    comment.replace(/\s*\n\s*\*?\s*/g, ' ').trim(),
  ])
}

/** A docstring without the default, which has its own column. */
function sentences(description: string): string {
  const rest = description
    .replace(/Default none: [^.]*\.|Default [^.;]*[.;]/, '')
    .replace(/ {2,}/g, ' ')
    .trim()
  return rest.charAt(0).toUpperCase() + rest.slice(1)
}

function shownDefault(property: Property): string {
  const value = property.default
  return value === undefined ? '' : `\`${value === '' ? "''" : Array.isArray(value) ? '[]' : String(value)}\``
}

/** JSON Schema does not describe functions: an option without a type is a function. */
function expected({ expected, minimum, maximum, type, anyOf }: Property): string {
  if (type === undefined && anyOf === undefined && expected === undefined) return 'a function'
  return expected ?? (minimum === undefined ? '' : `an integer from ${minimum} to ${maximum}`)
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [
    line(head),
    line(head.map(() => '---')),
    ...rows.map(([name, ...cells]) => line([`\`${name}\``, ...cells])),
  ].join('\n')
}
