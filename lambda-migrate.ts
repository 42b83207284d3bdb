import { passwordsOf } from './aws/tokens.ts'
import { toStartupError } from './db/explain-error.ts'
import { findSchema, migrateToLatest, type PostIdType } from './db/migrate.ts'
import { openDatabase } from './db/open-database.ts'
import { isObject, readRequest } from './lib/read-request.ts'
import { readLambdaConfig } from './service/config.ts'

/** The event of the Lambda function `migrate`. */
interface MigrateRequest {
  /** For a blog with its own tables: the type of its post ids. Default: the tables of this package. */
  adopt?: { postId: PostIdType }
}

const REQUEST = {
  adopt: {
    expected: 'such as {"postId":"uuid"}',
    isValid: (value: unknown) => isObject(value) && Object.keys(value).join() === 'postId',
  },
}

/** Creates or updates the tables, in a database that only functions can reach. Invoke it directly: it has no URL. */
export async function migrate(event?: MigrateRequest): Promise<{ migrated: true }> {
  const { adopt } = readRequest<MigrateRequest>(event, 'migrate', REQUEST)
  const config = readLambdaConfig()
  const { databasePassword: password } = passwordsOf(config.iam)
  const db = openDatabase(config.databaseUrl, process.emitWarning, { password, max: 2, statementSeconds: 280 })
  try {
    await migrateToLatest(db, { adopt, schema: config.databaseSchema ?? (await findSchema(db, { adopt })) })
  } catch (error) {
    throw toStartupError(error, 'DATABASE_URL')
  } finally {
    await db.destroy()
  }
  return { migrated: true }
}
