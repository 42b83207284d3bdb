import { passwordsOf } from './aws/tokens.ts'
import { readLambdaConfig } from './config.ts'
import { migrateToLatest } from './db/migrate.ts'
import { openDatabase } from './plugins/database.ts'

/** For whoever may invoke it: makes or updates the tables, in a database that only functions can reach. */
export async function migrate(): Promise<{ migrated: true }> {
  const config = readLambdaConfig()
  const { databasePassword: password } = passwordsOf(config.iam)
  const db = openDatabase(config.databaseUrl, process.emitWarning, { password, max: 2, statementSeconds: 280 })
  try {
    await migrateToLatest(db)
  } finally {
    await db.destroy()
  }
  return { migrated: true }
}
