import * as kysely from 'kysely'

/** One step of a migration, as Kysely runs it. Declared here because the two versions of Kysely export it from two modules. */
export interface Migration {
  up(db: kysely.Kysely<unknown>): Promise<void>
  down(db: kysely.Kysely<unknown>): Promise<void>
}

type KyselyMigration = Pick<typeof kysely, 'Migrator' | 'NO_MIGRATIONS'>

/** Not a literal: neither the compiler nor a bundler may resolve it, because Kysely 0.28 has no such module. */
const MODULE: string = 'kysely/migration'

/** Kysely's migrator. Version 0.28 exports it from its main module, version 0.29 from `kysely/migration` only. */
export async function importMigrator(): Promise<KyselyMigration> {
  const { Migrator, NO_MIGRATIONS } = kysely
  return import(MODULE).catch((): KyselyMigration => ({ Migrator, NO_MIGRATIONS }))
}
