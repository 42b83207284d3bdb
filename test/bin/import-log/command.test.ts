import { appendFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { Command, CommanderError } from 'commander'
import type { Kysely } from 'kysely'
import pg from 'pg'
import t from 'tap'
import { importLogCommand } from '../../../bin/import-log/command.ts'
import { databaseName } from '../../../db/database-name.ts'
import type { Database } from '../../../db/schema.ts'
import { addPosts, LOG_BEGINS, logLine, logOf, readTotals } from '../../helpers/access-log.ts'
import { createTestDatabase } from '../../helpers/postgres.ts'
import { until } from '../../helpers/services/until.ts'

const LOG = logOf([
  { second: 0, target: '/blog/a' },
  { second: 1, visitor: 2, target: '/blog/a' },
  { second: 2, target: '/blog/b' },
])
const POST = ['--post', '/blog/']
const ADDRESS = 'http://127.0.0.1:3000'
const NEXT = `Try next, while the service runs: open ${ADDRESS}, or curl '${ADDRESS}/posts/popular?limit=5&days=0'\n`

interface Surroundings {
  ignore?: string[]
  db?: Kysely<Database>
  stdin?: string | Buffer | Readable
  isTTY?: boolean
  beforeCreatingPosts?: () => Promise<void>
  isMissing?: boolean
  signal?: AbortSignal
}

/** Runs `popular-posts import-log`; `code` is its exit code. */
async function run(args: string[], surroundings: Surroundings) {
  const { db, stdin, isTTY = false, ignore = [], beforeCreatingPosts, isMissing = false } = surroundings
  const outputs = { stdout: '', stderr: '' }
  const stream = (name: keyof typeof outputs) => {
    const output = new PassThrough()
    output.on('data', (text) => {
      outputs[name] += text
    })
    return Object.assign(output, { isTTY })
  }
  const [stdout, stderr] = [stream('stdout'), stream('stderr')]
  let closed = 0
  const command = importLogCommand({
    findDatabase: async () => ({ name: 'blog of PostgreSQL', isMissing }),
    signal: surroundings.signal ?? new AbortController().signal,
    async openDatabase() {
      if (db === undefined) throw new Error('the database was opened')
      const close = async () => {
        closed++
      }
      return {
        db,
        timeZone: 'UTC',
        dedupSeconds: 900,
        ignore,
        days: undefined,
        address: ADDRESS,
        close,
        beforeCreatingPosts,
      }
    },
    stdin:
      stdin === undefined
        ? Object.assign(Readable.from([]), { isTTY: true })
        : stdin instanceof Readable
          ? stdin
          : Readable.from([stdin]),
    stdout,
    stderr,
    nowMs: () => LOG_BEGINS,
  })
  command
    .exitOverride()
    .configureOutput({ writeErr: (text) => stderr.write(text), writeOut: (text) => stdout.write(text) })
  const program = new Command('popular-posts').addCommand(command)
  try {
    await program.parseAsync(['import-log', ...args], { from: 'user' })
    return { ...outputs, code: 0, closed }
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return { ...outputs, code: error.exitCode, closed }
  }
}

t.test('a file is imported, and the summary has its counts', async (t) => {
  const { db } = await createTestDatabase(t)
  const file = join(t.testdir({ 'access.log': LOG }), 'access.log')
  const first = await run([file, ...POST, '--create-posts'], { db })
  t.strictSame(first, {
    code: 0,
    stderr: '',
    closed: 1,
    stdout: `Database: blog of PostgreSQL
lines read      3
views counted   3   2 new posts were created
counted before  0
bots            0
repeats         0
unknown         0
other requests  0
malformed       0

The most viewed posts of this import:
  A (a)  2
  B (b)  1

The new posts link to pages of the service. To link them to the blog, import again with --base-url, such as
--base-url https://blog.example: no view is counted twice.
To take the views of this import back: popular-posts import-log --undo 1
${NEXT}`,
  })
  const second = await run([file, ...POST, '--create-posts'], { db })
  t.match(second.stdout, /views counted {3}0\ncounted before {2}3 {3}by an earlier import of this log\n/)
  t.match(second.stdout, /\n\nThis log was imported before: nothing was counted twice\.\nTry next, /)
  const linked = await run([file, ...POST, '--create-posts', '--base-url', 'https://blog.example'], { db })
  t.match(linked.stdout, /views counted {3}0 {3}2 posts now link to the blog\n/)
  t.match(linked.stdout, `nothing was counted twice.\n${NEXT}`)
  t.match(await db.selectFrom('posts').select('url').orderBy('slug').execute(), [
    { url: 'https://blog.example/blog/a' },
    { url: 'https://blog.example/blog/b' },
  ])
  t.strictSame(await readTotals(db), { a: 2, b: 1 })
})

t.test('standard input is read when no file is named, or -', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a')
  t.match(await run([], { db, stdin: LOG }), { code: 0, stdout: /views counted {3}2\n/ })
  t.match(await run(['-'], { db, stdin: gzipSync(LOG) }), { code: 0, stdout: /nothing was counted twice/ })
})

