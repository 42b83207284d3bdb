import { type Kysely, sql } from 'kysely'
import { codeOf, messageOf, StartupError } from '../lib/errors.ts'
import { findPostsBySlug } from './posts-by-slug.ts'
import { findPopularPosts, type Tables } from './ranking.ts'

const UNDEFINED_FUNCTION = '42883'
const NOT_ALLOWED = '42501'

/**
 * Checks that the views over a blog's own tables have the columns and types that the queries of this package expect.
 * @throws StartupError with PostgreSQL's message, if they do not.
 */
export async function checkHostViews(db: Kysely<Tables>): Promise<void> {
  try {
    // Uses every view and every column, and returns no row.
    const filters = { category: [''], tag: [''], author: [''], language: '' }
    await findPopularPosts(db, { sort: 'views', days: 2, limit: 0, timeZone: 'UTC', ...filters })
    await findPostsBySlug(db, ['-'], sql<boolean>`false`)
  } catch (error) {
    // Class 42: something is missing, or has another type.
    if (!codeOf(error).startsWith('42') || codeOf(error) === NOT_ALLOWED) throw error
    const hint =
      codeOf(error) === UNDEFINED_FUNCTION
        ? 'ids must be of one type in all of them, and of the type given to "migrate --adopt --post-id"'
        : 'see docs/adopting.md for what they need'
    throw new StartupError(`The views over your tables do not fit (${messageOf(error)}): ${hint}.`, { cause: error })
  }
}
