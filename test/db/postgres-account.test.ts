import { chmod, cp, mkdir, readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import { chooseAccount, commandAs, handOver, reachableBinaries } from '../../db/postgres-account.ts'
import { findEmbeddedPostgres } from '../../db/postgres-binaries.ts'
import { temporaryDirectory } from '../helpers/temporary-directory.ts'

const asRoot = { skip: process.getuid?.() === 0 ? false : 'needs root' }

t.test('only root has to become somebody else', async (t) => {
  t.equal(await chooseAccount(1000), 'self')
  t.equal(await chooseAccount(undefined), process.getuid?.() === 0 ? await chooseAccount(0) : 'self')
  t.equal(await chooseAccount(0, 'true'), 'namespace')
  t.equal(await chooseAccount(0, 'false'), 'nobody', 'namespaces are not allowed')
  t.equal(await chooseAccount(0, '/nowhere/unshare'), 'nobody', 'a system without namespaces')
})

t.test('programs run under the account, and see no variable of ours that PostgreSQL would heed', (t) => {
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

t.test('a folder goes to the account with all that is in it', asRoot, async (t) => {
  const directory = await temporaryDirectory(t)
  await mkdir(join(directory, 'inside'))
  for (const [account, owner] of [
    ['self', 0],
    ['nobody', 65534],
    ['nobody', 65534],
    ['self', 65534],
    ['namespace', 0],
  ] as const) {
    await handOver(account, directory)
    t.equal((await stat(join(directory, 'inside'))).uid, owner, account)
  }
})

t.test('binaries that the account cannot execute are copied, once', asRoot, async (t) => {
  const directory = await temporaryDirectory(t)
  const found = await findEmbeddedPostgres()
  const hidden = join(directory, 'hidden')
  await cp(dirname(dirname(found.postgres)), hidden, { recursive: true, verbatimSymlinks: true })
  const binaries = { ...found, postgres: join(hidden, 'bin', 'postgres'), initdb: join(hidden, 'bin', 'initdb') }
  t.equal(await reachableBinaries('nobody', binaries, directory), binaries)
  await chmod(hidden, 0o700)
  t.equal(await reachableBinaries('self', binaries, directory), binaries)

  const copies = await Promise.all([1, 2].map(() => reachableBinaries('nobody', binaries, directory)))
  copies.push(await reachableBinaries('nobody', binaries, directory))
  for (const copy of copies) t.match(copy.postgres, join(directory, `postgresql-${found.version}`))
  t.same((await readdir(directory)).sort(), ['hidden', `postgresql-${found.version}`])

  await t.rejects(
    reachableBinaries('nobody', { ...binaries, version: '0', postgres: '/nowhere/bin/postgres' }, directory),
    {
      name: 'StartupError',
      message: /^cannot copy PostgreSQL to .*postgresql-0: ENOENT/,
    },
  )
  t.same((await readdir(directory)).length, 2)
})
