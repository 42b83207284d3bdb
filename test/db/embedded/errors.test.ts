import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { findEmbeddedPostgres } from '../../../db/embedded/binaries.ts'
import { explain } from '../../../db/embedded/cluster.ts'
import { openEmbeddedDatabase } from '../../../db/embedded/database.ts'
import { isProcessAlive } from '../../../db/embedded/postmaster-pid.ts'
import { StartupError } from '../../../lib/errors.ts'
import { dataOf, open, pidOf, query } from '../../helpers/embedded.ts'
import { temporaryDirectory } from '../../helpers/temporary-directory.ts'

t.test('a frozen server is neither joined nor replaced: the error names its process', async (t) => {
  const directory = await temporaryDirectory(t)
  const database = await open(t, directory)
  const pid = pidOf(directory)
  process.kill(pid, 'SIGSTOP')
  t.teardown(() => isProcessAlive(pid) && process.kill(pid, 'SIGCONT'))
  await t.rejects(
    openEmbeddedDatabase({ directory, timeoutMs: 100 }),
    new StartupError(
      `PostgreSQL (process ${pid}) holds ${dataOf(directory)} and does not answer (timeout expired): wait, or stop that process, and start again`,
    ),
  )
  process.kill(pid, 'SIGCONT')
  t.equal(await query(database, 'select 1'), '1')
})

t.test('a wrong password fails with one sentence', async (t) => {
  const directory = await temporaryDirectory(t)
  const database = await open(t, directory)
  const file = join(directory, 'postgres', 'password')
  const password = await readFile(file, 'utf8')
  await writeFile(file, 'another')
  await t.rejects(openEmbeddedDatabase({ directory, timeoutMs: 0 }), {
    name: 'StartupError',
    message: /^PostgreSQL \(process \d+\) holds .* and does not answer \(password authentication failed for user/,
  })
  await writeFile(file, password)
  t.equal(await query(database, 'select 1'), '1')
})

t.test('an unusable folder fails with one sentence', async (t) => {
  const directory = await temporaryDirectory(t)
  const file = join(directory, 'file')
  await writeFile(file, '')
  await t.rejects(
    openEmbeddedDatabase({ directory: file }),
    new StartupError(`cannot keep the database in ${file}: there is a file of that name, and a folder is needed`),
  )
  await t.rejects(openEmbeddedDatabase({ directory: join(file, 'below') }), StartupError)
  const odd = join(directory, 'odd')
  await mkdir(join(odd, 'postgres'), { recursive: true })
  await writeFile(join(odd, 'postgres', 'data'), '')
  await t.rejects(openEmbeddedDatabase({ directory: odd }), { message: /a folder is needed$/ })
  for (const [code, words] of [
    ['EACCES', 'this user may not read and write there (EACCES)'],
    ['ENOTEMPTY', 'its folder postgres holds something else, move that away'],
    ['ENOSPC', 'the disk is full'],
    ['EMFILE', 'text of the system'],
  ]) {
    t.equal(explain(Object.assign(new Error('text of the system'), { code })), words)
  }
  await t.rejects(openEmbeddedDatabase({ directory: '/sys/nowhere' }), {
    name: 'StartupError',
    message: /^cannot keep the database in \/sys\/nowhere: /,
  })
})

t.test('data of another major version is refused', async (t) => {
  const directory = await temporaryDirectory(t)
  await (await open(t, directory)).close()
  await writeFile(join(dataOf(directory), 'PG_VERSION'), '12\n')
  await t.rejects(openEmbeddedDatabase({ directory }), {
    name: 'StartupError',
    message: /was made by PostgreSQL 12 and this is 18: move that folder away/,
  })
})

t.test('the error of a server that does not start has the reason', async (t) => {
  const directory = await temporaryDirectory(t)
  await (await open(t, directory)).close()
  await writeFile(join(dataOf(directory), 'postgresql.conf'), 'shared_buffers = many\n')
  await t.rejects(
    openEmbeddedDatabase({ directory }),
    new StartupError(
      `PostgreSQL does not start in ${dataOf(directory)}: configuration file "${dataOf(directory)}/postgresql.conf" contains errors`,
    ),
  )
})

t.test('the error of a failed initdb has the reason, and its files are removed', async (t) => {
  const directory = await temporaryDirectory(t)
  const initdb = join(directory, 'initdb')
  await writeFile(initdb, '#!/bin/sh\necho "initdb: error: could not write: No space left on device" >&2; exit 1\n', {
    mode: 0o755,
  })
  const binaries = { ...(await findEmbeddedPostgres()), initdb }
  await t.rejects(openEmbeddedDatabase({ directory, binaries }), {
    name: 'StartupError',
    message: /^cannot make a database in .*: could not write: No space left on device$/,
  })
  t.same(await readdir(directory), ['initdb'])
})

t.test('a folder with other content is not changed', async (t) => {
  const directory = await temporaryDirectory(t)
  await mkdir(join(directory, 'postgres'))
  await writeFile(join(directory, 'postgres', 'diary.txt'), 'dear')
  await t.rejects(openEmbeddedDatabase({ directory }), {
    message: /its folder postgres holds something else, move that away$/,
  })
  t.same(await readdir(join(directory, 'postgres')), ['diary.txt'])
})
