import { Client } from 'pg'
import t from 'tap'
import { startPostgres } from './private-postgres.ts'

async function ask(url: string, text: string, timeoutMs = 10_000): Promise<unknown> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: timeoutMs })
  client.on('error', () => undefined)
  await client.connect()
  const { rows } = await client.query({ text, rowMode: 'array' }).finally(() => client.end())
  return rows[0]?.[0]
}

t.test('a private server can be stopped, crashed, frozen and started again on the same port', async (t) => {
  const server = await startPostgres({ settings: { max_connections: 9 } })
  t.teardown(() => server.remove())
  t.match(server.description, /^PostgreSQL \d/)
  t.equal(await ask(server.url, 'show max_connections'), '9')
  await ask(server.url, 'create table kept as select 7 as n')

  await server.stop()
  await t.rejects(ask(server.url, 'select 1'), { code: 'ECONNREFUSED' })
  await server.restart()
  t.equal(await ask(server.url, 'select n from kept'), 7)

  await server.kill()
  await t.rejects(ask(server.url, 'select 1'), { code: 'ECONNREFUSED' })
  await server.restart()
  t.equal(await ask(server.url, 'select n from kept'), 7)

  const client = new Client({ connectionString: server.url })
  await client.connect()
  await server.kill('SIGSTOP')
  const frozen = client.query('select 8 as n')
  t.equal(await Promise.race([frozen, ask(server.url, 'select 1', 200).catch(() => 'frozen')]), 'frozen')
  await server.kill('SIGCONT')
  t.same((await frozen).rows, [{ n: 8 }])
  await client.end()

  await server.kill('SIGSTOP')
  await server.restart()
  t.equal(await ask(server.url, 'select 1'), 1)
})
