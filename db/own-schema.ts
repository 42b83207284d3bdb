import {
  type CommonTableExpressionNameNode,
  type CommonTableExpressionNode,
  type Kysely,
  type KyselyPlugin,
  OperationNodeTransformer,
  type ReferenceNode,
  type RootOperationNode,
  sql,
  TableNode,
} from 'kysely'
import type { Database } from './schema.ts'

/** The schema of an adopted blog, unless another one is named. */
export const ADOPTED_SCHEMA = 'popular_posts'

/** No schema of the database has tables of this package. */
export class TablesMissing extends Error {
  override readonly name = 'TablesMissing'
  /** SQLSTATE `undefined_table`. */
  readonly code = '42P01'
  constructor() {
    super(
      `expected the tables of this package in the search_path or in the schema ${ADOPTED_SCHEMA}, found none: run "npx popular-posts migrate", for a blog with its own tables with --adopt, or name their schema in the option schema (DATABASE_SCHEMA)`,
    )
  }
}

/** Returns the schema of this package's tables; `undefined`: names are looked up in the search_path. May throw. */
export type OwnSchema = () => string | undefined

/** A table, a view or a function of this package. */
export type OwnName =
  | keyof Database
  | 'popular_posts_announce'
  | 'popular_posts_change'
  | 'popular_posts_migration'
  | 'popular_posts_watch_failure'

/** All names of tables, views and functions in queries: the value is of no use. */
const OWN_NAMES: Record<OwnName, true> = {
  authors: true,
  categories: true,
  comments: true,
  feed_posts: true,
  popular_posts_announce: true,
  popular_posts_change: true,
  popular_posts_migration: true,
  popular_posts_site: true,
  popular_posts_watch_failure: true,
  post_aliases: true,
  post_categories: true,
  post_tags: true,
  post_views_batch: true,
  post_views_daily: true,
  post_views_hourly: true,
  post_views_import: true,
  post_views_import_count: true,
  post_views_log_chunk: true,
  post_views_log_import: true,
  post_views_log_visits: true,
  post_views_total: true,
  post_views_touch: true,
  post_views_window: true,
  posts: true,
  site_facts: true,
  tags: true,
}

/**
 * Returns the instance without its plugins, which are for the queries of the host, and with one plugin of this package, which writes the schema before each name of this package, so that a host may
 * have tables of the same names in its search_path. Raw SQL names them by `sql.table`.
 */
export function inOwnSchema<DB>(db: Kysely<DB>, schema: OwnSchema): Kysely<DB> {
  return db.withoutPlugins().withPlugin(schemaPlugin(schema))
}

function schemaPlugin(schema: OwnSchema): KyselyPlugin {
  const qualifier = new Qualifier(schema)
  return {
    transformQuery: ({ node }) => qualifier.qualify(node),
    transformResult: async ({ result }) => result,
  }
}

class Qualifier extends OperationNodeTransformer {
  readonly #schema: OwnSchema
  /** The names of own tables that are queries of the statement: see `row-guard.ts`. */
  #replaced = new Set<string>()

  constructor(schema: OwnSchema) {
    super()
    this.#schema = schema
  }

  qualify(node: RootOperationNode): RootOperationNode {
    const { expressions = [] } = ('with' in node && node.with) || {}
    this.#replaced = new Set(expressions.map(nameOf))
    return this.transformNode(node)
  }

  protected override transformTable(node: TableNode): TableNode {
    const { name } = node.table.identifier
    if (!Object.hasOwn(OWN_NAMES, name) || this.#replaced.has(name)) return node
    const schema = this.#schema()
    return schema === undefined ? node : TableNode.createWithSchema(schema, name)
  }

  /** `posts.id` is a column of `popular_posts.posts`, too. */
  protected override transformReference(node: ReferenceNode): ReferenceNode {
    return node
  }

  protected override transformCommonTableExpressionName(
    node: CommonTableExpressionNameNode,
  ): CommonTableExpressionNameNode {
    return node
  }

  /** In the query that replaces a table, the name is that of the table. */
  protected override transformCommonTableExpression(node: CommonTableExpressionNode): CommonTableExpressionNode {
    this.#replaced.delete(nameOf(node))
    const transformed = super.transformCommonTableExpression(node)
    this.#replaced.add(nameOf(node))
    return transformed
  }
}

function nameOf({ name }: CommonTableExpressionNode): string {
  return name.table.table.identifier.name
}

/** The name of a table or view of this package as a text, which waits for no lock. `sql.table` writes its schema. */
const nameAsText = (name: OwnName) => sql`$own$${sql.table(name)}$own$`

/** A query for the id of the schema that has the counters. */
const OWN_NAMESPACE = sql`(
  select relnamespace from pg_class where oid = ${nameAsText('post_views_total')}::regclass
)`

/** A query for the id of a table or view of this package, in `pg_class`; no row: there is none. */
export function ownRelation(name: OwnName) {
  return sql`(select oid from pg_class where relname = ${name}::name and relnamespace = ${OWN_NAMESPACE})`
}

/** A query for the same id; no row if the name means something else in a statement: a query of it, or a table of another schema. */
export function namedRelation(name: OwnName) {
  return sql`(select oid from pg_class where oid = ${ownRelation(name)} and oid = to_regclass(${nameAsText(name)}))`
}

/**
 * A query for a digest of the ids of all indexes of this package's tables; null while the tables have none. A restore creates
 * each index again, after the rows of its table.
 */
export const OWN_INDEXES = sql`(
  select md5(string_agg(indexrelid::text, ' ' order by indexrelid)) from pg_index where indrelid in (
    select oid from pg_class where relnamespace = ${OWN_NAMESPACE} and relname = any(${Object.keys(OWN_NAMES)}::name[])
  )
)`

/** Whether a table or a view of this package exists. */
export async function hasOwnTable<DB>(db: Kysely<DB>, name: OwnName): Promise<boolean> {
  const { rows } = await sql`select where to_regclass(${nameAsText(name)}) is not null`.execute(db)
  return rows.length > 0
}

/** A schema that has tables of this package. */
export interface FoundSchema {
  name: string
  /** Whether the search_path has these tables. */
  isInPath: boolean
}

/**
 * Finds the schemas that have the counters: the one that the search_path names, and `popular_posts`.
 * @returns the first one is the one to use.
 * @throws the error of PostgreSQL.
 */
export async function findOwnSchemas<DB>(db: Kysely<DB>): Promise<FoundSchema[]> {
  const { rows } = await sql<{ name: string; isInPath: number }>`
    select nspname::text as name, (pg_class.oid = path.id)::int as "isInPath"
    from (select to_regclass('post_views_total') as id) as path, pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where pg_class.oid = path.id or (relname = 'post_views_total' and nspname = ${ADOPTED_SCHEMA})
    order by 2 desc nulls last`.execute(db)
  return rows.map(({ name, isInPath }) => ({ name, isInPath: Number(isInPath) === 1 }))
}

/** Whether the database has a schema of this name. */
export async function hasSchema<DB>(db: Kysely<DB>, name: string): Promise<boolean> {
  const { rows } = await sql`select from pg_namespace where nspname = ${name}`.execute(db)
  return rows.length > 0
}
