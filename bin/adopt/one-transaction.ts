import {
  CompiledQuery,
  Kysely,
  PostgresDialect,
  type PostgresPool,
  type PostgresPoolClient,
  type Transaction,
} from 'kysely'

/** The statements of a transaction, within one that is open already. */
const NESTED: Readonly<Record<string, string>> = {
  begin: 'savepoint popular_posts_nested',
  commit: 'release savepoint popular_posts_nested',
  rollback: 'rollback to savepoint popular_posts_nested',
}

/**
 * Runs work in one transaction that begins transactions of its own, as a migrator does: they become savepoints.
 * @param work gets an instance whose queries all run in the transaction. An error rolls everything back.
 */
export function inOneTransaction<DB, T>(db: Kysely<DB>, work: (nested: Kysely<DB>) => Promise<T>): Promise<T> {
  return db.transaction().execute((trx) => work(nest(trx)))
}

function nest<DB>(trx: Transaction<DB>): Kysely<DB> {
  const client = {
    async query(text: string, parameters: readonly unknown[]) {
      const { rows } = await trx.executeQuery(CompiledQuery.raw(NESTED[text] ?? text, [...parameters]))
      return { command: 'SELECT', rowCount: rows.length, rows }
    },
    release() {},
  } as unknown as PostgresPoolClient
  return new Kysely<DB>({
    dialect: new PostgresDialect({ pool: { connect: async () => client } as PostgresPool }),
  })
}
