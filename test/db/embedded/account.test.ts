import { chmod, cp, mkdir, readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import { checkAccess, chownTo, commandAs, detectAccount, executableBinaries } from '../../../db/embedded/account.ts'
import { describeBinaries, findEmbeddedPostgres } from '../../../db/embedded/binaries.ts'
import { StartupError } from '../../../lib/errors.ts'
import { temporaryDirectory } from '../../helpers/temporary-directory.ts'

const isRoot = process.getuid?.() === 0
const asRoot = { skip: !isRoot && 'needs root' }

t.test('only root needs another account', async (t) => {
  t.equal(await detectAccount(1000), 'self')
  t.equal(await detectAccount(undefined), process.getuid?.() === 0 ? await detectAccount(0) : 'self')
  t.equal(await detectAccount(0, 'true'), 'namespace')
  t.equal(await detectAccount(0, 'false'), 'nobody', 'namespaces are not allowed')
  t.equal(await detectAccount(0, '/nowhere/unshare'), 'nobody', 'a system without namespaces')
})

t.test('programs run under the account, without environment variables that PostgreSQL reads', (t) => {
  process.env['PGOPTIONS'] = '-c fsync=off'
  t.teardown(() => delete process.env['PGOPTIONS'])
  t.match(commandAs('self', '/bin/x', ['a']), { file: '/bin/x', args: ['a'], options: { cwd: '/', uid: undefined } })
  t.match(commandAs('nobody', '/bin/x', ['a']), { file: '/bin/x', args: ['a'], options: { uid: 65534, gid: 65534 } })
  const { file, args, options } = commandAs('namespace', '/bin/x', ['a'])
  t.same([file, ...args], ['unshare', '--map-user=65534', '--map-group=65534', '/bin/x', 'a'])
  t.same(
    Object.keys(options.env).filter((name) => name.startsWith('PG')),
    [],
  )
  t.end()
})

t.test('a folder is handed to the account with its content', asRoot, async (t) => {
  const directory = await temporaryDirectory(t)
  await mkdir(join(directory, 'inside'))
  for (const [account, owner] of [
    ['self', 0],
    ['nobody', 65534],
    ['nobody', 65534],
    ['self', 65534],
    ['namespace', 0],
  ] as const) {
    await chownTo(account, directory)
    t.equal((await stat(join(directory, 'inside'))).uid, owner, account)
  }
})

t.test('only root can hand over a folder', { skip: isRoot && 'is root' }, async (t) => {
  await t.rejects(chownTo('nobody', await temporaryDirectory(t)), /Operation not permitted/)
})

t.test('a folder that the account cannot enter fails with a sentence that says what to do', async (t) => {
  await checkAccess('self', '/nowhere')
  await checkAccess('nobody', '/somewhere', async () => true)
  await t.rejects(
    checkAccess('nobody', '/nowhere'),
    new StartupError(
      'PostgreSQL does not run as root, and other users may not enter /nowhere: start as the user who owns it, set DATA_DIR to a folder that every user may enter, or set DATABASE_URL to a PostgreSQL server',
    ),
  )
})

t.test('binaries that the account cannot execute are copied, once', async (t) => {
  const directory = await temporaryDirectory(t)
  const found = await findEmbeddedPostgres()
  const hidden = dirname(dirname(found.postgres))
  // Only the copies are reachable for the account, and they must run.
  const canRun = async (_account: unknown, program: string) =>
    program.startsWith(directory) &&
    describeBinaries({ ...found, postgres: program }).then(
      () => true,
      () => false,
    )
  t.equal(await executableBinaries('self', found, directory), found)
  t.equal(await executableBinaries('nobody', found, directory, async () => true), found)

  const copies = await Promise.all([1, 2].map(() => executableBinaries('nobody', found, directory, canRun)))
  copies.push(await executableBinaries('nobody', found, directory, canRun))
  const copy = join(directory, `postgresql-${found.version}`)
  for (const { postgres } of copies) t.equal(postgres, join(copy, 'bin', 'postgres'))
  t.same(await readdir(directory), [`postgresql-${found.version}`])
  t.same(await readdir(join(copy, 'lib')), await readdir(join(hidden, 'lib')))

  const gone = { ...found, version: '0', postgres: '/nowhere/bin/postgres' }
  await t.rejects(executableBinaries('nobody', gone, directory, canRun), {
    name: 'StartupError',
    message: /^cannot copy PostgreSQL to .*postgresql-0: ENOENT/,
  })
  t.equal((await readdir(directory)).length, 1)
})

t.test('the copy is readable for all users, when the original is only for root', asRoot, async (t) => {
  const directory = await temporaryDirectory(t)
  const found = await findEmbeddedPostgres()
  const hidden = join(directory, 'hidden')
  await cp(dirname(dirname(found.postgres)), hidden, { recursive: true, verbatimSymlinks: true })
  await chmod(hidden, 0o700)
  const binaries = { ...found, postgres: join(hidden, 'bin', 'postgres'), initdb: join(hidden, 'bin', 'initdb') }
  const { postgres } = await executableBinaries('nobody', binaries, directory)
  t.equal(dirname(dirname(postgres)), join(directory, `postgresql-${found.version}`))
})
