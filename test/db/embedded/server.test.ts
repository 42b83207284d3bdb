import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { chownTo, detectAccount } from '../../../db/embedded/account.ts'
import { findEmbeddedPostgres, type PostgresBinaries } from '../../../db/embedded/binaries.ts'
import { isProcessAlive, readPostmaster, removeStale } from '../../../db/embedded/postmaster-pid.ts'
import { freePort, initDataFolder, startServer, stopServer } from '../../../db/embedded/server.ts'
import { codeOf, messageOf } from '../../../lib/errors.ts'
import { endAtExit } from '../../helpers/services/reaper.ts'
import { temporaryDirectory } from '../../helpers/temporary-directory.ts'

async function initialized(t: Test) {
  const directory = await temporaryDirectory(t)
  const [binaries, account] = [await findEmbeddedPostgres(), await detectAccount()]
  await chownTo(account, directory)
  const dataDirectory = join(directory, 'data')
  await initDataFolder({ binaries, account, dataDirectory, isDurable: false })
  return { binaries, account, dataDirectory, logFile: join(directory, 'postgres.log') }
}

async function listenOn(t: Test): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

/** Binaries with a shell script as the server. */
async function scripted(t: Test, script: string): Promise<PostgresBinaries> {
  const postgres = join(await temporaryDirectory(t), 'postgres')
  await writeFile(postgres, `#!/bin/sh\n${script}\n`)
  await chmod(postgres, 0o755)
  return { postgres, initdb: postgres, version: '18.4', majorVersion: '18' }
}

t.test('a server starts, runs with its settings, and stops', async (t) => {
  const options = await initialized(t)
  t.equal(readPostmaster(options.dataDirectory), undefined)
  const { pid, port } = await startServer({ ...options, settings: { max_connections: 7 } })
  endAtExit(pid)
  t.match(readPostmaster(options.dataDirectory), { pid, port, isReady: true })
  t.equal(isProcessAlive(pid), true)
  await stopServer(options.dataDirectory)
  t.equal(isProcessAlive(pid), false)
  t.equal(readPostmaster(options.dataDirectory), undefined)
  await stopServer(options.dataDirectory)
})

t.test('a port that is taken is an error when it was asked for', async (t) => {
  const options = await initialized(t)
  const port = await listenOn(t)
  await t.rejects(startServer({ ...options, port }), {
    name: 'StartupError',
    message: /could not create any TCP\/IP sockets$/,
  })
})

t.test('a port taken between search and start is replaced, at most three times', async (t) => {
  const options = await initialized(t)
  const count = join(await temporaryDirectory(t), 'count')
  await mkdir(count, { mode: 0o777 })
  await chmod(count, 0o777)
  const binaries = await scripted(
    t,
    `touch ${count}/$$; echo 'FATAL:  could not create any TCP/IP sockets' >&2; exit 1`,
  )
  await t.rejects(startServer({ ...options, binaries }), { message: /could not create any TCP\/IP sockets$/ })
  t.equal((await readdir(count)).length, 3)
})

t.test('the error of a server that ends silently or cannot run has all known details', async (t) => {
  const options = await initialized(t)
  const cases = [
    [await scripted(t, 'exit 7'), /: it ended with 7$/],
    [await scripted(t, 'kill -9 $$'), /: it ended with SIGKILL$/],
    [await scripted(t, 'echo some last words'), /: some last words$/],
  ] as const
  for (const [binaries, message] of cases) await t.rejects(startServer({ ...options, binaries }), { message })
  const nowhere = { ...options.binaries, postgres: '/nowhere/postgres', initdb: '/nowhere/initdb' }
  await t.rejects(startServer({ ...options, account: 'self', binaries: nowhere }), {
    message: /: spawn \/nowhere\/postgres ENOENT$/,
  })
  await t.rejects(initDataFolder({ ...options, account: 'self', binaries: nowhere }), {
    message: /^cannot make a database in .*: spawn \/nowhere\/initdb ENOENT$/,
  })
})

t.test('a server that does not become ready in time is killed', async (t) => {
  const options = await initialized(t)
  const binaries = await scripted(t, 'exec sleep 60')
  await t.rejects(startServer({ ...options, binaries, timeoutMs: 50 }), { message: /: not ready after 50 ms$/ })
})

t.test('a server that does not stop in time is killed, and recovers', async (t) => {
  const options = await initialized(t)
  const first = await startServer(options)
  endAtExit(first.pid)
  process.kill(first.pid, 'SIGSTOP')
  await stopServer(options.dataDirectory, { timeoutMs: 50 })
  t.equal(isProcessAlive(first.pid), false)
})

t.test('a pid file is removed only if it is still the same', async (t) => {
  const directory = await temporaryDirectory(t)
  const file = join(directory, 'postmaster.pid')
  const write = (pid: number) => writeFile(file, `${pid}\n${directory}\n1\n5432\n`)
  await writeFile(file, '17\n')
  t.equal(readPostmaster(directory), undefined, 'half written')
  await write(17)
  const stale = readPostmaster(directory)
  if (stale === undefined) throw new Error('expected a postmaster')
  await write(18)
  await removeStale(directory, stale)
  t.equal(readPostmaster(directory)?.pid, 18)
  await write(17)
  await removeStale(directory, stale)
  t.equal(readPostmaster(directory), undefined)
  await mkdir(file)
  t.throws(() => readPostmaster(directory), { code: 'EISDIR' })
})

t.test(
  'a process of another user is alive too',
  { skip: process.getuid?.() === 0 ? 'root may signal all' : false },
  (t) => {
    t.equal(isProcessAlive(1), true)
    t.end()
  },
)

t.test('every thrown value has a message, and perhaps a code', async (t) => {
  t.equal(messageOf('text'), 'text')
  t.equal(messageOf(new Error('text')), 'text')
  t.equal(codeOf(Object.assign(new Error('text'), { code: 'X' })), 'X')
  t.equal(codeOf(Object.assign(new Error('text'), { code: 1 })), '')
  t.equal(codeOf('text'), '')
  t.not(await freePort(), await listenOn(t))
})
