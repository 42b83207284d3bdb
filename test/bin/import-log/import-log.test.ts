import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import type { Kysely } from 'kysely'
import t from 'tap'
import { type ImportLogOptions, importLog } from '../../../bin/import-log/import-log.ts'
import { compilePostPattern } from '../../../bin/import-log/slug.ts'
import type { Database } from '../../../db/schema.ts'
import {
  addPosts,
  bruteForce,
  FIREFOX,
  type Hit,
  LOG_BEGINS,
  logLine,
  logOf,
  POST,
  readDailyViews,
  readTotals,
} from '../../helpers/access-log.ts'
import { createTestDatabase } from '../../helpers/postgres.ts'
import { LOADER } from '../../helpers/program.ts'

function importText(db: Kysely<Database>, log: string | Buffer, options: Partial<ImportLogOptions> = {}) {
  const input = Readable.from([Buffer.from(log)])
  const nowMs = LOG_BEGINS + 86_400_000
  return importLog({ db, timeZone: 'UTC', dedupSeconds: 900, nowMs, input, post: POST, ...options })
}

/** Views of `a`, `b` and `c` by three visitors around midnight, between repeats, bots and other requests. */
const HITS: Hit[] = Array.from({ length: 60 }, (_, i) => ({
  second: i * 200,
  visitor: 1 + (i % 3),
  target: i % 10 === 9 ? '/style.css' : `/blog/${'abc'[(i * 7) % 4] ?? 'a'}`,
  status: i % 11 === 10 ? 404 : 200,
  agent: i % 13 === 12 ? 'Googlebot' : FIREFOX,
}))
const LOG = logOf(HITS)
const VIEWS = viewsOf('a', 'b', 'c')
const [A, B, C] = [viewsOf('a'), viewsOf('b'), viewsOf('c')]

function viewsOf(...slugs: string[]): number {
  return Object.values(bruteForce(HITS, { slugs })).reduce((sum, views) => sum + views)
}

t.test('a reader of the old and the new address of a post is one reader', async (t) => {
  const { db, pool } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b', 'caf%c3%a9')
  await pool.query(`
    insert into post_aliases (slug, post_id)
    select alias, posts.id from (values ('old', 'a'), ('older', 'a'), ('b', 'a'), ('Bar', 'caf%c3%a9')) as old (alias, post)
    join posts on posts.slug = post`)
  const requests = [
    ['/blog/old', 'a'],
    ['/blog/a', 'a repeat'],
    ['/blog/older', 'a repeat'],
    ['/blog/OLD', 'no post'],
    ['/blog/b', 'b, which is a post of its own'],
    ['/blog/Bar', 'café'],
    ['/blog/caf%C3%A9', 'a repeat'],
    ['/blog/bar', 'a repeat'],
  ]
  const log = logOf(
    requests.map(([target = ''], second) => ({ second, visitor: 1, target, status: 200, agent: FIREFOX })),
  )
  t.match(await importText(db, log), { lines: 8, viewsCounted: 3, repeats: 4, unknown: 1 })
  t.same(await readTotals(db), { a: 1, b: 1, 'caf%c3%a9': 1 })
  t.match(await importText(db, log), { viewsCounted: 0, viewsCountedBefore: 3 })
  await pool.query('drop table post_aliases cascade')
  t.match(await importText(db, `${log}${logLine({ second: 9, visitor: 2, target: '/blog/a' })}\n`), { viewsCounted: 1 })
})

