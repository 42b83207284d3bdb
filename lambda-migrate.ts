import { passwordsOf } from './aws/tokens.ts'
import { toStartupError } from './db/explain-error.ts'
import { findSchema, migrateToLatest, POST_ID_TYPES, type PostIdType } from './db/migrate.ts'
import { openDatabase } from './db/open-database.ts'
import { StartupError } from './lib/errors.ts'
import { readLambdaConfig } from './service/config.ts'

/** The event of the Lambda function `migrate`. */
interface MigrateRequest {
  /** For a blog with its own tables: the type of its post ids. Default: the tables of this package. */
  adopt?: PostIdType
}

/** Creates or updates the tables, in a database that only functions can reach. Invoke it directly: it has no URL. */
export async function migrate({ adopt: postId }: MigrateRequest = {}): Promise<{ migrated: true }> {
  if (postId !== undefined && !POST_ID_TYPES.includes(postId))
    throw new StartupError(`Expected adopt to be one of ${POST_ID_TYPES.join(', ')}, got something else.`)
  const config = readLambdaConfig()
  const { databasePassword: password } = passwordsOf(config.iam)
  const db = openDatabase(config.databaseUrl, process.emitWarning, { password, max: 2, statementSeconds: 280 })
  try {
    const adopt = postId && { postId }
    await migrateToLatest(db, { adopt, schema: config.databaseSchema ?? (await findSchema(db, { adopt })) })
  } catch (error) {
    throw toStartupError(error, 'DATABASE_URL')
  } finally {
    await db.destroy()
  }
  return { migrated: true }
}
