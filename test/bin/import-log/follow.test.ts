import { appendFile, copyFile, mkdir, open, rename, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { followLogs } from '../../../bin/import-log/follow.ts'
import { openGrowingLog } from '../../../bin/import-log/growing-log.ts'
import type { LogCounterOptions } from '../../../bin/import-log/log-counter.ts'
import { addPosts, bruteForce, type Hit, logOf, POST, readDailyViews, readTotals } from '../../helpers/access-log.ts'
import { createTestDatabase, type TestDatabase } from '../../helpers/postgres.ts'
import { command } from '../../helpers/service.ts'
import { until } from '../../helpers/services/until.ts'

const sum = (counts: Record<string, number>) => Object.values(counts).reduce((all, some) => all + some, 0)

/** Requests, each of which is a view. */
function createWriter() {
  const hits: Hit[] = []
  return {
    hits,
    next(count: number): string {
      const begin = hits.length
      for (let i = begin; i < begin + count; i++)
        hits.push({ second: i, visitor: 1 + (i % 250), target: `/blog/${i % 7}` })
      return logOf(hits.slice(begin))
    },
  }
}

t.test('a process follows a log over rotations of both kinds, kill -9 and a rotation while it is down', async (t) => {
  const { db, url } = await createTestDatabase(t)
  const path = join(t.testdir({}), 'access.log')
  const writer = createWriter()
  await writeFile(path, writer.next(40))
  const args = ['import-log', path, '--follow', '--post', '/blog/', '--create-posts']
  const start = () => command(t, args, { DATABASE_URL: url })
  const isCounted = () =>
    until(async () => sum(await readTotals(db)) === writer.hits.length, `all ${writer.hits.length} lines are counted`)

  let following = start()
  await isCounted()
  t.match(following.stdout(), `Following ${path}: Ctrl-C ends it.\n`)
  const [whole = '', half = ''] = [writer.next(10), writer.next(1)]
  await appendFile(path, whole + half.slice(0, 30))
  await until(async () => sum(await readTotals(db)) === 50, 'whole lines are counted')
  await appendFile(path, half.slice(30))

  await rename(path, `${path}.1`)
  await appendFile(`${path}.1`, writer.next(10))
  await writeFile(path, writer.next(10))
  await appendFile(`${path}.1`, writer.next(10))
  await isCounted()

  await rename(`${path}.1`, `${path}.2`)
  await appendFile(path, writer.next(20))
  await copyFile(path, `${path}.1`)
  await truncate(path)
  await appendFile(path, writer.next(10))
  await isCounted()

  for (let rotations = 0; rotations < 3; rotations++) {
    await appendFile(path, writer.next(3))
    await rename(path, `${path}.4${rotations}`)
    await writeFile(path, writer.next(1))
  }
  await isCounted()

  // Killed while it counts.
  await appendFile(path, writer.next(600))
  await until(async () => sum(await readTotals(db)) > 130, 'it counts')
  following.child.kill('SIGKILL')
  await following.ended()
  await appendFile(path, writer.next(30))
  await rename(path, `${path}.3`)
  await writeFile(path, writer.next(20))

  following = start()
  await isCounted()
  await appendFile(path, writer.next(5))
  await isCounted()
  t.equal(await following.stop(), 0, following.stderr())
  t.match(following.stdout(), /^views counted +\d+/m)
  t.match(following.stdout(), /To take the views of this import back: popular-posts import-log --undo 2$/m)
  t.equal(following.stderr(), '')
  t.strictSame(await readDailyViews(db), bruteForce(writer.hits))
})

/** Follows logs of a folder in this process. */
async function follow(t: Test, { db }: TestDatabase, paths: string[], options: Partial<LogCounterOptions> = {}) {
  const ending = new AbortController()
  const warnings: string[] = []
  const logs = await Promise.all(paths.map((path) => openGrowingLog(path, Date.now)))
  t.teardown(() => Promise.all(logs.map((log) => log.close())))
  let [lines, polls] = [-1, 0]
  const counting = { db, timeZone: 'UTC', dedupSeconds: 900, nowMs: Date.now, post: POST, createPosts: true }
  const running = followLogs({
    ...counting,
    ...options,
    logs,
    source: paths.join(', '),
    signal: ending.signal,
    warn: (sentence) => warnings.push(sentence),
    onProgress: (progress) => {
      lines = progress.lines
      polls++
    },
  })
  return {
    warnings,
    running,
    hasPolled: (count: number) => until(() => polls >= count, `the files are read ${count} times`),
    hasRead: (count: number) => until(() => lines >= count, `${count} lines are read`),
    end() {
      ending.abort()
      return running
    },
  }
}

t.test('several logs are one import, until the signal', async (t) => {
  const database = await createTestDatabase(t)
  const dir = t.testdir({ a: logOf([{ second: 0, target: '/blog/a' }]), b: '' })
  const paths = [join(dir, 'a'), join(dir, 'b')]
  const { hasRead, end, warnings } = await follow(t, database, paths)
  await hasRead(1)
  await appendFile(join(dir, 'b'), logOf([{ second: 1, visitor: 2, target: '/blog/a' }]))
  await hasRead(2)
  t.match(await end(), {
    lines: 2,
    viewsCounted: 2,
    importId: '1',
    stoppedBy: undefined,
    top: [{ slug: 'a', views: 2 }],
  })
  const imports = await database.db.selectFrom('post_views_log_import').select('source').execute()
  t.strictSame(imports, [{ source: paths.join(', ') }])
  t.strictSame(warnings, [])
})

t.test('an ended signal reads nothing', async (t) => {
  const database = await createTestDatabase(t)
  const path = join(t.testdir({ 'access.log': logOf([{ second: 0, target: '/blog/a' }]) }), 'access.log')
  const { end } = await follow(t, database, [path])
  t.match(await end(), { lines: 0, viewsCounted: 0 })
})

t.test('lines right before a truncation are counted from the copy; a missing or damaged one is said', async (t) => {
  const database = await createTestDatabase(t)
  const path = join(t.testdir({ 'access.log': logOf([{ second: 0, target: '/blog/a' }]) }), 'access.log')
  const { hasRead, end, warnings } = await follow(t, database, [path])
  await hasRead(1)
  await truncate(path)
  await until(() => warnings.length === 1, 'it warns')
  t.match(
    warnings[0],
    /access\.log was truncated, and there is no copy beside it: .* a copy elsewhere: popular-posts import-log FILE/,
  )
  await writeFile(`${path}.1.gz`, gzipSync(logOf([{ second: 1, visitor: 2, target: '/blog/a' }])).subarray(0, -4))
  const file = await open(path, 'a')
  await file.write(logOf([{ second: 2, visitor: 3, target: '/blog/a' }]))
  await hasRead(2)
  await file.truncate()
  await until(() => warnings.length === 2, 'it warns again')
  t.match(warnings[1], /access\.log\.1\.gz: The gzip data cannot be read to its end/)
  await file.close()
  t.match(await end(), { viewsCounted: 3 })
})

t.test('what was rotated since the last visit of an import of the same log is read first', async (t) => {
  const database = await createTestDatabase(t)
  const [now, path] = [Math.floor(Date.now() / 1000), join(t.testdir({}), 'access.log')]
  const line = (visitor: number, time: number) =>
    logOf([{ second: 0, visitor, target: '/blog/a' }]).replace(
      /\[.*\]/,
      `[${new Date(time * 1000).toUTCString().replace(/^\w+, (\d+) (\w+) (\d+) (.*) GMT$/, '$1/$2/$3:$4')} +0000]`,
    )
  // The date of a line may be wrong.
  await writeFile(path, line(1, now - 60) + line(3, now + 40 * 86_400))
  await writeFile(`${path}.1`, line(2, now - 120))
  const first = await follow(t, database, [path])
  await first.hasRead(2)
  t.match(await first.end(), { lines: 2, viewsCounted: 2 }, 'the first time only the named file is read')
  const second = await follow(t, database, [path])
  await second.hasRead(3)
  t.match(await second.end(), { lines: 3, viewsCounted: 1, viewsCountedBefore: 2 })
  t.strictSame(await readTotals(database.db), { a: 3 })
})

t.test('a rotated file that cannot be found is said once; its import by hand ends it', async (t) => {
  const database = await createTestDatabase(t)
  const dir = t.testdir({ archive: {}, 'access.log': logOf([{ second: 0, target: '/blog/a' }]) })
  const [path, archived] = [join(dir, 'access.log'), join(dir, 'archive', 'moved')]
  const first = await follow(t, database, [path])
  await first.hasRead(1)
  await first.end()
  const isSaid = async (sentence: RegExp, lines: number) => {
    const { hasRead, end, warnings } = await follow(t, database, [path])
    await hasRead(lines)
    await end()
    t.equal(warnings.length, 1)
    t.match(warnings[0], sentence)
  }

  await rename(path, archived)
  await writeFile(path, '')
  await isSaid(
    /^No view that an earlier import of .*access\.log counted is in it \(no rotated file was found beside it\)/,
    0,
  )
  await writeFile(`${path}.1`, logOf([{ second: 2, visitor: 2, target: '/blog/a' }]))
  await isSaid(/\(nor in .*access\.log\.1\): .* popular-posts import-log FILE, with the options of this command/, 1)

  await rename(archived, join(dir, 'access.old.log'))
  const last = await follow(t, database, [path])
  await last.hasRead(2)
  t.match(await last.end(), { viewsCounted: 0, viewsCountedBefore: 2 })
  t.strictSame(last.warnings, [])
  t.strictSame(await readTotals(database.db), { a: 2 })
})

t.test('a log with a date in its name: it is said once that the server writes another file', async (t) => {
  const database = await createTestDatabase(t)
  const dir = t.testdir({ 'ex240229.log': '', 'ex240301.log': '' })
  const path = join(dir, 'ex240229.log')
  await utimes(path, 0, 0)
  const { end, warnings, hasPolled } = await follow(t, database, [path])
  await hasPolled(2)
  await end()
  t.equal(warnings.length, 1)
  t.match(
    warnings[0],
    /ex240229\.log has not grown for ten minutes, but .*ex240301\.log has\. If the server writes there/,
  )
})

t.test('a log that becomes unreadable, and lines that cannot be read, end it', async (t) => {
  const database = await createTestDatabase(t)
  await addPosts(database.db, 'a')
  const dir = t.testdir({ a: '', b: logOf([{ second: 0, target: '/blog/a' }]) })
  const { hasRead, running } = await follow(t, database, [join(dir, 'a'), join(dir, 'b')])
  await hasRead(1)
  await rename(join(dir, 'b'), join(dir, 'b.1'))
  await mkdir(join(dir, 'b'))
  t.match(await running, { viewsCounted: 1, stoppedBy: { message: /b is no file\.$/ }, stoppedAt: 1 })

  const other = await follow(t, database, [join(dir, 'a')])
  await appendFile(join(dir, 'a'), 'no log\n'.repeat(9))
  await other.hasRead(9)
  await appendFile(join(dir, 'a'), 'no log\n')
  t.match(await other.running, { lines: 10, malformed: 10, stoppedBy: undefined })

  await database.db.schema.dropTable('post_views_log_visits').execute()
  await writeFile(join(dir, 'a'), logOf([{ second: 0, target: '/blog/a' }]))
  const lost = await follow(t, database, [join(dir, 'a')])
    .then(({ running }) => running)
    .catch((error) => error)
  t.match(lost, { code: '42P01' }, 'an error of PostgreSQL')
})
