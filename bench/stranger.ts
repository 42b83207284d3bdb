/**
 * Measures what a client costs that varies the parameters which cut a list (`limit`, `offset`, `exclude`, `minViews`), against
 * equal requests for one list; and what readers of one list notice of a client that requests all lists that there are.
 * `npm run bench:stranger`; `-- --starts 3 --rounds 5 --requests 10000 --seconds 60 --write`.
 */
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import { MAX_BOUNDED_BYTES } from '../cache/protocol.ts'
import { migrateToLatest } from '../db/migrate.ts'
import type { Database } from '../db/schema.ts'
import { PUBLISHED_WITHIN } from '../lists/query.ts'
import { fillBlog } from '../test/helpers/blog.ts'
import { startPostgres } from '../test/helpers/private-postgres.ts'
import { createRandom } from '../test/helpers/random.ts'
import { startRedis } from '../test/helpers/redis.ts'
import { bindToCore, CLIENT_CORE } from './cores.ts'
import { POSTS } from './fixtures/list.ts'
import { sendLoad } from './http-load.ts'
import { createReport } from './report.ts'
import { inTurn, median, medianRatio, p99 } from './rounds.ts'
import { costUs, type ServerProcess, startServer } from './server-process.ts'

const { values } = parseArgs({
  options: {
    starts: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '5' },
    requests: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '60' },
    write: { type: 'boolean', default: false },
  },
})
const [starts, rounds, requests] = [Number(values.starts), Number(values.rounds), Number(values.requests)]
const seconds = Number(values.seconds)
if (!([starts, rounds].every((count) => Number.isInteger(count) && count >= 1) && requests >= 1000 && seconds >= 1))
  throw new TypeError('Expected --starts, --rounds and --seconds of at least 1, and --requests of at least 1000.')

/** Places of posts to leave out, by chance: others for each number. */
function places(number: number, count: number): number[] {
  const next = createRandom(number)
  return Array.from({ length: count }, () => Math.floor(next() * 50))
}
const excluding = (slugs: readonly string[]) => `limit=10&exclude=${slugs.join('&exclude=')}`
const slugAt = (place: number) => String(POSTS[place]?.slug)

/** The query of each request, by its number. */
const KINDS: Record<string, (number: number) => string> = {
  'one list': () => 'limit=10',
  // The same a second time: the difference is the noise of the machine.
  'one list, once more': () => 'limit=10',
  'one list, and 20 unknown parameters': (number) =>
    `limit=10&${Array.from({ length: 20 }, (_none, at) => `param${at}x${number}=1`).join('&')}`,
  'one list of 50 posts': () => 'limit=50',
  'each `limit` up to 50': (number) => `limit=${1 + (number % 50)}`,
  'each `limit` beyond 50': (number) => `limit=${51 + number}`,
  'each `limit` and `offset`': (number) => `limit=${1 + (number % 49)}&offset=${Math.floor(number / 49) % 49}`,
  'each `minViews`': (number) => `limit=10&minViews=${number % 10_000}`,
  '`exclude` of a post that is not in the list': (number) => excluding([`none-${number}`]),
  '`exclude` of 20 posts that are not in the list': (number) =>
    excluding(Array.from({ length: 20 }, (_none, at) => `none-of-the-posts-${at}-${number}`)),
  '`exclude` of 3 posts, each time others': (number) => excluding(places(number, 3).map(slugAt)),
  '`exclude` of 20 posts, each time others': (number) => excluding(places(number, 20).map(slugAt)),
  '`exclude` of 20 slugs in other letters': (number) =>
    excluding(places(number, 20).map((place) => `A%C3%84-${slugAt(place)}-${number}`)),
}
const CODINGS = { 'not compressed': 'identity', brotli: 'gzip, deflate, br, zstd' }

const report = createReport('bench:stranger', values)
const isAlone = bindToCore(CLIENT_CORE)
const samples = new Map<string, number[]>()
const samplesOf = (kind: string, coding: string) => samples.get(`${kind} ${coding}`) ?? []

async function measure(server: ServerProcess): Promise<void> {
  const kinds = Object.entries(KINDS)
  let number = 0
  for (const [coding, accepted] of Object.entries(CODINGS)) {
    for (let round = 0; round <= rounds; round += 1) {
      for (const [kind, queryOf] of inTurn(kinds, round)) {
        const request = (at: number) =>
          `GET /posts/popular?${queryOf(number + at)} HTTP/1.1\r\nhost: blog\r\naccept-encoding: ${accepted}\r\n\r\n`
        const cost = await costUs(server, { request, requests })
        if (round > 0) samples.set(`${kind} ${coding}`, [...samplesOf(kind, coding), cost])
      }
      number += requests
    }
  }
}

