import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { Client } from 'pg'
import t from 'tap'
import { openEmbeddedDatabase } from '../../db/embedded/database.ts'
import { runProgram } from '../helpers/program.ts'
import { expectStartError } from '../helpers/service.ts'
import { temporaryDirectory } from '../helpers/temporary-directory.ts'

t.test('a failed start prints one sentence', async (t) => {
  const directory = await temporaryDirectory(t)
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as { port: number }
  const env = { DATA_DIR: join(directory, 'data'), PORT: '0' }
  await expectStartError(
    t,
    runProgram(t, 'server.ts', { env: { ...env, PORT: String(port) } }),
    new RegExp(`^Port ${port} on 127\\.0\\.0\\.1 is in use`),
  )
  await expectStartError(
    t,
    runProgram(t, 'server.ts', { env: { ...env, HOST: '192.0.2.1' } }),
    /^HOST 192\.0\.2\.1 is not an address of this machine/,
  )
  await expectStartError(
    t,
    runProgram(t, 'server.ts', { env: { ...env, HOST: 'nowhere.invalid' } }),
    /^HOST nowhere\.invalid is not an address of this machine/,
  )
  const file = join(directory, 'file')
  await writeFile(file, '')
  await expectStartError(t, runProgram(t, 'server.ts', { env: { ...env, DATA_DIR: file } }), /file/)
  const unreachable = runProgram(t, 'server.ts', { env: { DATABASE_URL: 'postgres://admin:secret@127.0.0.1:9/blog' } })
  await expectStartError(t, unreachable, /^No server answers at the address in DATABASE_URL \(ECONNREFUSED\)/)
  t.notMatch(unreachable.stderr(), /secret|admin|127\.0\.0\.1:9/)
  const silent = createServer((socket) => socket.on('data', () => socket.end())).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => silent.close())
  const { port: silentPort } = silent.address() as { port: number }
  await expectStartError(
    t,
    runProgram(t, 'server.ts', { env: { DATABASE_URL: `postgres://127.0.0.1:${silentPort}/blog` } }),
    /^PostgreSQL ended the connection: check that what DATABASE_URL names is a PostgreSQL server/,
  )
})

t.test('an embedded database with other content is not changed', async (t) => {
  const env = { DATA_DIR: join(await temporaryDirectory(t), 'data'), PORT: '0' }
  const { connectionString, close } = await openEmbeddedDatabase({ directory: env.DATA_DIR })
  const client = new Client({ connectionString })
  await client.connect()
  await client.query('create table posts (mine text)')
  await client.end()
  await expectStartError(
    t,
    runProgram(t, 'server.ts', { env }),
    /needs: posts \(42P07\): rename those tables, or move the folder in DATA_DIR away/,
  )
  await close()
})
