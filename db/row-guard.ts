import { type Kysely, type QueryCreator, sql } from 'kysely'
import { codeOf } from '../lib/errors.ts'
import { loggedError, ofOwnQuery } from '../lib/logged-error.ts'
import type { Logger } from '../lib/logger.ts'
import type { Tables } from './ranking.ts'
import type { BlogReader } from './schema.ts'

/** Runs a query that reads the blog: see {@link createRowGuard}. */
export type RowGuard = <T>(db: Kysely<Tables>, query: (reader: BlogReader) => Promise<T>) => Promise<T>

/** The relations of the blog, each with the column that names a row, or the post that the row belongs to. */
const KEYS = {
  posts: 'id',
  authors: 'id',
  categories: 'id',
  tags: 'id',
  post_categories: 'post_id',
  post_tags: 'post_id',
  comments: 'post_id',
  post_aliases: 'post_id',
} as const
type Relation = keyof typeof KEYS
type Hidden = ReadonlyMap<Relation, readonly string[]>

/** Searches for unreadable rows take at most this share of the time of one connection. */
const SEARCH_SHARE = 0.1
/** The limit of one search, in statements. To find one row of 10,000 takes about 35 statements. */
const MAX_STATEMENTS = 400

/**
 * Creates a guard for queries. A view over a blog's own tables may have an expression that fails for a row, such as
 * `(cover ->> 'width')::integer` for the text `wide`; then every query fails that reads the row. The guard finds such
 * rows by halves, logs the key of each once, and runs the query again without them.
 *
 * Each query is first tried with all rows, so a row that is corrected returns at the next query.
 */
export function createRowGuard(log: Pick<Logger, 'warn'>): RowGuard {
  const logged = new Set<string>()
  let hidden: Hidden = new Map()
  let nextSearchAtMs = 0
  let running: Promise<void> | undefined

  async function search(db: Kysely<Tables>, cause: unknown): Promise<void> {
    const startedAtMs = performance.now()
    const { code, message } = loggedError(cause)
    const found = new Map<Relation, readonly string[]>()
    const budget = { statements: MAX_STATEMENTS }
    for (const relation of Object.keys(KEYS) as Relation[]) {
      const keys = await unreadableKeys(db, relation, budget)
      if (keys.length > 0) found.set(relation, keys)
      for (const subject of keys) {
        const name = `${relation} ${subject}`
        if (!logged.has(name))
          log.warn(
            { subject, relation, code, reason: message },
            'popular posts: a row of a view cannot be read, so lists do not have it: correct its values, or the expression of the view that fails for them',
          )
        logged.add(name)
      }
    }
    hidden = found
    const nowMs = performance.now()
    nextSearchAtMs = nowMs + (nowMs - startedAtMs) / SEARCH_SHARE
  }

  return async function read(db, query) {
    try {
      return await query(db)
    } catch (error) {
      ofOwnQuery(error)
      if (!isCausedByRow(error)) throw error
      if (performance.now() >= nextSearchAtMs)
        running ??= search(db, error).finally(() => {
          running = undefined
        })
      await running
      if (hidden.size === 0) throw error
      return query(without(db, hidden))
    }
  }
}

/** Whether a value of a row can be the cause: a data exception, an error that a function raises, or too many rows. */
function isCausedByRow(error: unknown): boolean {
  return /^(?:21|22|38|39|P0)/.test(codeOf(error))
}

/** The same relations without the hidden rows. */
function without(db: Kysely<Tables>, hidden: Hidden): BlogReader {
  let reader: QueryCreator<Tables> = db
  for (const [relation, keys] of hidden) {
    // Materialized: an expression that fails is computed after the condition on the key.
    reader = reader.with(
      (cte) => cte(relation).materialized(),
      (all) =>
        all
          .selectFrom(relation)
          .selectAll()
          .where(sql<boolean>`${keyOf(relation)} <> all(${keys}::text[])`),
    ) as unknown as QueryCreator<Tables>
  }
  return reader
}

function keyOf(relation: Relation) {
  return sql`${sql.ref(`${relation}.${KEYS[relation]}`)}::text`
}

/** The keys of the rows that cannot be read, found by halves of the hashes of keys. */
async function unreadableKeys(
  db: Kysely<Tables>,
  relation: Relation,
  budget: { statements: number },
): Promise<string[]> {
  const found: string[] = []
  const parts = [{ bits: 0, value: 0n }]
  for (const { bits, value } of parts) {
    if (budget.statements === 0) return found
    budget.statements -= 1
    const isIn = sql<boolean>`hashtextextended(${keyOf(relation)}, 0) & ${String(2n ** BigInt(bits) - 1n)}::bigint = ${String(value)}::bigint`
    if (await isReadable(db, relation, isIn)) continue
    const keys = await keysOf(db, relation, isIn)
    if (keys.length < 2) found.push(...keys)
    else parts.push({ bits: bits + 1, value }, { bits: bits + 1, value: value + 2n ** BigInt(bits) })
  }
  return found
}

async function isReadable(db: Kysely<Tables>, relation: Relation, isIn: ReturnType<typeof sql<boolean>>) {
  try {
    // `offset 0`: the rows are chosen before their expressions are computed.
    await sql`select count(each_row) from (select * from ${sql.table(relation)} where ${isIn} offset 0) as each_row`.execute(
      db,
    )
    return true
  } catch (error) {
    // An adopted blog may lack the view of earlier slugs.
    if (relation === 'post_aliases' && codeOf(error).startsWith('42')) return true
    if (!isCausedByRow(error)) throw error
    return false
  }
}

/** Up to two keys. */
async function keysOf(db: Kysely<Tables>, relation: Relation, isIn: ReturnType<typeof sql<boolean>>) {
  const { rows } = await sql<{ key: string }>`
    select distinct ${keyOf(relation)} as key from ${sql.table(relation)} where ${isIn} limit 2`.execute(db)
  return rows.map(({ key }) => key)
}
