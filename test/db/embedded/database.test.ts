import { cp, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { isProcessAlive, readPostmaster } from '../../../db/embedded/postmaster-pid.ts'
import { dataOf, open, pidOf, query } from '../../helpers/embedded.ts'
import { until } from '../../helpers/services/until.ts'
import { temporaryDirectory } from '../../helpers/temporary-directory.ts'

t.test('the first start creates a durable database, with a password in a private file', async (t) => {
  const directory = join(await temporaryDirectory(t), 'not', 'there', 'yet')
  const database = await open(t, directory)
  t.equal(database.created, true)
  for (const setting of ['fsync', 'full_page_writes', 'synchronous_commit']) {
    t.equal(await query(database, `show ${setting}`), 'on', setting)
  }
  t.equal(await query(database, 'show listen_addresses'), '127.0.0.1')
  t.equal(await query(database, 'show server_encoding'), 'UTF8')

  const file = join(directory, 'postgres', 'password')
  t.equal((await stat(file)).mode & 0o777, 0o600)
  const password = await readFile(file, 'utf8')
  t.match(database.connectionString, password)
  const log = await readFile(join(directory, 'postgres', 'postgres.log'), 'utf8')
  t.match(log, 'ready to accept connections')
  t.notMatch(log, password)
  const wrong = { ...database, connectionString: database.connectionString.replace(password, 'guess') }
  await t.rejects(query(wrong, 'select 1'), { code: '28P01' })
})

t.test('data is kept across restarts', async (t) => {
  const directory = await temporaryDirectory(t)
  const first = await open(t, directory)
  await query(first, 'create table kept as select 7 as n')
  await first.close()
  t.equal(readPostmaster(dataOf(directory)), undefined, 'the last one out stops the server')

  const second = await open(t, directory)
  t.equal(second.created, false)
  t.equal(await query(second, 'select n from kept'), '7')
})

t.test('the server ends with its last user, in any order of closing', async (t) => {
  const directory = await temporaryDirectory(t)
  const [first, second] = [await open(t, directory), await open(t, directory)]
  t.equal(second.connectionString, first.connectionString)
  const pid = pidOf(directory)
  await first.close()
  t.equal(await query(second, 'select 1'), '1')
  const third = await open(t, directory)
  t.equal(pidOf(directory), pid)
  await Promise.all([second.close(), third.close(), third.close()])
  t.equal(isProcessAlive(pid), false)
})

t.test('of parallel starts one creates the database, and all use one server', async (t) => {
  const directory = await temporaryDirectory(t)
  const all = await Promise.all(Array.from({ length: 6 }, () => open(t, directory)))
  t.equal(all.filter((database) => database.created).length, 1)
  t.equal(new Set(all.map((database) => database.connectionString)).size, 1)
  await Promise.all(all.map((database) => database.close()))
  t.equal(readPostmaster(dataOf(directory)), undefined)
})

t.test('a start during a stop starts the server again', async (t) => {
  const directory = await temporaryDirectory(t)
  let database = await open(t, directory)
  for (let round = 0; round < 5; round++) {
    const [next] = await Promise.all([open(t, directory), database.close()])
    t.equal(await query(next, 'select 1'), '1')
    database = next
  }
})

t.test('after a crash of the server the next start recovers', async (t) => {
  const directory = await temporaryDirectory(t)
  const database = await open(t, directory)
  await query(database, 'create table kept as select 7 as n')
  process.kill(pidOf(directory), 'SIGKILL')
  const next = await open(t, directory)
  t.equal(await query(next, 'select n from kept'), '7')
  await database.close()
  t.equal(await query(next, 'select 1'), '1', 'the old one leaves alone what it does not use')
})

t.test('after a crash of a backend, which ends all connections, no process stops the server of another', async (t) => {
  const directory = await temporaryDirectory(t)
  const [first, second] = [await open(t, directory), await open(t, directory)]
  const presences = `select count(*) from pg_stat_activity where application_name = 'popular-posts presence'`
  const backend = await query(
    first,
    `select pid from pg_stat_activity where application_name = 'popular-posts presence'`,
  )
  process.kill(Number(backend), 'SIGKILL')
  await until(
    () =>
      query(first, presences).then(
        (count) => count === '2',
        () => false,
      ),
    'both have come back',
  )
  await first.close()
  t.equal(await query(second, 'select 1'), '1')
})

t.test('a process whose connection broke closes normally', async (t) => {
  const directory = await temporaryDirectory(t)
  const database = await open(t, directory)
  const pid = pidOf(directory)
  await query(
    database,
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'popular-posts presence'`,
  )
  await database.close()
  t.equal(isProcessAlive(pid), false)
})

t.test('a pid file from before a reboot does not block, even if pid and port are used again', async (t) => {
  const directory = await temporaryDirectory(t)
  await (await open(t, directory)).close()
  const server = createServer((socket) => socket.resume().end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(
    0,
    '127.0.0.1',
  )
  t.teardown(() => server.close())
  await until(() => server.listening, 'the stranger listens')
  const address = server.address()
  const strangersPort = typeof address === 'object' && address !== null ? address.port : 0
  for (const [pid, port] of [
    [process.pid, 1],
    [process.pid, strangersPort],
    [999_999_999, 1],
  ]) {
    await writeFile(
      join(dataOf(directory), 'postmaster.pid'),
      `${pid}\n${dataOf(directory)}\n1\n${port}\n\n127.0.0.1\n1 1\nready\n`,
    )
    const database = await open(t, directory)
    t.equal(await query(database, 'select 1'), '1')
    await database.close()
  }
})

t.test('an incomplete data folder of a killed process is removed', async (t) => {
  const directory = await temporaryDirectory(t)
  await mkdir(join(directory, 'postgres.new-999999999-abcdef'))
  await mkdir(join(directory, `postgres.new-${process.pid}-abcdef`))
  await open(t, directory)
  t.same((await readdir(directory)).sort(), ['postgres', `postgres.new-${process.pid}-abcdef`])
})

t.test('a copy of the folder of a running server is a database of its own', async (t) => {
  const directory = await temporaryDirectory(t)
  const [original, copy] = [join(directory, 'original'), join(directory, 'copy')]
  const first = await open(t, original)
  await query(first, 'create table kept as select 7 as n')
  await cp(original, copy, { recursive: true })
  const second = await open(t, copy)
  t.not(second.connectionString, first.connectionString)
  t.equal(await query(second, 'select n from kept'), '7')
  await query(second, 'drop table kept')
  t.equal(await query(first, 'select n from kept'), '7')
})