report.say(
  `Medians of ${starts} times ${rounds} rounds in turn, of ${requests} requests each, ${
    isAlone ? 'the server on a core of its own' : 'servers and client on all cores'
  }. Microseconds of processor time for a request; in brackets, how many times that of equal requests for one list of 10 posts.`,
)
for (let start = 1; start <= starts; start += 1) {
  report.progress(`start ${start} of ${starts}`)
  const server = await startServer(new URL('hit-server.ts', import.meta.url), ['ours', 'silent', ''])
  await measure(server).finally(() => server.stop())
}
const cell = (kind: string, coding: string) => {
  const all = samplesOf(kind, coding)
  return `${median(all).toFixed(0)} (${medianRatio(all, samplesOf('one list', coding)).toFixed(2)})`
}
const codings = Object.keys(CODINGS)
report.table([
  ['requests', ...codings],
  ...Object.keys(KINDS).map((kind) => [kind, ...codings.map((coding) => cell(kind, coding))]),
])

/** The queries of all lists of the blog, each twice in a row: Redis then keeps it for a day. Each with another cut. */
function listOf(number: number): string {
  let left = Math.floor(number / 2)
  const take = <T>(choices: readonly T[]): T => {
    const choice = choices[left % choices.length] as T
    left = Math.floor(left / choices.length)
    return choice
  }
  const filter = take(['', '&category=odd', '&tag=start', '&author=ann', '&excludeCategory=odd'])
  const age = take(['', ...PUBLISHED_WITHIN.map((days) => `&publishedWithin=${days}`)])
  const sort = take(['views', 'trending'])
  return `days=${left % 366}&sort=${sort}${filter}${age}&limit=${1 + (number % 50)}&exclude=post-${1 + (number % 80)}`
}
const getOf = (query: string) => `GET /posts/popular${query} HTTP/1.1\r\nhost: blog\r\naccept-encoding: br\r\n\r\n`

const ends: (() => Promise<unknown>)[] = []
try {
  const [postgres, redisServer] = await Promise.all([startPostgres(), startRedis()])
  ends.push(postgres.remove, redisServer.stop)
  const db = new Kysely<Database>({
    dialect: new PostgresDialect({ pool: new Pool({ connectionString: postgres.url, max: 1 }) }),
  })
  await migrateToLatest(db)
    .then(() => fillBlog(db, 900))
    .finally(() => db.destroy())
  const redis = new Redis(redisServer.url)
  ends.unshift(async () => redis.disconnect())
  const server = await startServer(new URL('stranger-server.ts', import.meta.url), [postgres.url, redisServer.url])
  ends.unshift(server.stop)
  const { port } = server
  const usedBytes = async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1])
  const readers = () =>
    sendLoad({ port, connections: 4, pauseMs: 80, requests: Math.ceil(seconds * 50), requestOf: () => getOf('') })
  await readers()
  const before = await usedBytes()
  const found: Record<'quiet' | 'beside', number[]> = { quiet: [], beside: [] }
  const statuses: Record<string, number> = {}
  let sent = 0
  let mostBytes = 0
  for (let round = 1; round <= 6; round += 1) {
    report.progress(`all lists: round ${round} of 6`)
    found.quiet.push(p99((await readers()).latenciesMs))
    let isOver = false
    const stranger = async () => {
      while (!isOver) {
        const first = sent
        const replies = await sendLoad({
          port,
          connections: 1,
          requests: 20,
          requestOf: (at) => getOf(`?${listOf(first + at)}`),
        })
        sent += 20
        for (const [status, count] of Object.entries(replies.statuses))
          statuses[status] = (statuses[status] ?? 0) + count
        mostBytes = Math.max(mostBytes, (await usedBytes()) - before)
      }
    }
    const disturbed = readers().finally(() => {
      isOver = true
    })
    await stranger()
    found.beside.push(p99((await disturbed).latenciesMs))
  }
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
  report.say(
    `One client requests all lists of a blog of 900 posts, one after the other, each twice; four readers request the list of every page. Six rounds, with and without that client, which sent ${sent} requests.`,
  )
  report.table([
    ['', 'without it', 'beside it', 'ratio'],
    [
      'p99 of the readers',
      ...Object.values(found).map((all) => `${median(all).toFixed(2)} ms`),
      medianRatio(found.beside, found.quiet).toFixed(2),
    ],
    ['memory of Redis', '', mib(mostBytes), `${(mostBytes / MAX_BOUNDED_BYTES).toFixed(2)} of the bound`],
    [
      'replies',
      '',
      Object.entries(statuses)
        .map(([status, count]) => `${count} × ${status}`)
        .join(', '),
      '',
    ],
  ])
} finally {
  for (const end of ends) await end()
}
report.end()