t.test('for unknown slugs the output says what to do', async (t) => {
  const { db } = await createTestDatabase(t)
  const withPattern = await run(POST, { db, stdin: LOG })
  t.match(withPattern.stdout, /unknown {9}3 {3}there are no posts with their slugs/)
  t.match(withPattern.stdout, 'Add --create-posts to create posts for the slugs of 3 unknown views.')
  t.match(
    (await run([], { db, stdin: LOG })).stdout,
    /Name the paths of posts with --post, such as --post \/blog\/, .*--create-posts\./,
  )
  const elsewhere = await run(['--post', '/posts/', '--create-posts'], { db, stdin: LOG })
  t.match(elsewhere.stdout, 'No request matches --post: compare --post with the paths in the log (for')
  t.notMatch(elsewhere.stdout, /Try next|--base-url/)
  const impossible = logOf([{ second: 0, target: '/blog/%00' }])
  t.notMatch((await run([...POST, '--create-posts'], { db, stdin: impossible })).stdout, 'Add --create-posts')
})

t.test('odd logs are explained', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a')
  const refused = await run([], { db, stdin: '{"a":"\\u001b"}\n\x1b[31m\n' })
  t.match(refused, {
    code: 1,
    stdout: /malformed +2/,
    stderr:
      'error: No line could be read. The first is: {"a":"\\u001b"}\nIt is JSON, but an address, a time, a method, a path or a status under a usual name is missing.\nIf it is a line of an access log, say its format with --format: see --help.\n',
  })
  const mixed = await run([], { db, stdin: `${LOG}\x1b[31mred\n` })
  t.match(mixed, { code: 0, stdout: 'The first malformed line: \\u001b[31mred\n' })
  t.match((await run([], { db, stdin: '' })).stdout, /^Database: .*\nlines read {6}0\n/)
  const common = logLine({ second: 0, target: '/blog/a' }).replace(/ "-" ".*"$/, '\n')
  t.match(
    (await run([], { db, stdin: common })).stdout,
    /bots {12}0 {3}1 line has no user agent: bots cannot be recognised\n/,
  )
})

