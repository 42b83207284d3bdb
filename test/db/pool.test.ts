import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t from 'tap'
import { clientClass } from '../../db/client.ts'
import { openPool } from '../../db/pool.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { until } from '../helpers/services/until.ts'
import { startProxy } from '../helpers/tcp-proxy.ts'

const IDLE_MS = 1_100

t.test('an idle connection that broke is replaced within a statement', async (t) => {
  const { url } = await createTestDatabase(t)
  const address = new URL(url)
  const wire = await startProxy(t, Number(address.port))
  address.port = String(wire.port)
  const pool = openPool({ connectionString: address.href, max: 1, onError: () => undefined })
  t.teardown(() => pool.end())
  const processId = async () => {
    const client = await pool.connect()
    const { rows } = await client.query<{ id: number }>('select pg_backend_pid() as id', [])
    client.release()
    return rows[0]?.id
  }
  const first = await processId()
  t.equal(await processId(), first)
  await sleep(IDLE_MS)
  t.equal(await processId(), first, 'one that answers is kept')
  for (const how of ['closed', 'reset', 'half-open'] as const) {
    const before = await processId()
    await sleep(IDLE_MS)
    wire.cut(how)
    t.not(await processId(), before, how)
  }
})

t.test('an idle connection is closed after a time, or kept for ever', async (t) => {
  const { url, pool: observer } = await createTestDatabase(t)
  const name = `idle-${process.pid}`
  const count = async () => {
    const { rowCount } = await observer.query('select from pg_stat_activity where application_name = $1', [name])
    return rowCount
  }
  for (const idleMs of [0, 100]) {
    const pool = openPool({ connectionString: url, name, idleMs, onError: () => undefined })
    const client = await pool.connect()
    t.equal(await count(), 1)
    client.release()
    await sleep(500)
    if (idleMs === 0) t.equal(await count(), 1, 'kept')
    else await until(async () => (await count()) === 0, 'it is closed')
    await pool.end()
    await until(async () => (await count()) === 0, 'the pool has ended')
  }
})

t.test('a connection on which a statement timed out is not used again', async (t) => {
  const { url } = await createTestDatabase(t)
  const pool = openPool({
    connectionString: url,
    max: 1,
    statementSeconds: 1,
    onError: () => undefined,
    password: () => '',
  })
  t.teardown(() => pool.end())
  const client = await pool.connect()
  const { rows } = await client.query<{ id: number }>('select pg_backend_pid() as id', [])
  await t.rejects(client.query('select pg_sleep(5)', []), { message: 'Query read timeout' })
  client.release()
  const next = await pool.connect()
  const other = await next.query<{ id: number }>('select pg_backend_pid() as id', [])
  next.release()
  t.not(other.rows[0]?.id, rows[0]?.id)
})

t.test('a password that is made for each connection takes the place of one in the URL, and nothing else', async (t) => {
  const password = () => 'a token'
  const url = (user: string) =>
    `postgres://${user}@db.example:5433/blog?sslmode=verify-full&application_name=me&options=-csearch_path%3Dpp`
  const whole = new pg.Client({ connectionString: url('ann:secret'), statement_timeout: 7_000 })
  for (const user of ['ann', 'ann:secret']) {
    const client = new (clientClass(password))({ connectionString: url(user), statement_timeout: 7_000 })
    t.equal(client.password, password)
    t.same({ ...parametersOf(client), password: '' }, { ...parametersOf(whole), password: '' })
  }
  t.equal(new (clientClass(undefined))({ connectionString: url('ann:secret') }).password, 'secret')
})

function parametersOf(client: pg.Client): object {
  return 'connectionParameters' in client ? (client.connectionParameters as object) : {}
}