t.test('every line has an outcome, and every view is counted', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b')
  const odd = ['', '   ', 'no log line', `${logLine({ second: 0, target: '/blog/a' })}x`, 'x'.repeat(100_000)]
  const log = `${odd.join('\n')}\n${LOG}${logLine({ second: 0, visitor: 9, target: '/blog/a' }).replace(/ "-" ".*"$/, '')}\n`
  const { top, stoppedBy, stoppedAt, importId, firstRefused, proxies, hosts, ...counts } = await importText(db, log)
  t.equal(importId, '1')
  t.equal(firstRefused, 'no log line')
  t.ok(proxies.length > 0, 'all addresses are private')
  t.strictSame(hosts, { withoutHost: 0, top: [] })
  t.strictSame(counts, {
    lines: 64,
    viewsCounted: 25,
    viewsCountedBefore: 0,
    bots: 4,
    ignored: 0,
    repeats: 9,
    unknown: 12,
    outside: 0,
    otherHosts: 0,
    other: 11,
    malformed: 3,
    withoutAgent: 1,
    postsCreated: 0,
    postsLinked: 0,
  })
  const { lines, viewsCounted, viewsCountedBefore, bots, repeats, unknown, other, malformed } = counts
  t.equal(lines, viewsCounted + viewsCountedBefore + bots + repeats + unknown + other + malformed)
  t.strictSame(top, [
    { slug: 'a', title: 'A', views: 15 },
    { slug: 'b', title: 'B', views: 10 },
  ])
  t.same([stoppedBy, stoppedAt], [undefined, undefined])
})

t.test('views are counted on the days of the site, in chunks of any size', async (t) => {
  for (const [timeZone, chunkLines] of [
    ['UTC', 1],
    ['Asia/Kathmandu', 7],
    ['America/New_York', 10_000],
  ] as const) {
    const { db } = await createTestDatabase(t)
    await addPosts(db, 'a', 'b', 'c')
    await importText(db, LOG, { timeZone, chunkLines })
    t.strictSame(await readDailyViews(db), bruteForce(HITS, { timeZone }), timeZone)
  }
})

t.test('the same log is counted once: repeated, as gzip, with CRLF, in other chunks', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b', 'c')
  t.equal((await importText(db, LOG)).viewsCounted, VIEWS)
  const copies = [
    LOG,
    LOG.trimEnd(),
    LOG.replaceAll('\n', '\r\n'),
    gzipSync(LOG),
    Buffer.concat([gzipSync(LOG), gzipSync('')]),
  ]
  for (const copy of copies) {
    t.match(await importText(db, copy), { viewsCounted: 0, viewsCountedBefore: VIEWS, top: [] })
  }
  t.strictSame(await readDailyViews(db), bruteForce(HITS))
})

t.test('a log that has grown counts its new lines', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b', 'c')
  for (const [length, chunkLines] of [1, 2, 3, 9, 10, 25, 59, 60].map((length) => [length, 10] as const)) {
    await importText(db, logOf(HITS.slice(0, length)), { chunkLines })
    t.strictSame(await readDailyViews(db), bruteForce(HITS.slice(0, length)), `${length} lines`)
  }
})

t.test('a growing log with posts known at any time counts each view once', async (t) => {
  const { db } = await createTestDatabase(t)
  const hit = fc.record({
    second: fc.integer({ min: 0, max: 2000 }),
    visitor: fc.integer({ min: 1, max: 2 }),
    target: fc.constantFrom('/blog/a', '/blog/b', '/blog/c', '/x'),
    status: fc.constantFrom(200, 200, 404),
  })
  const run = fc.record({ length: fc.nat(40), known: fc.subarray(['a', 'b', 'c']), createPosts: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(
      fc.array(hit, { maxLength: 40 }),
      fc.array(run, { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 12 }),
      async (unordered, runs, chunkLines) => {
        for (const table of ['posts', 'post_views_daily', 'post_views_total', 'post_views_log_visits'] as const) {
          await db.deleteFrom(table).execute()
        }
        const hits = unordered.sort((a, b) => a.second - b.second)
        const posts = new Set<string>()
        // Logs only grow: a truncated log has its own test.
        for (const { length, known, createPosts } of runs.sort((a, b) => a.length - b.length)) {
          const fresh = known.filter((slug) => !posts.has(slug))
          if (fresh.length > 0) await addPosts(db, ...fresh)
          for (const slug of fresh) posts.add(slug)
          const logged = hits.slice(0, length)
          await importText(db, logOf(logged), { chunkLines, createPosts })
          if (createPosts) for (const key of Object.keys(bruteForce(logged))) posts.add(key.split(' ')[0] ?? '')
          t.strictSame(await readDailyViews(db), bruteForce(logged, { slugs: [...posts] }))
        }
      },
    ),
    { numRuns: 40 },
  )
})

t.test('an incomplete last line is left for the next import', async (t) => {
  for (let cut = 1; cut < 200; cut += 20) {
    const { db } = await createTestDatabase(t)
    await addPosts(db, 'a', 'b', 'c')
    t.match(await importText(db, LOG.slice(0, -cut)), cut === 1 ? { malformed: 0 } : { stoppedBy: undefined })
    t.match(await importText(db, LOG), { malformed: 0 })
    t.strictSame(await readDailyViews(db), bruteForce(HITS), `${cut} bytes missing`)
  }
})

t.test('an incomplete line in the common format is not taken for a complete one', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a')
  const log = logOf([{ second: 0, target: '/blog/a' }]).replace(/ 1 "-" ".*"\n/, ' 1234\n')
  t.match(await importText(db, log.slice(0, -3)), { viewsCounted: 0, malformed: 1 })
  t.match(await importText(db, log), { viewsCounted: 1, malformed: 0 })
})