t.test('readers behind a proxy that the log does not name are warned of', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a')
  const line = (second: number, address: string) =>
    `${logLine({ second, target: '/blog/a' }).replace('10.0.0.1', address)}\n`
  const log = Array.from({ length: 20 }, (_, second) => line(second, second % 2 === 0 ? '172.18.0.1' : 'unix:')).join(
    '',
  )
  const warning = /All requests come from 172\.18\.0\.1, unix:: if that is a proxy, its readers are counted as one\./
  t.match(await run(POST, { db, stdin: log }), { code: 0, stdout: warning })
  const named = [
    '--format',
    '$remote_addr - $remote_user [$time_local] "$request" $status $bytes "$http_referer" "$http_user_agent" "$http_x_forwarded_for"',
  ]
  const forwarded = log.replaceAll('\n', ' "203.0.113.9"\n')
  for (const format of [[], named]) {
    const { stdout } = await run([...POST, ...format], { db, stdin: forwarded })
    t.match(stdout, /All requests come from 203\.0\.113\.9: if/)
  }
  const readers = `${log}${line(30, '203.0.113.7')}${line(31, '203.0.113.8')}`
  t.notMatch((await run(POST, { db, stdin: readers })).stdout, 'All requests')
})

t.test('control characters in titles do not reach the terminal', async (t) => {
  const { db } = await createTestDatabase(t)
  await db.insertInto('posts').values({ slug: 'a', title: '\x1b[2Jhi\n', url: '/a' }).execute()
  await db.insertInto('posts').values({ slug: 'b', title: 'b', url: '/b' }).execute()
  const { stdout } = await run([], { db, stdin: LOG })
  t.match(stdout, '   [2Jhi  (a)  2\n')
  t.match(stdout, /^ {2}b +1$/m, 'a title that is the slug is not said twice')
})

t.test('the hook of the database is called before posts are made', async (t) => {
  const { db } = await createTestDatabase(t)
  let calls = 0
  const beforeCreatingPosts = async () => {
    calls++
  }
  await run([...POST, '--create-posts'], { db, stdin: LOG, beforeCreatingPosts })
  t.equal(calls, 1)
})

t.test('wrong arguments fail with one sentence, before anything is opened', async (t) => {
  const dir = t.testdir({ 'access.log': LOG, empty: { '.hidden': LOG, folder: {} } })
  const file = join(dir, 'access.log')
  const cases: [string[], RegExp][] = [
    [[file, '--post', '('], /^error: --post is neither a folder, such as \/blog\/, nor a regular expression: \(\n$/],
    [[file, '--post', '^/(.*)'], /^error: --post needs a folder, such as .*, got: \^\/\(\.\*\)\n$/],
    [[file, ...POST, '--base-url', 'https://blog.example'], /^error: --base-url needs --create-posts: .*\.\n$/],
    [[file, ...POST, '--create-posts', '--base-url', 'blog.example'], /^error: --base-url needs the address of .*\n$/],
    [[file, '--format', 'apache'], /^error: --format needs one of combined, json, w3c, .*, got: apache\n$/],
    [
      [file, '--format', '$status'],
      /^error: --format needs the address \(\$remote_addr, %h\), the time .*, got: \$status\n$/,
    ],
    [[file, '--create-posts'], /^error: --create-posts needs --post, such as .*\.\n$/],
    [[join(dir, 'none.log')], /^error: Cannot open .*none\.log: ENOENT: no such file or directory.*\n$/],
    [[join(dir, 'empty')], /^error: .*empty has no files, expected a log file, or a folder with logs\.\n$/],
    [[file, '--since', 'yesterday'], /^error: --since needs a day such as .*, got: yesterday\n$/],
    [[file, '--until', '2015-02-30'], /^error: --until needs a day .*, got: 2015-02-30\n$/],
    [[file, '--since', '2015-02-03T25:00Z'], /^error: --since needs a day .*\n$/],
    [[file, '--since', '2015-02-03T10:00'], /^error: --since needs .* a time with its zone .*\n$/],
    [[file, '--host', 'https://blog.example'], /^error: --host needs the name of a host, .*, got: https:.*\n$/],
    [[file, '--undo', '1'], /^error: --undo needs no log .*\n$/],
    [['--undo', '1', '--dry-run'], /^error: --undo needs no log .*\n$/],
    [['--undo', 'x'], /^error: --undo needs the id of an import, .*, got: x\n$/],
    [
      ['--follow'],
      /^error: --follow needs the files that a server writes, .*, not standard input, and no --dry-run\.\n$/,
    ],
    [[file, '-', '--follow'], /^error: --follow needs the files .*\n$/],
    [[file, '--follow', '--dry-run'], /^error: --follow needs the files .*\n$/],
    [[dir, '--follow'], /^error: --follow needs files that a server writes, as text in UTF-8: .* is no file\.\n$/],
    [
      [file, join(dir, 'none.log'), '--follow'],
      /^error: Cannot open .*none\.log: ENOENT: no such file or directory.*\n$/,
    ],
    [[], /^error: Expected a log: name a file, or pipe one in\.\n$/],
  ]
  for (const [args, stderr] of cases) t.match(await run(args, {}), { code: 1, stdout: '', stderr, closed: 0 })
})

t.test('a log with a read error: the readable part is counted and reported, and the exit code is 1', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b')
  const { code, stdout, stderr, closed } = await run([], { db, stdin: gzipSync(LOG).subarray(0, -4) })
  t.match(stdout, /views counted {3}3\n/)
  t.match(stderr, /^error: The gzip data cannot be read to its end: .* The lines before that were counted\.\n$/)
  t.strictSame({ code, closed }, { code: 1, closed: 1 })
})

