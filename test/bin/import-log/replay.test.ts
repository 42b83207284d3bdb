import { existsSync, readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { createCombinedReader } from '../../../bin/import-log/formats/combined.ts'
import { importLog, type Summary } from '../../../bin/import-log/import-log.ts'
import { compilePostPattern, type PostPattern } from '../../../bin/import-log/slug.ts'
import { FIREFOX, POST } from '../../helpers/access-log.ts'
import { readCounters } from '../../helpers/counted-views.ts'
import { createTestDatabase } from '../../helpers/postgres.ts'
import { createRandom } from '../../helpers/random.ts'
import { replayLog } from '../../helpers/replay-log.ts'

const FILE = '../shared/data/semicomplete-access.log'
const skip = existsSync(FILE) ? false : `${FILE} is not there: see its source, github.com/elastic/examples`
const DEDUP_SECONDS = 900

/** Imports a log into one database, and sends it to a server on another. The counts must be equal. */
async function compare(
  t: Test,
  lines: readonly string[],
  { post, timeZone, nowMs }: { post: PostPattern; timeZone: string; nowMs: number },
): Promise<Summary> {
  const [imported, replayed] = await Promise.all([createTestDatabase(t), createTestDatabase(t)])
  const summary = await importLog({
    db: imported.db,
    timeZone,
    dedupSeconds: DEDUP_SECONDS,
    nowMs,
    post,
    createPosts: true,
    input: Readable.from([lines.map((line) => `${line}\n`).join('')]),
  })
  const posts = await imported.db.selectFrom('posts').select(['slug', 'title', 'url']).orderBy('id').execute()
  const published = posts.map((one) => ({ ...one, published_at: new Date(0) }))
  await replayed.db.insertInto('posts').values(published).execute()
  const slugs = await Promise.all(
    [imported, replayed].map(({ db }) => db.selectFrom('posts').select(['id', 'slug']).orderBy('id').execute()),
  )
  t.same(slugs[0], slugs[1], 'the posts are the same')

  // An import judges in the order of the times, whatever the order of the lines.
  const parseLine = createCombinedReader()
  const timeOf = (line: string) => parseLine(line)?.timeMs ?? 0
  const inOrder = lines.toSorted((a, b) => timeOf(a) - timeOf(b))
  const answered = await replayLog(t, inOrder, { databaseUrl: replayed.url, timeZone, nowMs, post })
  // No post is created for a path that only bots requested.
  const { 204: recorded = 0, 404: unknown = 0, ...others } = answered
  t.same(others, {})
  t.equal(recorded + unknown, summary.viewsCounted + summary.repeats + summary.bots)
  t.ok(unknown <= summary.bots)
  const options = { nowMs, timeZone, kept: false }
  const [fromLog, fromRequests] = [await readCounters(imported.db, options), await readCounters(replayed.db, options)]
  t.strictSame(fromRequests, fromLog)
  return summary
}

t.test(
  'the log of a real blog, sent as requests with its own clock, gives what import-log gives',
  { skip },
  async (t) => {
    const post = compilePostPattern('^/blog/(?:[^/]+/)*(?<slug>[^/]+)\\.html$')
    const lines = readFileSync(FILE, 'utf8').trimEnd().split('\n')
    const nowMs = Date.UTC(2015, 4, 21)
    t.match(await compare(t, lines, { post, timeZone: 'UTC', nowMs }), { viewsCounted: 339, repeats: 28, bots: 451 })
  },
)

/** Requests of three hours around midnight, most of returning visitors, some written late. */
function createLog(seed: number): string[] {
  const random = createRandom(seed)
  const pick = <T>(choices: readonly [T, ...T[]]): T => choices[Math.floor(random() * choices.length)] ?? choices[0]
  const beginsMs = Date.UTC(2015, 4, 17, 22, 30)
  const lines = Array.from({ length: 3000 }, (_none, index) => {
    const second = Math.floor((index / 3000) * 3 * 3600)
    // Some servers write the start time of a request when it ends.
    const at = new Date(beginsMs + (second - (random() < 0.2 ? Math.floor(random() * DEDUP_SECONDS) : 0)) * 1000)
    const [, day, month, year, time] = at.toUTCString().split(' ')
    const address = pick([
      ...(['203.0.113.1', '203.0.113.2', '2001:db8:1:2::1', '2001:db8:1:2::2', '2001:db8:1:3::1'] as const),
      ...(['2001:DB8:1:3:0:0:0:1', '::ffff:203.0.113.1', 'host.example'] as const),
    ])
    const request = pick([
      ...(['GET /blog/a', 'GET /blog/a', 'GET /blog/b', 'GET /blog/%C3%BC', 'GET /blog/b?x=1#y'] as const),
      ...(['HEAD /blog/a', 'POST /blog/a', 'GET /blog/a/b', 'GET /'] as const),
    ])
    const agent = pick([FIREFOX, FIREFOX, `${FIREFOX} \\xc3\\xbc`, 'Googlebot/2.1', '-'])
    return `${address} - - [${day}/${month}/${year}:${time} +0000] "${request} HTTP/1.1" ${pick([200, 200, 304, 404])} 1 "https://search.example/?q=%22" "${agent}"`
  })
  return lines
}

for (const [seed, timeZone] of ['UTC', 'America/New_York', 'Asia/Kathmandu'].entries()) {
  t.test(`a log with repeats over midnight, late lines, bots and IPv6, in ${timeZone}`, async (t) => {
    const nowMs = Date.UTC(2015, 4, 18, 2)
    const summary = await compare(t, createLog(seed), { post: POST, timeZone, nowMs })
    t.ok(summary.viewsCounted > 100 && summary.repeats > 100 && summary.bots > 100, JSON.stringify(summary))
    t.equal(summary.unknown, 0)
  })
}