t.test('lines that two logs have count once', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b', 'c')
  await importText(db, LOG)
  const other = LOG.replace('10.0.0.3', '10.0.0.4')
  t.match(await importText(db, other), { viewsCounted: 1, viewsCountedBefore: VIEWS - 1 })
  t.match(await importText(db, LOG), { viewsCounted: 0 })
  t.match(await importText(db, other), { viewsCounted: 0 })
})

t.test('an import killed at any moment and run again ends with the right counts', { timeout: 100_000 }, async (t) => {
  const { db, url } = await createTestDatabase(t)
  const hits = Array.from({ length: 4000 }, (_, i) => ({
    second: i * 20,
    visitor: 1 + (i % 50),
    target: `/blog/${i % 7}`,
  }))
  const file = join(t.testdir({}), 'access.log.txt')
  await writeFile(file, logOf(hits))
  const seen: number[] = []
  for (const killAt of [300, 1300, 2500, 3700, Number.POSITIVE_INFINITY]) {
    const fixture = new URL('../../fixtures/import-log-process.ts', import.meta.url).pathname
    const child = spawn(process.execPath, [LOADER, fixture, url, file, '100'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = once(child, 'exit')
    for await (const line of createInterface(child.stdout)) {
      if (Number(line) >= killAt) child.kill('SIGKILL')
    }
    const [, signal] = await exited
    t.equal(signal, killAt < 4000 ? 'SIGKILL' : null)
    seen.push(Object.values(await readTotals(db)).reduce((sum, views) => sum + views, 0))
  }
  t.strictSame(await readDailyViews(db), bruteForce(hits))
  t.ok(
    seen.every((views, i) => i === 0 || views > (seen[i - 1] ?? 0)),
    `killed half-way: ${seen.join(' < ')}`,
  )
})

t.test('an import that fails at any statement and is run again ends with the right counts', async (t) => {
  for (let failing = 1; ; failing++) {
    const { db } = await createTestDatabase(t)
    let statements = 0
    const faulty = db.withPlugin({
      transformQuery({ node }) {
        if (++statements === failing) throw new Error('connection lost')
        return node
      },
      transformResult: async ({ result }) => result,
    })
    const outcome = await importText(faulty, LOG, { createPosts: true, chunkLines: 40 }).catch((error: Error) => error)
    await importText(db, LOG, { createPosts: true, chunkLines: 40 })
    t.strictSame(await readDailyViews(db), bruteForce(HITS), `statement ${failing}`)
    if (statements < failing) break
    t.match(outcome, { message: 'connection lost' })
  }
})

t.test('imports of the same log at the same time count it once', async (t) => {
  const { db } = await createTestDatabase(t)
  const imports = Array.from({ length: 4 }, () => importText(db, LOG, { createPosts: true, chunkLines: 5 }))
  const summaries = await Promise.all(imports)
  t.equal(
    summaries.reduce((sum, { viewsCounted }) => sum + viewsCounted, 0),
    VIEWS,
  )
  t.equal(
    summaries.reduce((sum, { postsCreated }) => sum + postsCreated, 0),
    3,
  )
  t.strictSame(await readDailyViews(db), bruteForce(HITS))
})

t.test('parallel imports of several logs with the same new posts do not conflict', async (t) => {
  const { db } = await createTestDatabase(t)
  const posts = Array.from({ length: 50 }, (_, i) => `/blog/post-${i}`)
  const logs = [posts, posts.toReversed(), posts.toSorted(), [...posts.slice(25), ...posts.slice(0, 25)]].map(
    (targets, visitor) => logOf(targets.map((target, second) => ({ target, second, visitor }))),
  )
  await Promise.all(logs.map((log) => importText(db, log, { createPosts: true, chunkLines: 20 })))
  t.strictSame(new Set(Object.values(await readTotals(db))), new Set([4]))
})

t.test('views of posts that were unknown are counted later, and the others not twice', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a')
  t.match(await importText(db, LOG), { viewsCountedBefore: 0, unknown: B + C })
  await addPosts(db, 'b')
  t.match(await importText(db, LOG), { viewsCountedBefore: A, viewsCounted: B, unknown: C })
  t.match(await importText(db, LOG, { createPosts: true }), { viewsCountedBefore: A + B, viewsCounted: C, unknown: 0 })
  t.strictSame(await readDailyViews(db), bruteForce(HITS))
})

t.test('two alternating patterns on a growing log each count all their views', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b')
  const hits = (length: number) =>
    Array.from({ length }, (_, i) => ({ second: i, visitor: i, target: i % 2 === 0 ? '/blog/a' : '/news/b' }))
  const news = compilePostPattern('^/news/(?<slug>.+)$')
  // On the second day only /news/ is imported; the ledger must not record /blog/ as imported.
  await importText(db, logOf(hits(10)))
  await importText(db, logOf(hits(10)), { post: news })
  await importText(db, logOf(hits(20)), { post: news })
  await importText(db, logOf(hits(30)))
  t.strictSame(await readTotals(db), { a: 15, b: 10 })
  await importText(db, logOf(hits(30)), { post: compilePostPattern('^/(?:news|blog)/(?<slug>.+)$') })
  t.strictSame(await readTotals(db), { a: 15, b: 15 })
})

