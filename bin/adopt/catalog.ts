import { type Kysely, sql } from 'kysely'
import { ident, literal, normalized } from './names.ts'
import { DATES, SLUGS, TERM_NAMES, TITLES } from './roles.ts'

/** What a column can hold, as far as a proposal depends on it. `timestamp` has no time zone, `instant` has one. */
export type Kind =
  | 'integer'
  | 'number'
  | 'text'
  | 'boolean'
  | 'instant'
  | 'timestamp'
  | 'date'
  | 'uuid'
  | 'json'
  | 'array'
  | 'enum'
  | 'other'

/** A column of a host's table. */
export interface Column {
  name: string
  kind: Kind
  /** The type without its length, as PostgreSQL names it. */
  type: string
  isNullable: boolean
  /** Known values, as text: labels of an enum, literals of a check or of the default, values of the first rows;
   * of JSON, the keys of its texts, the most frequent one first. */
  values: readonly string[]
  /** The languages of a text that is JSON with a key for each, the one to show first. */
  languages?: readonly string[] | undefined
}

/** A column that refers to the key of a table, by a foreign key or by its name. */
export interface Reference {
  column: string
  /** The `id` of the table that it refers to. */
  table: string
  /** The column there. */
  to: string
  /** A condition on the row, as SQL: without it, the column refers to another table. */
  when?: string
}

/** A table of the host. */
export interface Table {
  /** `schema.name`: unique. */
  id: string
  schema: string
  name: string
  columns: readonly Column[]
  /** The columns of the primary key. */
  key: readonly string[]
  references: readonly Reference[]
}

const KINDS: readonly (readonly [RegExp, Kind])[] = [
  [/\[\]$/, 'array'],
  [/^(?:smallint|integer|bigint)$/, 'integer'],
  [/^(?:numeric|real|double precision)$/, 'number'],
  [/^(?:text|character varying|character|citext|"char"|name)$/, 'text'],
  [/^boolean$/, 'boolean'],
  [/^timestamp with time zone$/, 'instant'],
  [/^timestamp without time zone$/, 'timestamp'],
  [/^date$/, 'date'],
  [/^uuid$/, 'uuid'],
  [/^jsonb?$/, 'json'],
]

/** The kind of a type, by its name in PostgreSQL. */
export function kindOf(type: string, isEnum: boolean): Kind {
  return isEnum ? 'enum' : (KINDS.find(([pattern]) => pattern.test(type))?.[1] ?? 'other')
}

/** The texts in single quotes of an SQL expression. */
export function literalsIn(expression: string): string[] {
  return [...expression.matchAll(/'((?:[^']|'')*)'/g)].map(([, text = '']) => text.replaceAll("''", "'"))
}

interface Row {
  schema: string
  name: string
  columns: { name: string; type: string; isNullable: boolean; labels: string[] | null; sources: string[] }[]
  key: string[]
  references: { column: string; schema: string; name: string; to: string }[]
}

