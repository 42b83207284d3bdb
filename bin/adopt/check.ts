import type { Kysely } from 'kysely'
import { checkShape } from '../../db/blog-shape.ts'
import type { DatabaseProblem } from '../../db/content-problems.ts'
import { findProblems } from '../../db/problems.ts'
import type { Database } from '../../db/schema.ts'
import { findUnwatchedTables } from './unwatched.ts'

/**
 * What does not fit in an adopted blog: missing tables and views, and types; if these fit, tables that nothing watches,
 * and rows.
 */
export async function problemsOf(db: Kysely<Database>): Promise<DatabaseProblem[]> {
  const { missingTables, missingViews, problems } = await checkShape(db)
  const missing = [...missingTables, ...missingViews].map((subject) => ({
    subject,
    message: 'a table, a view or a column is missing: run "popular-posts adopt --apply"',
  }))
  const found = [...missing, ...problems]
  return found.length > 0 ? found : [...(await findUnwatchedTables(db)), ...(await findProblems(db))]
}
