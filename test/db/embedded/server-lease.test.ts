import { Client } from 'pg'
import t from 'tap'
import { ROLE } from '../../../db/embedded/role.ts'
import { joinServer } from '../../../db/embedded/server-lease.ts'
import { startPostgres } from '../../helpers/private-postgres.ts'

t.test('after the last user leaves, no process joins until the server has stopped or stays', async (t) => {
  const server = await startPostgres()
  t.teardown(() => server.remove())
  const client = new Client({ connectionString: server.url })
  await client.connect()
  const { rows } = await client.query('show data_directory')
  await client.query(`create role ${ROLE} login; grant pg_read_all_settings to ${ROLE}`)
  await client.end()
  const options = { port: server.port, password: 'not asked for', dataDirectory: rows[0].data_directory }
  const [first, second] = [await joinServer(options), await joinServer(options)]
  t.equal(await first.leave(), false)
  t.equal(await second.leave(), true, 'the last one out')
  await t.rejects(joinServer(options), { name: 'Error', state: 'busy', message: 'the server is being stopped' })
  await Promise.all([first.release(), second.release()])
  const third = await joinServer(options)
  t.equal(await third.leave(), true)
  await third.release()
  await t.rejects(joinServer({ ...options, dataDirectory: '/elsewhere' }), { name: 'Error', state: 'absent' })
})