/** Reads the tables that the user can read, except those of a schema of this package. */
export async function readCatalog<DB>(db: Kysely<DB>, ownSchema: string): Promise<Table[]> {
  const { rows } = await sql<Row>`
    select nspname::text as schema, relname::text as name,
      (
        select coalesce(json_agg(json_build_object(
          'name', attname, 'isNullable', not attnotnull,
          'type', format_type(coalesce(nullif(typbasetype, 0), atttypid), null),
          'labels', (select json_agg(enumlabel order by enumsortorder) from pg_enum where enumtypid = atttypid),
          'sources', (select coalesce(json_agg(source), '[]') from (
            select pg_get_expr(adbin, adrelid) as source from pg_attrdef where adrelid = attrelid and adnum = attnum
            union all
            select pg_get_constraintdef(oid) from pg_constraint
            where contype = 'c' and conrelid = attrelid and conkey = array[attnum]
          ) as sources)
        ) order by attnum), '[]')
        from pg_attribute join pg_type on pg_type.oid = atttypid
        where attrelid = pg_class.oid and attnum > 0 and not attisdropped
      ) as columns,
      array(
        select attname::text from pg_constraint, unnest(conkey) with ordinality as part (number, place)
        join pg_attribute on attnum = number
        where contype = 'p' and conrelid = pg_class.oid and attrelid = conrelid order by place
      ) as key,
      (
        select coalesce(json_agg(json_build_object(
          'column', own.attname, 'schema', target_schema.nspname, 'name', target.relname, 'to', other.attname
        ) order by conname), '[]')
        from pg_constraint
        join pg_attribute as own on own.attrelid = conrelid and own.attnum = conkey[1]
        join pg_attribute as other on other.attrelid = confrelid and other.attnum = confkey[1]
        join pg_class as target on target.oid = confrelid
        join pg_namespace as target_schema on target_schema.oid = target.relnamespace
        where contype = 'f' and conrelid = pg_class.oid and cardinality(conkey) = 1
      ) as references
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where relkind in ('r', 'p') and not relispartition and has_table_privilege(pg_class.oid, 'select')
      and nspname <> ${ownSchema} and nspname <> 'information_schema' and nspname !~ '^pg_'
    order by nspname, relname`.execute(db)
  const tables: Table[] = []
  for (const { schema, name, columns, key, references } of rows) {
    const id = `${schema}.${name}`
    const kinds = columns.map((column) => kindOf(column.type, column.labels !== null))
    const sampled = columns.filter((column, index) => isSampled(column.name, kinds[index]))
    const values = await sample(db, { schema, name }, sampled)
    tables.push({
      id,
      schema,
      name,
      key,
      columns: columns.map((column, index) => ({
        name: column.name,
        kind: kinds[index] as Kind,
        type: column.type,
        isNullable: column.isNullable,
        values: [...new Set(column.labels ?? [...(values[column.name] ?? []), ...column.sources.flatMap(literalsIn)])],
      })),
      references: references.map((each) => ({
        column: each.column,
        table: `${each.schema}.${each.name}`,
        to: each.to,
      })),
    })
  }
  return tables
}

/** Columns whose values tell what a row is, and whether readers see it. */
const SAMPLED =
  /(?:^|_)(?:status|state|publishstate|type|kind|visibility|archetype|approved|path|permalink|url|uri|locale|langcode|language|field|published|draft|bundle|model|alias|taxonomy|vocabulary|live|public|visible)$/

function isSampled(name: string, kind: Kind | undefined): boolean {
  if (kind === 'json')
    return [...TITLES, ...SLUGS, ...TERM_NAMES].some((each) => `_${normalized(name)}`.endsWith(`_${each}`))
  return (kind === 'text' || kind === 'integer') && (SAMPLED.test(normalized(name)) || DATES.includes(normalized(name)))
}

/** Up to 30 short values of each column, in the first 10,000 rows. */
async function sample<DB>(
  db: Kysely<DB>,
  { schema, name }: { schema: string; name: string },
  columns: readonly { name: string; type: string }[],
): Promise<Record<string, string[]>> {
  if (columns.length === 0) return {}
  const from = `(select * from ${ident(schema)}.${ident(name)} limit 10000) as first_rows`
  const lists = columns.map(({ name: column, type }) => {
    // PostgreSQL cannot read the character zero, which the type json may have.
    const own = `first_rows.${ident(column)}`
    return kindOf(type, false) === 'json'
      ? `${literal(column)}, (select (array_agg(key order by times desc, key))[:30] from (
          select pair.key, count(*) as times
          from ${from}, ${type}_each(case when strpos(${own}::text, '\\u0000') = 0 and ${type}_typeof(${own}) = 'object' then ${own} else '{}' end) as pair
          where ${type}_typeof(pair.value) = 'string' group by pair.key
        ) as keys)`
      : `${literal(column)}, (array_agg(distinct left(${own}::text, 60)) filter (where ${own} is not null))[:30]`
  })
  const { rows } = await sql<{ values: Record<string, string[] | null> }>`
    select json_build_object(${sql.raw(lists.join(', '))}) as values
    from ${sql.raw(from)}`.execute(db)
  return Object.fromEntries(
    rows.flatMap(({ values }) => Object.entries(values).map(([key, list]) => [key, list ?? []])),
  )
}
