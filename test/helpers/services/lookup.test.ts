import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import t from 'tap'
import { temporaryDirectory } from '../temporary-directory.ts'
import { findChromium } from './find-chromium.ts'
import { findPostgres } from './find-postgres.ts'
import { folderWith } from './find-program.ts'
import { findRedis } from './find-redis.ts'
import { summarize } from './summarize.ts'

/** A folder with programs that print one line. */
async function programs(folder: string, lines: Readonly<Record<string, string>>): Promise<string> {
  await mkdir(folder, { recursive: true })
  for (const [name, line] of Object.entries(lines)) {
    await writeFile(join(folder, name), `#!/bin/sh\necho '${line}'\n`)
    await chmod(join(folder, name), 0o755)
  }
  return folder
}

t.test('programs come from the first folder that has all of them', async (t) => {
  const root = await temporaryDirectory(t)
  const one = await programs(join(root, 'one'), { initdb: '' })
  const two = await programs(join(root, 'two'), { initdb: '', postgres: '' })
  await writeFile(join(one, 'postgres'), 'not executable')
  t.equal(await folderWith(['postgres', 'initdb'], ['', root, one, two].join(delimiter)), two)
  t.equal(await folderWith(['postgres', 'initdb'], one), undefined)
  t.equal(await folderWith(['postgres', 'initdb']), undefined)
})

t.test('PostgreSQL: the PATH, then Debian’s folders, the newest first, then npm', async (t) => {
  const root = await temporaryDirectory(t)
  const server = (version: string) => ({ postgres: `postgres (PostgreSQL) ${version}`, initdb: '' })
  const onPath = await programs(join(root, 'bin'), server('14.1'))
  for (const version of ['9', '15', '17']) await programs(join(root, 'debian', version, 'bin'), server(`${version}.2`))
  const debian = join(root, 'debian')
  t.match(await findPostgres(onPath, debian), { binaries: { version: '14.1' }, from: onPath })
  t.match(await findPostgres('', debian), {
    binaries: { version: '17.2', majorVersion: '17' },
    from: join(debian, '17', 'bin'),
  })
  t.match(await findPostgres('', join(root, 'nothing')), { binaries: { majorVersion: '18' }, from: 'npm' })
})

t.test('Redis: valkey-server or redis-server of the PATH, then the cache, then a download', async (t) => {
  const root = await temporaryDirectory(t)
  const cache = join(root, 'cache')
  const redis = await programs(join(root, 'redis'), { 'redis-server': 'Redis server v=7.0.1 sha=0' })
  const valkey = await programs(join(root, 'valkey'), { 'valkey-server': 'Valkey server v=8.1.0 sha=0' })
  const broken = await programs(join(root, 'broken'), { 'valkey-server': 'Killed' })
  let downloads = 0
  const download = async ({ cache: folder }: { cache: string }) => {
    downloads++
    await programs(join(folder, 'usr', 'bin'), { 'redis-server': 'Redis server v=7.0.9 sha=0' })
    await mkdir(join(folder, 'usr', 'lib', 'some-linux-gnu'), { recursive: true })
    return true
  }
  const find = (path: string) => findRedis({ path, cache, download })
  t.match(await find([redis, valkey].join(delimiter)), { version: '8.1.0', program: join(valkey, 'valkey-server') })
  t.match(await find([broken, redis].join(delimiter)), { version: '7.0.1', program: join(redis, 'redis-server') })
  t.equal(downloads, 0)
  t.match(await find(root), { version: '7.0.9', env: { LD_LIBRARY_PATH: join(cache, 'usr', 'lib', 'some-linux-gnu') } })
  t.match(await find(root), { version: '7.0.9' })
  t.equal(downloads, 1)
  await t.rejects(findRedis({ path: '', cache: join(root, 'none'), download: async () => false }), {
    name: 'StartupError',
    message: 'no Redis to test with: install redis-server or valkey-server, or set REDIS_URL',
  })
})

t.test('Chromium: any on the PATH, then the cache, then a download with a message', async (t) => {
  const root = await temporaryDirectory(t)
  const cache = join(root, 'cache')
  const onPath = await programs(join(root, 'bin'), { chromium: 'Chromium 150.0.1.2 built on Debian' })
  const broken = await programs(join(root, 'broken'), { 'google-chrome': 'Killed' })
  const said: string[] = []
  const download = async ({ cache: folder }: { cache: string }) => {
    await programs(join(folder, 'usr', 'lib', 'chromium'), { 'chromium-headless-shell': 'Chromium 151.0.1.2' })
    await mkdir(join(folder, 'lib', 'some-linux-gnu', 'deeper'), { recursive: true })
    return true
  }
  const find = (path: string) => findChromium({ path, cache, download, say: (text) => said.push(text) })
  t.match(await find([broken, onPath].join(delimiter)), { version: '150.0.1.2', env: {} })
  t.same(said, [])
  const found = await find(broken)
  t.match(found, { version: '151.0.1.2', env: { FONTCONFIG_FILE: join(cache, 'fonts.conf') } })
  t.match(found.env['LD_LIBRARY_PATH'], join(cache, 'lib', 'some-linux-gnu', 'deeper'))
  await find('')
  t.match(said, [/^Downloading/])
  await t.rejects(findChromium({ path: '', cache: join(root, 'none'), download: async () => false }), {
    name: 'StartupError',
    message: /^no Chromium to test with: install chromium/,
  })
})

const hasApt = (await folderWith(['apt-get', 'dpkg-deb'], process.env['PATH'])) !== undefined
const isOnline = process.env['POPULAR_POSTS_TEST_DOWNLOAD'] !== undefined
const downloading = {
  skip: hasApt && isOnline ? false : 'set POPULAR_POSTS_TEST_DOWNLOAD to try the download (5 s, needs apt)',
}

t.test('parallel downloads fill the cache once, atomically', downloading, async (t) => {
  const root = await temporaryDirectory(t)
  const cache = join(root, 'below', 'redis')
  await mkdir(join(cache, 'usr', 'bin'), { recursive: true }) // One that does not run is no obstacle.
  const find = () => findRedis({ path: '', cache })
  const [one, two] = await Promise.all([find(), find()])
  t.match(one, { version: /^\d+\./ })
  t.same(two, one)
  t.same(await readdir(join(root, 'below')), ['redis'])
})

t.test('the summary has the counts of tap', (t) => {
  const cases = [
    ['# { total: 4, pass: 4 }\n# time=1ms', '4 passed, 0 failed'],
    [
      '    # { total: 9, pass: 9 }\n# { total: 6, pass: 3, fail: 1, todo: 1, skip: 1 }',
      '3 passed, 1 failed, 2 skipped',
    ],
    ['', '0 passed, 1 failed'],
  ] as const
  for (const [results, line] of cases) t.equal(summarize(results), line)
  t.end()
})