t.test('after an error the database and the file are closed', async (t) => {
  const { db } = await createTestDatabase(t, { migrate: false })
  const file = join(t.testdir({ 'access.log': LOG }), 'access.log')
  await t.rejects(run([file], { db }), { code: '42P01' })
  const other = await createTestDatabase(t)
  t.match(await run([file], { db: other.db }), { closed: 1 })
  await t.rejects(run([file], {}), { message: 'the database was opened' })
})

t.test('a terminal shows progress: a bar for a file, lines for standard input', async (t) => {
  const { db } = await createTestDatabase(t)
  const file = join(t.testdir({}), 'access.log')
  await writeFile(file, LOG.repeat(5000))
  const ofFile = await run([file], { db, isTTY: true })
  t.match(ofFile.stderr, /█.* \d+% \| .* lines \| .* left/)
  t.notMatch(ofFile.stdout, '█')
  t.match((await run([], { db, stdin: LOG, isTTY: true })).stderr, '3 lines')
})

t.test('views that IGNORE names are not counted; a header that a log does not have is named', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b')
  const log = [
    logLine({ second: 0, target: '/blog/a' }),
    logLine({ second: 1, target: '/blog/a', visitor: 2 }),
    logLine({ second: 2, target: '/blog/a', visitor: 3, agent: 'Mozilla/5.0 Firefox/1.0 StatusCheck' }),
    logLine({ second: 3, target: '/blog/b', visitor: 4 }).replace('"-"', '"https://staff.example/preview"'),
    logLine({ second: 4, target: '/blog/b', visitor: 5 }).replace('10.0.0.5', '[2001:db8:7::9]:443'),
    logLine({ second: 5, target: '/blog/b', visitor: 6 })
      .replace(/"[^"]*" "[^"]*"$/, '')
      .trim(),
  ]
  const ignore = [
    '10.0.0.2',
    '2001:db8:7::/48',
    'user-agent: statuscheck',
    'referer: //staff.example/',
    'cookie: staff=',
  ]
  const { stdout } = await run(POST, { db, stdin: `${log.join('\n')}\n`, ignore })
  t.match(stdout, /^ignored +4 +by IGNORE; a log does not have the header cookie$/m)
  t.match(await readTotals(db), { a: 1, b: 1 })
  const again = await run(POST, { db, stdin: `${log.join('\n')}\n`, ignore: ['10.0.0.2'] })
  t.match(again.stdout, /^ignored +1 +by IGNORE$/m)
})

