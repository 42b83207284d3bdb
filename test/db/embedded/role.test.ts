import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import t, { type Test } from 'tap'
import { openCluster } from '../../../db/embedded/cluster.ts'
import { isProcessAlive, readPostmaster } from '../../../db/embedded/postmaster-pid.ts'
import { makeRole, ROLE } from '../../../db/embedded/role.ts'
import { startServer, stopServer } from '../../../db/embedded/server.ts'
import { dataOf, open, pidOf, query } from '../../helpers/embedded.ts'
import { runProgram } from '../../helpers/program.ts'
import { startService } from '../../helpers/service.ts'
import { endAtExit } from '../../helpers/services/reaper.ts'
import { temporaryDirectory } from '../../helpers/temporary-directory.ts'

/** Each way of SQL to a file, a program or more rights. `$file` belongs to the user of the server. */
const WAYS = [
  "select pg_read_file('$file')",
  "select pg_read_binary_file('$file')",
  "select pg_stat_file('$file')",
  "select pg_ls_dir('/root')",
  'select pg_ls_logdir()',
  "create temporary table stolen (line text); copy stolen from '$file'",
  "create temporary table run (line text); copy run from program 'cat $file'",
  "copy (select 1) to '$file'",
  "copy (select 1) to program 'cat > $file'",
  "select lo_import('$file')",
  "select lo_export(lo_from_bytea(0, 'x'), '$file')",
  'create extension file_fdw; create server files foreign data wrapper file_fdw',
  "create extension adminpack; select pg_catalog.pg_file_read('$file', 0, 1000)",
  "create function steal(text) returns text language c as 'libc', 'getenv'",
  "create function steal(text) returns bytea language internal as 'pg_read_binary_file_all'",
  "load '$file'",
  "alter system set archive_command = 'cat $file'",
  "set session_preload_libraries = '$file'",
  `set role postgres; select pg_read_file('$file')`,
  'set session authorization postgres',
  'alter role postgres login',
  `alter role ${ROLE} superuser`,
  `grant pg_read_server_files to ${ROLE}`,
  `grant pg_execute_server_program to ${ROLE}`,
  'create role another superuser',
  "create tablespace elsewhere location '/root'",
  'select * from pg_hba_file_rules',
  'select rolpassword from pg_authid',
]

async function connect(connectionString: string): Promise<Client> {
  const client = new Client({ connectionString })
  await client.connect()
  return client
}

async function refusesEachWay(t: Test, connectionString: string, file: string): Promise<void> {
  const before = await readFile(file, 'utf8')
  const client = await connect(connectionString)
  for (const way of WAYS) {
    const statement = way.replaceAll('$file', file)
    const error: unknown = await client.query(statement).then(
      () => undefined,
      (error: unknown) => error,
    )
    // 0A000, 58P01: the server lacks the extension or library, which it checks before the rights.
    t.match(error, { code: /^(42501|0A000|58P01)$/ }, statement)
    t.notMatch(error, before.trim())
  }
  await client.end()
  t.equal(await readFile(file, 'utf8'), before)
}

/** The URL with the same password, for the superuser. */
const asSuperuser = (connectionString: string) => connectionString.replace(`//${ROLE}:`, '//postgres:')

t.test('no SQL reads or writes a file, runs a program or gets more rights, and no superuser logs in', async (t) => {
  const directory = await temporaryDirectory(t)
  const secret = join(directory, 'secret')
  await writeFile(secret, 'only its owner may read this', { mode: 0o600 })
  const database = await open(t, join(directory, 'data'))
  await refusesEachWay(t, database.connectionString, secret)
  await t.rejects(connect(asSuperuser(database.connectionString)), { code: '28000' })
  t.same(await query(database, 'select count(*) from pg_roles where rolsuper and rolcanlogin'), '0')
  // Installed files exist on every machine; files that only root may read do not.
  if (process.getuid?.() === 0) await refusesEachWay(t, database.connectionString, '/etc/shadow')
})

t.test('the role is created only in the server of the folder', async (t) => {
  const directory = await temporaryDirectory(t)
  const cluster = await openCluster({ directory })
  const { port, pid } = await startServer(cluster)
  endAtExit(pid)
  t.teardown(() => stopServer(cluster.dataDirectory))
  await makeRole({ port, password: cluster.password, dataDirectory: '/elsewhere' })
  const client = await connect(`postgres://postgres:${cluster.password}@127.0.0.1:${port}/postgres`)
  t.equal((await client.query('select from pg_roles where rolname = $1', [ROLE])).rowCount, 0)
  await client.end()
  await makeRole({ ...cluster, port })
  await t.rejects(makeRole({ ...cluster, port }), { code: '28000' })
})

t.test('the service, the demo and an import connect as that role only', async (t) => {
  const directory = await temporaryDirectory(t)
  const env = { DATA_DIR: join(directory, 'data') }
  const service = await startService(t, env)
  const pid = pidOf(env.DATA_DIR)
  endAtExit(pid)
  const importing = runProgram(t, 'bin/popular-posts.ts', {
    args: ['import-log', '--post', '^/blog/(?<slug>[^/]+)$', '--create-posts'],
    env,
    input: '192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /blog/a HTTP/1.1" 200 1 "-" "Mozilla/5.0 Firefox/29.0"\n',
  })
  const password = await readFile(join(env.DATA_DIR, 'postgres', 'password'), 'utf8')
  const { port } = readPostmaster(dataOf(env.DATA_DIR)) ?? {}
  const client = await connect(`postgres://${ROLE}:${password}@127.0.0.1:${port}/postgres`)
  const users = new Set<string>()
  while (importing.child.exitCode === null) {
    const { rows } = await client.query<{ usename: string }>(
      "select distinct usename from pg_stat_activity where backend_type = 'client backend' and usename is not null",
    )
    for (const { usename } of rows) users.add(usename)
  }
  t.equal(await importing.ended(), 0, importing.stderr())
  t.same([...users], [ROLE])
  await client.end()
  await service.stop()
  t.equal(isProcessAlive(pid), false)
})
