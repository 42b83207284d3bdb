import * as kysely from 'kysely'

/**
 * One step of a migration, as Kysely runs it. Declared here because Kysely 0.28 and 0.29 export it from different
 * modules.
 */
export interface Migration {
  up(db: kysely.Kysely<unknown>): Promise<void>
}

type KyselyMigration = Pick<typeof kysely, 'Migrator'>

/** Not a literal: neither the compiler nor a bundler may resolve it, because Kysely 0.28 has no such module. */
const MODULE: string = 'kysely/migration'

/** Kysely's migrator. Version 0.28 exports it from its main module, version 0.29 from `kysely/migration` only. */
export async function importMigrator(): Promise<KyselyMigration> {
  const { Migrator } = kysely
  return import(MODULE).catch((): KyselyMigration => ({ Migrator }))
}