t.test('the database is named first; a missing one is created only where that is asked for', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b')
  t.match(await run([], { db, stdin: LOG }), { stdout: /^Database: blog of PostgreSQL\nlines read/ })
  const missing = await run([], { stdin: LOG, isMissing: true })
  t.match(missing, {
    code: 1,
    stdout: '',
    stderr: /^error: There is no database yet \(blog of PostgreSQL\): start .*\n$/,
  })
  t.match(await run(['--new-database'], { db, stdin: LOG, isMissing: true }), { code: 0 })
  const urls = {
    'postgres://me:secret@db.example/blog': 'blog of PostgreSQL at db.example:5432',
    'postgres://me:secret@[::1]:6543/blog?sslmode=disable': 'blog of PostgreSQL at [::1]:6543',
    'postgres://me:secret@/blog?host=/run/postgresql': 'blog of PostgreSQL at the socket in /run/postgresql',
  }
  for (const [url, name] of Object.entries(urls)) t.equal(databaseName(url), name)
  const { user } = pg.defaults
  t.teardown(() => {
    pg.defaults.user = user
  })
  pg.defaults.user = undefined
  t.equal(databaseName('postgres://db.example'), 'the default database of PostgreSQL at db.example:5432')
})

t.test('files and folders are one import, and a line in two of them counts once', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b')
  const [first = '', second = '', third = ''] = LOG.split(/(?<=\n)/)
  const dir = t.testdir({
    logs: { 'access.log.1': first + second, 'access.log.2.gz': gzipSync(first), old: {} },
    more: third,
  })
  const args = [join(dir, 'logs'), join(dir, 'more'), '-', '--json']
  const { stdout, stderr } = await run(args, { db, stdin: third })
  t.equal(stderr, 'Database: blog of PostgreSQL\n')
  t.match(JSON.parse(stdout), {
    lines: 5,
    viewsCounted: 3,
    repeats: 2,
    importId: '1',
    dryRun: false,
    top: [{ slug: 'a' }, {}],
  })
  const [kept] = await db.selectFrom('post_views_log_import').selectAll().execute()
  const files = ['logs/access.log.1', 'logs/access.log.2.gz', 'more'].map((name) => join(dir, name))
  t.equal(kept?.source, [...files, 'standard input'].join(', '))
})

t.test('a log that cannot be read to its end does not keep the others from being counted', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b')
  const cut = gzipSync(LOG).subarray(0, -4)
  const dir = t.testdir({ '1.gz': cut, '2.gz': cut, '3': logOf([{ second: 9, visitor: 9, target: '/blog/b' }]) })
  const { code, stdout, stderr } = await run([dir], { db })
  t.match(stdout, /views counted {3}4\n/)
  t.match(stderr, /^error: .*1\.gz: The gzip data cannot be read to its end: /)
  t.equal(code, 1)
  const { stoppedBy } = JSON.parse((await run([dir, '--json'], { db })).stdout) as { stoppedBy: string }
  t.match(stoppedBy, /^The gzip data cannot be read to its end: /)
  t.match(await run(['/dev/null'], { db }), { code: 0, stdout: /\nlines read +0\n/ }, 'no file, but a device')
})

t.test('a file in a folder that cannot be opened ends the command before anything is counted', async (t) => {
  const dir = t.testdir({ a: LOG, b: t.fixture('symlink', '/nowhere/at/all') })
  t.match(await run([dir], {}), { code: 1, stderr: /^error: Cannot open .*\/b: ENOENT/, closed: 0 })
})

t.test('--since and --until take days of the site, and times', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a')
  const hours = Array.from({ length: 6 }, (_none, hour) => ({ second: hour * 3600, target: '/blog/a' }))
  const stdin = logOf(hours)
  for (const [args, viewsCounted] of [
    [['--until', '2015-05-18'], 2],
    [['--since', '2015-05-18', '--until', '2015-05-18T01:00:00Z'], 1],
    [['--since', '2015-05-18T04:00:00+01:00'], 1],
    [[], 2],
  ] as const) {
    const { stdout } = await run([...args, '--json'], { db, stdin })
    t.match(JSON.parse(stdout), { lines: 6, viewsCounted })
  }
  t.match((await run(['--since', '2015-05-18'], { db, stdin })).stdout, /outside {9}2 {3}by --since and --until\n/)
})

