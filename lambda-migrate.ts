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
  /**
   * The user in DATABASE_URL and its password: the content of the secret of the database. Default: the function signs in with
   * IAM, which PostgreSQL on RDS refuses to its master user.
   */
  username?: string
  password?: string
}

const REQUEST = {
  adopt: {
    expected: 'such as {"postId":"uuid"}',
    isValid: (value: unknown) => isObject(value) && Object.keys(value).join() === 'postId',
  },
  username: { expected: 'a name', isValid: (value: unknown) => typeof value === 'string' },
  password: { expected: 'text', isValid: (value: unknown) => typeof value === 'string' },
}

/**
 * Creates or updates the tables, in a database that only functions can reach, and grants the rights of DATABASE_SERVICE_USER.
 * Invoke it directly: it has no URL.
 */
export async function migrate(event?: MigrateRequest): Promise<{ migrated: true }> {
  const { adopt, username, password: given } = readRequest<MigrateRequest>(event, 'The function migrate', REQUEST)
  const config = readLambdaConfig()
  const user = config.iam.database?.user
  if (username !== undefined && username !== user)
    throw new TypeError(
      `The function migrate expects username to be ${user}, the migrateUser of the stage, got ${username}.`,
    )
  const password = given === undefined ? passwordsOf(config.iam).databasePassword : () => given
  const db = openDatabase(config.databaseUrl, process.emitWarning, { password, max: 2, statementSeconds: 280 })
  try {
    const schema = config.databaseSchema ?? (await findSchema(db, { adopt }))
    await migrateToLatest(db, { adopt, schema, serviceUser: config.databaseServiceUser })
  } catch (error) {
    throw toStartupError(error, 'DATABASE_URL')
  } finally {
    await db.destroy()
  }
  return { migrated: true }
}
