import { sql } from 'kysely'
import t from 'tap'
import { openDatabase } from '../../db/open-database.ts'
import { openPool } from '../../db/pool.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

t.test(
  'a connection that PostgreSQL ends in a transaction is an error of the next statement, not our end',
  async (t) => {
    const { pool, url } = await createTestDatabase(t, { migrate: false })
    const told: Error[] = []
    const db = openDatabase(url, (error) => told.push(error))
    t.teardown(() => db.destroy())
    const transaction = db.transaction().execute(async (trx) => {
      const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(trx)
      await pool.query('select pg_terminate_backend($1)', [rows[0]?.pid])
      await new Promise((resolve) => setTimeout(resolve, 100))
      await sql`select 1`.execute(trx)
    })
    await t.rejects(transaction, /not queryable|terminat/)
    t.match(await sql`select 1 as one`.execute(db), { rows: [{ one: 1 }] }, 'the next one has another connection')
    t.same(told, [])
  },
)

t.test(
  'a connection that Kysely gives back to be destroyed, because its rollback failed, is not used again',
  async (t) => {
    const { url } = await createTestDatabase(t, { migrate: false })
    const pool = openPool({ connectionString: url, max: 1, onError() {} })
    t.teardown(() => pool.end())
    const pids: number[] = []
    for (const destroy of [false, true, false]) {
      const client = await pool.connect()
      const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid', [])
      for (const { pid } of rows) pids.push(pid)
      client.release(destroy)
    }
    t.equal(pids[0], pids[1])
    t.not(pids[1], pids[2])
  },
)
