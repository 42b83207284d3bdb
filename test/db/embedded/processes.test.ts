import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { detectAccount } from '../../../db/embedded/account.ts'
import { openEmbeddedDatabase } from '../../../db/embedded/database.ts'
import { isProcessAlive, readPostmaster } from '../../../db/embedded/postmaster-pid.ts'
import { StartupError } from '../../../lib/errors.ts'
import { dataOf, open, pidOf, query } from '../../helpers/embedded.ts'
import { LOADER } from '../../helpers/program.ts'
import { endAtExit } from '../../helpers/services/reaper.ts'
import { temporaryDirectory } from '../../helpers/temporary-directory.ts'

const fixture = fileURLToPath(new URL('../../fixtures/open-embedded.ts', import.meta.url))
const asRoot = { skip: process.getuid?.() === 0 ? false : 'needs root' }
const read = `require('node:fs').accessSync(${JSON.stringify(fixture)})`
const canRead =
  process.getuid?.() === 0 && spawnSync(process.execPath, ['-e', read], { uid: 1000, gid: 1000, env: {} }).status === 0
const asUser = {
  skip: canRead ? false : 'needs root, to become another user, who may read this project and run this Node.js',
}

t.test('processes share a server; after kill -9 the next process joins and stops it', async (t) => {
  const directory = await temporaryDirectory(t)
  const first = await openInProcess(t, directory)
  const pid = pidOf(directory)
  endAtExit(pid)
  const second = await openInProcess(t, directory)
  t.match(first.output, { created: true })
  t.match(second.output, { created: false, connectionString: first.output.connectionString })
  second.child.stdin.end()
  t.equal(await second.exitCode, 0)
  t.equal(isProcessAlive(pid), true, 'the first one is still there')
  first.child.kill('SIGKILL')
  await first.exitCode
  t.equal(isProcessAlive(pid), true, 'nobody could stop it')

  const third = await open(t, directory)
  t.equal(pidOf(directory), pid)
  await third.close()
  t.equal(isProcessAlive(pid), false)
})

t.test('processes that start in the same moment do not clash', async (t) => {
  const directory = await temporaryDirectory(t)
  const all = await Promise.all([1, 2, 3].map(() => openInProcess(t, directory)))
  endAtExit(pidOf(directory))
  t.equal(all.filter(({ output }) => output.created).length, 1)
  t.equal(new Set(all.map(({ output }) => output.connectionString)).size, 1)
  for (const { child } of all) child.stdin.end()
  for (const { exitCode } of all) t.equal(await exitCode, 0)
  t.equal(readPostmaster(dataOf(directory)), undefined)
})

t.test('Ctrl-C in the terminal does not end the server before the application closes it', async (t) => {
  const directory = await temporaryDirectory(t)
  const { child, exitCode } = await openInProcess(t, directory)
  const pid = pidOf(directory)
  endAtExit(pid)
  process.kill(-(child.pid ?? 0), 'SIGINT') // A terminal signals the process group.
  await exitCode
  await open(t, directory)
  t.equal(pidOf(directory), pid, 'it is the same server: had the signal reached it, it would have stopped')
})

t.test('a normal user runs the server; a folder without write access fails with one sentence', asUser, async (t) => {
  const directory = await temporaryDirectory(t)
  const refused = await openInProcess(t, directory, 1000)
  t.equal(
    refused.output.error,
    `cannot keep the database in ${directory}: this user may not read and write there (EACCES)`,
  )
  t.equal(await refused.exitCode, 3)
  await chown(directory, 1000, 1000)
  const user = await openInProcess(t, directory, 1000)
  endAtExit(pidOf(directory))
  t.match(user.output, { created: true })
  t.equal((await stat(dataOf(directory))).uid, 1000)
  user.child.stdin.end()
  t.equal(await user.exitCode, 0)
})

t.test(
  'root runs the server as uid 65534 without namespaces; root with namespaces takes over the data',
  asRoot,
  async (t) => {
    const directory = await temporaryDirectory(t)
    const accounts = ['nobody', await detectAccount(), 'nobody'] as const
    for (const account of accounts) {
      const database = await open(t, directory, { account })
      t.equal((await stat(dataOf(directory))).uid, account === 'nobody' ? 65534 : 0)
      t.equal(await query(database, 'select 1'), '1')
      await database.close()
    }
  },
)

t.test(
  'for root, a folder that uid 65534 cannot enter fails with a sentence that says what to do',
  asRoot,
  async (t) => {
    const directory = await temporaryDirectory(t)
    await chmod(directory, 0o700)
    const below = join(directory, 'data')
    await t.rejects(
      openEmbeddedDatabase({ directory: below, account: 'nobody' }),
      new StartupError(
        `PostgreSQL does not run as root, and other users may not enter ${below}: start as the user who owns it, set DATA_DIR to a folder that every user may enter, or set DATABASE_URL to a PostgreSQL server`,
      ),
    )
  },
)

/** Opens the database in a new process and process group, under a user id. */
async function openInProcess(t: Test, directory: string, uid?: number) {
  const who = uid === undefined ? {} : { uid, gid: uid }
  // Another user cannot write the files that tap requests by NODE_OPTIONS; without them the start is also faster.
  const command = ['-u', 'NODE_OPTIONS', process.execPath, LOADER, fixture, directory]
  const child = spawn('env', command, {
    ...who,
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const exitCode = once(child, 'close').then(([code]) => code as number | null)
  const line = await Promise.race([
    once(child.stdout.setEncoding('utf8'), 'data').then(([text]) => text as string),
    exitCode.then((code) => Promise.reject(new Error(`the process ended with ${code}, and said nothing`))),
  ])
  const output = JSON.parse(line) as { connectionString?: string; created?: boolean; error?: string }
  return { child, exitCode, output }
}