t.test('--host counts the requests to one host, and refuses a log that names none', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b')
  const [first = '', second = '', third = ''] = LOG.split(/(?<=\n)/)
  const stdin = `blog.example:443 ${first}Shop.example:443 ${second}www.blog.example:80 ${third}`
  const { stdout } = await run(['--host', 'Blog.example'], { db, stdin })
  t.match(stdout, /^views counted {3}1$/m)
  t.match(stdout, /^other hosts {5}2 {3}shop\.example \(1\), www\.blog\.example \(1\)$/m)
  for (const hosts of [
    ['--host', 'blog.example,www.blog.example'],
    ['--host=www.blog.example', '--host=blog.example'],
  ])
    t.match(JSON.parse((await run([...hosts, '--json', '--dry-run'], { db, stdin })).stdout), {
      lines: 3,
      viewsCounted: 1,
      viewsCountedBefore: 1,
      otherHosts: 1,
      hosts: { withoutHost: 0, top: [{ host: 'shop.example', requests: 1 }] },
    })
  t.strictSame(await readTotals(db), { a: 1 })
  const without = await run(['--host', 'blog.example'], { db, stdin: LOG })
  t.match(without, { code: 1, stderr: /^error: --host counted nothing: no line names its host\. Let the server / })
  t.match(without.stdout, /^other hosts {5}3 {3}3 lines name no host$/m)
  const mixed = await run(['--host', 'blog.example'], { db, stdin: `${stdin}${LOG}` })
  t.match(mixed, {
    code: 0,
    stdout: /^other hosts .* shop\.example \(1\), www\.blog\.example \(1\), 3 lines name no host$/m,
  })
  t.match(await run(['--host', 'blog.example'], { db, stdin: 'x\n' }), { code: 1, stderr: /No line could be read/ })
  t.strictSame(await readTotals(db), { a: 1 })
})

t.test('a dry run changes nothing, and shows what --post misses', async (t) => {
  const { db, pool } = await createTestDatabase(t)
  await addPosts(db, 'a')
  const other = ['/news/x', '/news/x', '/news/y', '/news/z', '/', '/style.css', '/\\x1b[2J'].map((target, i) => ({
    second: 10 + i,
    visitor: 20 + i,
    target,
  }))
  const stdin = LOG + logOf([...other, { second: 30, target: '/news/deep/down', status: 404 }])
  const dry = await run([...POST, '--create-posts', '--dry-run'], { db, stdin })
  t.match(dry.stdout, /views counted {4}3 {3}1 new post was created\n/)
  t.match(dry.stdout, 'The most requested pages that are no posts:\n  /news/x  2\n  /        1\n')
  t.match(dry.stdout, 'Most posts seem to be in one folder: --post /news/\nThis was a dry run: nothing was changed.\n')
  t.notMatch(dry.stdout, '\x1b')
  t.notMatch(dry.stdout, /style|deep|Try next/)
  const json = JSON.parse((await run([...POST, '--dry-run', '--json'], { db, stdin })).stdout)
  t.match(json, {
    dryRun: true,
    viewsCounted: 2,
    unmatched: { post: '/news/', paths: [{ path: '/news/x', requests: 2 }] },
  })
  const quiet = await run(['--dry-run'], { db, stdin: logOf([{ second: 0, target: '/style.css' }]) })
  t.notMatch(quiet.stdout, /most requested|seem to be/)
  const { rows } = await pool.query(`
    select (select count(*) from posts)::int as posts, (select count(*) from post_views_total)::int as views,
      (select count(*) from post_views_log_import)::int as imports`)
  t.strictSame(rows, [{ posts: 1, views: 0, imports: 0 }])
  t.match(await run(POST, { db, stdin }), { stdout: /views counted {4}2\n/ })
})

