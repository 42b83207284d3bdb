import type { Kysely } from 'kysely'
import type { Tables } from '../db/ranking.ts'

const TABLES = ['posts', 'authors', 'categories', 'tags', 'comments'] as const

/**
 * A Kysely instance with any tables. It names no type of Kysely, because Kysely 0.28 declares its classes twice, for `import`
 * and for `require`.
 */
export interface AnyKysely {
  /** Whether the instance is a transaction. */
  readonly isTransaction: boolean
  /** Returns the executor of queries. */
  getExecutor(): object
}

/**
 * Checks the host's Kysely instance: what was expected, and what came; `undefined`: it can be used. The queries of this
 * package run without the host's plugins, which may rename columns. A plugin that changes which rows a query reads would
 * silently be left out, so it is refused. Compiled queries show what plugins change. The schema of `withSchema` is that of
 * the host's tables, or of this package's: only the option `schema` can tell.
 */
export function databaseProblem(db: Kysely<Tables>, schema: string | undefined): string | undefined {
  if (typeof db.getExecutor !== 'function' || typeof db.withoutPlugins !== 'function')
    return 'expected a Kysely instance, got something else'
  if (db.isTransaction) return 'expected a Kysely instance, got a transaction, which ends before the app does'
  const plain = db.withoutPlugins()
  const sql = compile(plain, 'posts')
  if (sql !== 'select "slug" from "posts" where "slug" = $1')
    return `expected a Kysely instance with a dialect of PostgreSQL, got one of ${databaseOf(sql)}`
  const [, prefix = '', name = ''] = /from ("((?:[^"]|"")+)"\.)"posts"/.exec(compile(db, 'posts')) ?? []
  if (TABLES.some((table) => compile(db, table) !== compile(plain, table).replace(' from ', () => ` from ${prefix}`)))
    return (
      'expected a Kysely instance without plugins that change tables or conditions, got one with them: pass ' +
      'new Kysely({ dialect })'
    )
  if (name !== '' && schema === undefined)
    return (
      `expected a Kysely instance without withSchema, got one with withSchema('${name}'): pass the instance without it, ` +
      'or name the schema of the tables of this package in the option schema'
    )
  return undefined
}

/** The signs of SQL by which databases differ. A bundler may have changed the names of classes. */
const SIGNS: [RegExp, string][] = [
  [/`/, 'MySQL or MariaDB'],
  [/\?/, 'SQLite'],
  [/@1/, 'SQL Server'],
]

/** The name of the database that a compiled query is for. */
function databaseOf(query: string): string {
  return SIGNS.find(([sign]) => sign.test(query))?.[1] ?? 'another database'
}

function compile(db: Kysely<Tables>, table: (typeof TABLES)[number]): string {
  return db
    .selectFrom(table as 'posts')
    .where('slug', '=', '')
    .select('slug')
    .compile().sql
}