t.test('a deleted post is forgotten, and a new post of its slug is counted from the start', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b', 'c')
  await importText(db, LOG)
  await db.deleteFrom('posts').where('slug', '=', 'a').execute()
  t.match(await importText(db, LOG), { viewsCounted: 0, unknown: A, viewsCountedBefore: B + C })
  await addPosts(db, 'a')
  t.match(await importText(db, LOG), { viewsCounted: A, unknown: 0, viewsCountedBefore: B + C })
  t.strictSame(await readDailyViews(db), bruteForce(HITS))
})

t.test('a post is created from its first view', async (t) => {
  const { db } = await createTestDatabase(t)
  const hits = [
    { second: 50, target: '/blog/x_y-Z%20%C3%A9.1?q' },
    { second: 70, visitor: 2, target: 'http://example.com/blog/x_y-Z%20%C3%A9.1' },
    { second: 80, visitor: 3, target: '/blog/---' },
  ]
  t.match(await importText(db, logOf(hits), { createPosts: true }), { viewsCounted: 3, postsCreated: 2 })
  const columns = ['slug', 'title', 'url', 'excerpt', 'published_at', 'is_private'] as const
  const published_at = new Date(LOG_BEGINS + 50_000)
  t.match(await db.selectFrom('posts').select(columns).orderBy('published_at').execute(), [
    {
      slug: 'x_y-Z é.1',
      title: 'X y Z é.1',
      url: '/blog/x_y-Z%20%C3%A9.1',
      excerpt: '',
      published_at,
      is_private: false,
    },
    { slug: '---', title: '---', url: '/blog/---' },
  ])
})

