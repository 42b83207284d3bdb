/**
 * Measures what a client costs that varies the parameters which cut a list (`limit`, `offset`, `exclude`, `minViews`), against
 * equal requests for one list. `npm run bench:stranger`; `-- --starts 3 --rounds 5 --requests 10000 --write`.
 */
import { parseArgs } from 'node:util'
import { createRandom } from '../test/helpers/random.ts'
import { bindToCore, CLIENT_CORE } from './cores.ts'
import { POSTS } from './fixtures/list.ts'
import { createReport } from './report.ts'
import { inTurn, median, medianRatio } from './rounds.ts'
import { costUs, type ServerProcess, startServer } from './server-process.ts'

const { values } = parseArgs({
  options: {
    starts: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '5' },
    requests: { type: 'string', default: '10000' },
    write: { type: 'boolean', default: false },
  },
})
const [starts, rounds, requests] = [Number(values.starts), Number(values.rounds), Number(values.requests)]
if (!([starts, rounds].every((count) => Number.isInteger(count) && count >= 1) && requests >= 1000))
  throw new TypeError('Expected --starts and --rounds of at least 1, and --requests of at least 1000.')

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
report.end()
