import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { createLogReader } from '../../../bin/import-log/formats/formats.ts'
import { createBotDetector } from '../../../views/bots.ts'
import { countViews, type SentRequest } from '../../helpers/log-hits.ts'
import { WRITERS } from '../../helpers/log-writers.ts'

const FILE = '../shared/data/semicomplete-access.log'
const skip = existsSync(FILE) ? false : `${FILE} is not there: see its source, github.com/elastic/examples`
const post = /^(?:https:\/\/blog\.example(?::443)?)?\/blog\/(?:[^/?]+\/)*([^/?]+)\.html(?:[?#].*)?$/
const LINE = /^(\S+) \S+ \S+ \[(\d\d)\/May\/2015:(\S+) \+0000\] "(\S+) (.*) HTTP\/[\d.]+" (\d+) \S+ "(.*?)" "(.*)"$/

/** The requests of the log, but for one whose line is cut. */
function readRequests(): SentRequest[] {
  return readFileSync(FILE, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const match = LINE.exec(line)
      if (match === null) return []
      const [, address = '', day, time, method = '', target = '', status, referer = '', agent = ''] = match
      const timeMs = Date.parse(`2015-05-${day}T${time}Z`)
      const visitor = address.replaceAll('.', '-')
      const sent = [referer, agent].map((text) => (text === '-' ? '' : text.replaceAll('\\"', '"')))
      const [from = '', browser = ''] = sent
      return {
        visitor,
        address,
        timeMs,
        zone: 0,
        method,
        target,
        status: Number(status),
        referer: from,
        agent: browser,
      }
    })
}

t.test('the log of a real blog has the same 339 views in each format', { skip }, async (t) => {
  const requests = readRequests()
  t.equal(requests.length, 9999)
  const isBot = createBotDetector()
  const expected = countViews(requests, { isBot, post })
  t.match(expected, { views: 339, bots: 451, repeats: 28 })
  for (const [name, { head = [], write, hasAgent = true, format }] of Object.entries(WRITERS)) {
    if (!hasAgent) continue
    const readLine = createLogReader(format)
    const lines = [...head, ...requests.flatMap((request) => write(request))]
    const read = lines.flatMap((line) => readLine(line) ?? [])
    t.equal(read.length, requests.length, name)
    const sent = read.map((request) => ({
      ...request,
      visitor: request.address,
      zone: 0,
      referer: '',
      agent: request.userAgent ?? 'unknown',
    }))
    t.strictSame(countViews(sent, { isBot, post }), expected, name)
  }
})
