import { passwordsOf } from './aws/tokens.ts'
import { toStartupError } from './db/explain-error.ts'
import { migrateToLatest } from './db/migrate.ts'
import { openDatabase } from './db/open-database.ts'
import { readLambdaConfig } from './service/config.ts'

/** Creates or updates the tables, in a database that only functions can reach. Invoke it directly: it has no URL. */
export async function migrate(): Promise<{ migrated: true }> {
  const config = readLambdaConfig()
  const { databasePassword: password } = passwordsOf(config.iam)
  const db = openDatabase(config.databaseUrl, process.emitWarning, { password, max: 2, statementSeconds: 280 })
  try {
    await migrateToLatest(db)
  } catch (error) {
    throw toStartupError(error, 'DATABASE_URL')
  } finally {
    await db.destroy()
  }
  return { migrated: true }
}