t.test('no post is created for an invalid slug', async (t) => {
  const { db } = await createTestDatabase(t)
  const targets = ['/blog/a%00b', '/blog/a%0Ab', '/blog/a%7F', '/blog/a%C2%85', `/blog/${'a'.repeat(501)}`]
  const log = logOf(targets.map((target) => ({ second: 0, target })))
  t.match(await importText(db, log, { createPosts: true }), { unknown: 5, viewsCounted: 0, postsCreated: 0 })
  const longest = logOf([{ second: 0, target: `/blog/${'a'.repeat(500)}` }])
  t.match(await importText(db, longest, { createPosts: true }), { postsCreated: 1 })
})

t.test('each line with an odd host or parameter has one outcome in the summary', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, '1', '7')
  const lines: [host: string, target: string, outcome: string][] = [
    ['blog.example:80', '/?p=1', 'view of 1'],
    ['BLOG.example.', '/?a=b&p=007', 'view of 7'],
    ['blog.example:99999', '/?p=7&p=1%20', 'view of 1'],
    ['[2001:db8::1]:443', 'https://u@other.example/index.php?p=1?fbclid=x#c', 'view of 1'],
    ['', 'http://[2001:DB8::1]/?p=1', 'view of 1'],
    ['blog.example', '/?p=99999999999999999999999', 'unknown'],
    ['blog.example', `/?p=${'9'.repeat(3000)}`, 'unknown'],
    ['blog.example', '/?p=%00', 'unknown'],
    ['blog.example', '/?p=1%ff', 'unknown'],
    ...['/?p=0', '/?p=%20', '/?P=1', '/?page_id=1', '/?p', '/?p[]=1'].map((target): [string, string, string] => [
      'blog.example',
      target,
      'other',
    ]),
    ...['other.example', 'user@blog.example', 'blog.example,other.example', '[2001:db8::2]', '*.example'].map(
      (host): [string, string, string] => [host, '/?p=1', 'other host'],
    ),
    ['', '/?p=1', 'other host'],
  ]
  const text = lines.map(([host, target], visitor) =>
    `${host} ${logLine({ second: 0, visitor, target })}\n`.trimStart(),
  )
  const options = { post: compilePostPattern('/?p='), hosts: ['blog.example', '2001:db8::1'] }
  const countOf = (outcome: string) => lines.filter((line) => line[2].startsWith(outcome)).length
  t.match(await importText(db, text.join(''), options), {
    lines: lines.length,
    viewsCounted: countOf('view of'),
    unknown: countOf('unknown'),
    other: lines.filter((line) => line[2] === 'other').length,
    otherHosts: countOf('other host'),
    malformed: 0,
    hosts: { withoutHost: 1 },
  })
  t.strictSame(await readTotals(db), { 1: countOf('view of 1'), 7: countOf('view of 7') })
})

t.test('the hook runs once, in the transaction that creates the first post', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'demo')
  let calls = 0
  const options: Partial<ImportLogOptions> = {
    createPosts: true,
    chunkLines: 10,
    async beforeCreatingPosts(trx) {
      calls++
      t.ok(trx.isTransaction)
      await trx.deleteFrom('posts').execute()
    },
  }
  await importText(db, logOf([{ second: 0, target: '/blog/a' }]), options)
  t.equal(calls, 0, 'no post was made')
  t.match(await importText(db, LOG, options), { viewsCounted: VIEWS, postsCreated: 3, unknown: 0 })
  t.equal(calls, 1)
  t.notOk('demo' in (await readTotals(db)))
})

t.test('a post that is deleted while its log is imported is named by its slug', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a')
  const log = logOf(['/blog/a', '/blog/b'].map((target) => ({ second: 0, target })))
  const { top } = await importText(db, log, {
    createPosts: true,
    chunkLines: 1,
    beforeCreatingPosts: async (trx) => void (await trx.deleteFrom('posts').execute()),
  })
  t.strictSame(top, [
    { slug: 'a', title: 'a', views: 1 },
    { slug: 'b', title: 'B', views: 1 },
  ])
})

