import { appendFile, copyFile, mkdir, rename, symlink, truncate, unlink, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { openGrowingLog } from '../../../bin/import-log/growing-log.ts'
import { findRotated, findSuccessor } from '../../../bin/import-log/rotated-files.ts'

async function setUp(t: Test, text = '') {
  const path = join(t.testdir({ 'access.log': text }), 'access.log')
  const clock = { nowMs: 0 }
  const log = await openGrowingLog(path, () => clock.nowMs)
  t.teardown(() => log.close())
  const read = async () => {
    const lines: string[] = []
    for await (const some of log.readNew()) lines.push(...some.map(({ bytes }) => bytes.toString()))
    return lines
  }
  return { path, log, read, clock, rotated: `${path}.1` }
}

t.test('whole lines are read once, as the log grows', async (t) => {
  const { path, read, log } = await setUp(t, 'a\nb\nhal')
  t.strictSame(await read(), ['a', 'b'])
  t.strictSame(await read(), [])
  await appendFile(path, 'f\r\nc')
  t.strictSame(await read(), ['half'])
  await appendFile(path, `\n${'x'.repeat(3_000_000)}\nd\n`)
  t.strictSame(
    (await read()).map((line) => line.length),
    [1, 65_536, 1],
  )
  t.equal(log.rotation(), undefined)
})

t.test('after a rename, lines of both files are read, until the old one has not grown for ten minutes', async (t) => {
  const { path, rotated, read, clock, log } = await setUp(t, 'a\n')
  t.strictSame(await read(), ['a'])
  await appendFile(path, 'b\n')
  await rename(path, rotated)
  t.strictSame(await read(), ['b'], 'there is no file yet')
  await appendFile(rotated, 'c')
  await writeFile(path, 'd\n')
  t.strictSame(await read(), ['d'])
  await appendFile(rotated, '\n')
  clock.nowMs = 599_000
  t.strictSame(await read(), ['c'], 'a server that still has the old file open')
  clock.nowMs += 599_000
  await appendFile(rotated, 'e\n')
  await appendFile(path, 'f\n')
  t.strictSame(await read(), ['e', 'f'])
  clock.nowMs += 600_000
  t.strictSame(await read(), [])
  await appendFile(rotated, 'too late\n')
  t.strictSame(await read(), [])
  t.equal(log.rotation(), undefined)
  for (const line of ['g', 'h']) {
    await rename(path, rotated)
    await writeFile(path, `${line}\n`)
    t.strictSame(await read(), [line], 'rotated again')
    t.equal(log.rotation(), 'rename')
    t.strictSame(await log.rotatedSince(0), [], 'the renamed file is read anyway')
  }
})

t.test('a truncated file is read from its start, also if it has grown as long as it was', async (t) => {
  const { path, read, log } = await setUp(t, `${'a'.repeat(100)}\nb`)
  t.equal((await read()).length, 1)
  await truncate(path)
  t.strictSame(await read(), [])
  t.equal(log.rotation(), 'copy')
  t.strictSame(await read(), [])
  t.equal(log.rotation(), undefined)
  await appendFile(path, 'c\nd\n')
  t.strictSame(await read(), ['c', 'd'])
  await writeFile(path, 'e\nf\ng\n')
  t.strictSame(await read(), ['e', 'f', 'g'])
  t.equal(log.rotation(), 'copy')
})

t.test('a file that is truncated while it is read is read on from its start', async (t) => {
  const { path, read, log } = await setUp(t, `a\n${'x'.repeat(2_000_000)}\n`)
  for await (const [first] of log.readNew()) {
    t.equal(first?.bytes.toString(), 'a')
    await truncate(path)
  }
  await appendFile(path, 'b\n')
  t.strictSame(await read(), ['b'])
  t.equal(log.rotation(), 'copy')
})

t.test('what is no plain file is refused', async (t) => {
  const { path, rotated, read } = await setUp(t)
  const dir = join(path, '..')
  await writeFile(`${path}.gz`, gzipSync('a\n'))
  await writeFile(`${path}.utf16`, Buffer.from('\ufeffa\n', 'utf16le'))
  const refused = (name: string, message: RegExp) =>
    t.rejects(
      openGrowingLog(name, () => 0),
      { message },
      name,
    )
  await refused(dir, /^--follow needs files that a server writes, as text in UTF-8: .* is no file\.$/)
  await refused('/dev/null', /is no file\.$/)
  await refused(`${path}.gz`, /access\.log\.gz is compressed, or UTF-16\.$/)
  await refused(`${path}.utf16`, /is compressed, or UTF-16\.$/)
  await refused(`${path}.none`, /^Cannot open .*access\.log\.none: ENOENT/)
  await rename(path, rotated)
  await mkdir(path)
  await t.rejects(read(), { message: /is no file\.$/ }, 'after a rotation, too')
})

t.test('rotated files are beside the log, and as new as the question', async (t) => {
  const { path, log } = await setUp(t)
  const dir = join(path, '..')
  const names = [
    ...['access.log.1', 'access.log.2.gz', 'access.log-20240229', 'access.log-20240228.gz', 'access.log.10.zst'],
    ...['access.1.log', 'access-1.log', 'access.1.log.gz', 'access-20240229.log.bz2', 'access_2024-02-29.log'],
    ...['access-2024-02-29T10-00-00.000.log', 'access-2024-02-29T10-00-00.000.log.gz', 'access.log.1709200800'],
    ...['access.log_2024-02-29', 'access.log.2024-02-29-10_00_00', '20240229-1400-01-access.log', 'access.log~'],
    ...['access.log.old', 'access.old.log', 'access.log.bak', 'access.log.old.xz', 'access.log.prev'],
  ]
  const others = ['access_log.1', 'other.log.1', 'access.log2', 'access2.log', 'accessXlog.1', 'access.ssl.1.log']
  for (const name of [...names, ...others, 'error.log.1', 'access.log.swp', 'blog-access.log', 'access.json'])
    await writeFile(join(dir, name), '')
  await mkdir(join(dir, 'access.log.3'))
  await symlink('nowhere', join(dir, 'access.log.4'))
  const found = async (sinceMs: number) => (await log.rotatedSince(sinceMs)).map((file) => file.slice(dir.length + 1))
  t.strictSame(await found(0), names.toSorted())
  await utimes(join(dir, 'access.log.2.gz'), 1000, 1000)
  t.strictSame(
    await found(1_000_001),
    names.toSorted().filter((name) => !name.endsWith('2.gz')),
  )
  await copyFile(path, join(dir, 'access.log.5'))
  await unlink(join(dir, 'access.log.1'))
  t.notOk((await found(0)).includes('access.log.1'))
})

t.test('rotated files of a log without an extension', async (t) => {
  const dir = t.testdir({ access_log: '', 'access_log.1': '', 'access_log-20240229.gz': '', 'access_log.1.old': '' })
  const found = await findRotated(join(dir, 'access_log'))
  t.strictSame(
    found.map(({ file }) => basename(file)),
    ['access_log-20240229.gz', 'access_log.1', 'access_log.1.old'],
  )
})

t.test('a log with a date in its name is continued by a file with another date that has grown since', async (t) => {
  const names = [
    'u_ex240228.log',
    'u_ex240229.log',
    'u_ex240301.log',
    'u_ex240302.log',
    'error240302.log',
    'x1.log',
    'x2.log',
  ]
  const dir = t.testdir(Object.fromEntries(names.map((name) => [name, ''])))
  const successorOf = async (name: string) => basename((await findSuccessor(join(dir, name))) ?? '')
  const setTime = (name: string, seconds: number) => utimes(join(dir, name), seconds, seconds)
  await Promise.all([
    setTime('u_ex240228.log', 0),
    setTime('u_ex240229.log', 86_400),
    setTime('u_ex240301.log', 86_999),
  ])
  await Promise.all([setTime('u_ex240302.log', 86_999), setTime('x1.log', 0)])
  t.equal(await successorOf('u_ex240229.log'), '', 'less than ten minutes')
  await setTime('u_ex240301.log', 87_000)
  t.equal(await successorOf('u_ex240229.log'), 'u_ex240301.log')
  await setTime('u_ex240302.log', 87_001)
  t.equal(await successorOf('u_ex240229.log'), 'u_ex240302.log', 'the last one')
  t.equal(await successorOf('x1.log'), '', 'a number is no date')
  await unlink(join(dir, 'u_ex240229.log'))
  t.equal(await successorOf('u_ex240229.log'), '', 'there is no log now')
})

t.test('the last line of a renamed log counts without a line end, when the log is finished', async (t) => {
  const { path, rotated, read, clock } = await setUp(t, 'a\nb')
  t.strictSame(await read(), ['a'])
  await rename(path, rotated)
  await writeFile(path, 'c\nd')
  t.strictSame(await read(), ['c'])
  clock.nowMs = 600_000
  t.strictSame(await read(), ['b'], 'it has not grown for ten minutes')
  await rename(path, rotated)
  await writeFile(path, 'e\n')
  t.strictSame(await read(), ['e'])
  await unlink(rotated)
  await rename(path, rotated)
  await writeFile(path, 'f\n')
  t.strictSame(await read(), ['d', 'f'], 'it is rotated again')
})