t.test('posts that a parameter names: a dry run suggests it, and the posts link to their addresses', async (t) => {
  const { db } = await createTestDatabase(t)
  const targets = [
    ...['/?p=7', '/index.php?p=7&utm_source=x', '/?x=1&p=8#top', '/blog/one', '/blog/two', '/?p=8&feed=rss2'],
    ...['/style.css?id=7', '/news.php?id=1', '/$(x)/a?id=3', '/$(x)/b?id=4', '/$(x)/c?id=5', '/$(x)/d?id=6', '/?p='],
  ]
  const stdin = logOf(targets.map((target, second) => ({ second, visitor: second, target })))
  const dry = await run([...POST, '--dry-run'], { db, stdin })
  t.match(dry.stdout, /that are no posts:\n {2}\/\?p=7 +2\n {2}\/\?p=8 +2\n/)
  t.match(dry.stdout, "A parameter seems to name most posts: --post '/?p='\n")
  const args = ['--post', '/?p=', '--create-posts', '--base-url', 'https://blog.example', '--json']
  t.match(JSON.parse((await run(args, { db, stdin })).stdout), { viewsCounted: 3, postsCreated: 2, other: 10 })
  t.strictSame(await readTotals(db), { 7: 2, 8: 1 })
  t.match(await db.selectFrom('posts').select('url').orderBy('slug').execute(), [
    { url: 'https://blog.example/?p=7' },
    { url: 'https://blog.example/?p=8' },
  ])
  const elsewhere = await run(POST, { db, stdin: logOf([{ second: 0, target: '/?p=7' }]) })
  t.match(elsewhere.stdout, "(for addresses like /?p=123: --post '/?p=').")
  const single = await run([...POST, '--dry-run'], { db, stdin: logOf([{ second: 0, target: '/?p=7' }]) })
  t.notMatch(single.stdout, 'seem', 'one page is no list of posts')
})

t.test('many paths are counted in a dry run with bounded memory', async (t) => {
  const { db } = await createTestDatabase(t)
  const stdin = logOf(Array.from({ length: 20_100 }, (_none, i) => ({ second: 1, target: `/tag/${i}/x` })))
  t.match((await run([...POST, '--dry-run'], { db, stdin })).stdout, /other requests {2}20,100/)
})

t.test('an import is undone by its id, unless later imports need it', async (t) => {
  const { db } = await createTestDatabase(t)
  const first = logOf([{ second: 0, target: '/blog/a' }])
  await run([...POST, '--create-posts'], { db, stdin: first })
  await run([...POST, '--create-posts'], { db, stdin: LOG })
  t.match(await run(['--undo', '9'], { db }).catch((error: Error) => error), { message: /^There is no import 9 in/ })
  t.match(await run(['--undo', '1'], { db }).catch((error: Error) => error), {
    message: /^Nothing was undone: later imports have lines of import 1, .* \(2\)\. Undo these first, .* \(--undo 2\)/,
  })
  t.strictSame(await readTotals(db), { a: 2, b: 1 })
  const undone = await run(['--undo', '2'], { db })
  t.match(
    undone.stdout,
    /^Database: .*\nImport 2 \(standard input, 20.*Z\) is undone: 2 views less\. Posts .* stay\.\n$/,
  )
  t.strictSame(await readTotals(db), { a: 1 })
  t.match(await run(['--undo', '1'], { db }), { stdout: /1 view less/ })
  t.strictSame(await readTotals(db), {})
  t.match(await run(POST, { db, stdin: LOG }), { stdout: /views counted {3}3\n/ })
  t.strictSame(await readTotals(db), { a: 2, b: 1 })
  await db.schema.dropTable('post_views_log_visits').execute()
  await t.rejects(run(['--undo', '3'], { db }), { code: '42P01' }, 'an error of PostgreSQL')
})