t.test('without a pattern the last part of the path must be a known post', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a')
  const targets = ['/blog/2015/a.html', '/', '/style.css']
  const log = logOf(targets.map((target) => ({ second: 0, target })))
  t.match(await importText(db, log, { post: undefined }), { viewsCounted: 1, unknown: 1, other: 1 })
})

t.test('a truncated gzip counts its readable part, and the complete one counts the rest', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a', 'b', 'c')
  const bytes = gzipSync(LOG)
  const { viewsCounted, stoppedBy } = await importText(db, bytes.subarray(0, bytes.length - 12), { chunkLines: 10 })
  t.match(stoppedBy, { message: /is truncated/ })
  t.ok(viewsCounted > 0)
  await importText(db, bytes, { chunkLines: 10 })
  t.strictSame(await readDailyViews(db), bruteForce(HITS))
})

t.test('any error of a source is reported', async (t) => {
  const { db } = await createTestDatabase(t)
  async function* failing(): AsyncGenerator<string> {
    yield LOG
    throw 'unplugged'
  }
  t.match(await importText(db, '', { input: failing() }), { lines: 60, stoppedBy: { message: 'unplugged' } })
})

t.test('chunks of very long lines end early, and are recognized', async (t) => {
  const { db } = await createTestDatabase(t)
  await addPosts(db, 'a')
  const line = (visitor: number) => logLine({ second: 0, visitor, target: `/blog/a?${'x'.repeat(60_000)}` })
  const log = Array.from({ length: 600 }, (_, i) => `${line(i)}\n`).join('')
  t.match(await importText(db, log), { viewsCounted: 600 })
  t.match(await importText(db, log), { viewsCounted: 0, viewsCountedBefore: 600 })
})

t.test('progress has bytes and lines', async (t) => {
  const { db } = await createTestDatabase(t)
  const told: { bytes: number; lines: number }[] = []
  const bytes = gzipSync(LOG)
  await importText(db, bytes, { onProgress: (progress) => told.push(progress) })
  t.strictSame(told.at(-1), { bytes: bytes.length, lines: 60 })
})

t.test('with a base URL posts get full addresses, also those of an earlier import, but no others', async (t) => {
  const { db } = await createTestDatabase(t)
  const baseUrl = 'https://blog.example/site'
  const post = compilePostPattern('/blog/')
  const log = logOf(['/blog/a', '/blog/a/', '/blog/b/', '/blog/%C3%BC'].map((target, second) => ({ second, target })))
  const urls = async () =>
    Object.fromEntries(
      (await db.selectFrom('posts').select(['slug', 'url']).execute()).map(({ slug, url }) => [slug, url]),
    )
  await db
    .insertInto('posts')
    .values([
      { slug: 'b', title: 'B', url: 'https://elsewhere.example/blog/b/', published_at: new Date(0) },
      { slug: 'unread', title: 'Unread', url: '/blog/unread', published_at: new Date(0) },
    ])
    .execute()
  t.match(await importText(db, log, { post, createPosts: true }), { viewsCounted: 3, postsCreated: 2, postsLinked: 0 })
  const own = { b: 'https://elsewhere.example/blog/b/', unread: '/blog/unread' }
  t.strictSame(await urls(), { ...own, a: '/blog/a', ü: '/blog/%C3%BC' })
  for (const postsLinked of [2, 0]) {
    const again = await importText(db, log, { post, createPosts: true, baseUrl })
    t.match(again, { viewsCounted: 0, viewsCountedBefore: 3, postsCreated: 0, postsLinked })
    t.strictSame(await urls(), { ...own, a: `${baseUrl}/blog/a`, ü: `${baseUrl}/blog/%C3%BC` })
  }
  const more = log + logOf([{ second: 9, target: '/blog/new.html' }])
  t.match(await importText(db, more, { post, createPosts: true, baseUrl }), { postsCreated: 1, postsLinked: 0 })
  t.equal((await urls())['new'], `${baseUrl}/blog/new.html`)
})
