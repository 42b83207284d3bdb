import { codeOf } from '../lib/errors.ts'
import { loggedError } from '../lib/logged-error.ts'
import type { Logger } from '../lib/logger.ts'
import type { RowGuard } from './row-guard.ts'

/** SQLSTATEs of a table, a column or a function that does not exist. */
const UNDEFINED = /^(?:42P01|42703|42883)$/

/**
 * Makes queries log, once, that the schema is older than this version, and what to do. For a process that does not check the
 * schema at its start, because it is suspended between requests.
 */
export function withMigrationHint(read: RowGuard, log: Pick<Logger, 'warn'>): RowGuard {
  let isLogged = false
  return async (db, query) => {
    try {
      return await read(db, query)
    } catch (error) {
      if (UNDEFINED.test(codeOf(error)) && !isLogged) {
        isLogged = true
        const message =
          'the database lacks a table, a column or a function that this version needs: invoke the Lambda function migrate ' +
          '("npx osls invoke -f migrate"), or run "npx popular-posts migrate"'
        log.warn({ err: loggedError(error) }, `popular posts: ${message}`)
      }
      throw error
    }
  }
}