t.test('Ctrl-C: what was read is counted, and the summary and the way on are shown', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b')
  const interrupt = new AbortController()
  const stdin = new PassThrough()
  stdin.write(LOG)
  const running = run(['-', '--json', '-'], { db, stdin, signal: interrupt.signal })
  while (stdin.readableLength > 0) await new Promise(setImmediate)
  interrupt.abort()
  const { code, stdout, stderr } = await running
  t.match(JSON.parse(stdout), { viewsCounted: 3 })
  t.match(
    stderr,
    /error: Interrupted: the lines read until then were counted\. Run the same command again to count the rest\.\n$/,
  )
  t.equal(code, 130)
})

t.test('a followed log ends with the summary and exit code 0', async (t) => {
  const { db } = await createTestDatabase(t)
  const dir = t.testdir({ 'access.log': LOG, 'other.log': 'no log\n'.repeat(10) })
  const file = join(dir, 'access.log')
  const follow = async (views: number, ...args: string[]) => {
    const interrupt = new AbortController()
    const following = run([file, '--follow', ...POST, '--create-posts', ...args], { db, signal: interrupt.signal })
    await until(async () => (await readTotals(db))['a'] === views, 'the lines are counted')
    interrupt.abort()
    return following
  }
  const first = await follow(2)
  t.match(first, { code: 0, stderr: '', closed: 1 })
  t.match(first.stdout, `Database: blog of PostgreSQL\nFollowing ${file}: Ctrl-C ends it.\nlines read      3\n`)
  await appendFile(file, logOf([{ second: 3, visitor: 3, target: '/blog/a' }]))
  const second = await follow(3, '--json')
  t.equal(second.stderr, `Database: blog of PostgreSQL\nFollowing ${file}: Ctrl-C ends it.\n`)
  t.match(JSON.parse(second.stdout), { lines: 4, viewsCounted: 1, viewsCountedBefore: 3 })
  const refused = await run([join(dir, 'other.log'), '--follow'], { db })
  t.match(refused, { code: 1, stderr: /^error: No line could be read\. The first is: no log\n/ })
  const other = logOf([{ second: 0, target: '/blog/a' }])
  await writeFile(join(dir, 'other.log'), other)
  const interrupt = new AbortController()
  const warned = run([join(dir, 'other.log'), '--follow'], { db, signal: interrupt.signal })
  await appendFile(join(dir, 'other.log'), logOf([{ second: 2000, visitor: 9, target: '/blog/a' }]))
  await until(async () => (await readTotals(db))['a'] === 4, 'the lines are counted')
  await writeFile(join(dir, 'other.log'), logOf([{ second: 4000, visitor: 9, target: '/blog/a' }]))
  await until(async () => (await readTotals(db))['a'] === 5, 'the lines are counted')
  interrupt.abort()
  t.match((await warned).stderr, /^.*other\.log was truncated, and there is no copy beside it: .*\n$/)
})

t.test('lines that an earlier version may have counted are refused, with a way on', async (t) => {
  const { db, pool } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b')
  await pool.query(`insert into post_views_log_chunk (before, lines, digest, post_ids, imported_at)
    values ('x', 1, 'y', '{}', '2015-05-17T22:00:01Z')`)
  const refused = await run(POST, { db, stdin: LOG }).catch((error: Error) => error)
  t.match(refused, {
    message: /imported logs until 2015-05-17T22:00:01\.000Z, .* has 2 requests .* in its next 3 requests/,
  })
  t.match(refused, { message: /\(--since 2015-05-17T22:00:01\.001Z\), or all of them \(--anyway\)\.$/ })
  t.strictSame(await readTotals(db), {})
  t.match(await run([...POST, '--since', '2015-05-17T22:00:01.001Z'], { db, stdin: LOG }), {
    stdout: /views counted {3}1\n/,
  })
  t.match(await run([...POST, '--anyway'], { db, stdin: LOG }), { stdout: /views counted {3}2\n/ })
})
