import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { createLogReader } from '../../../bin/import-log/formats/formats.ts'
import { compilePostPattern } from '../../../bin/import-log/slug.ts'
import { createVisits } from '../../../bin/import-log/visits.ts'
import type { SentRequest } from '../../helpers/log-hits.ts'
import { WRITERS } from '../../helpers/log-writers.ts'

const FILE = '../shared/data/semicomplete-access.log'
const skip = existsSync(FILE) ? false : `${FILE} is not there: see its source, github.com/elastic/examples`
const post = compilePostPattern('^/blog/(?:[^/]+/)*(?<slug>[^/]+)\\.html$')
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
  let expected: Record<string, number> | undefined
  for (const [name, { head = [], write, hasAgent = true, format }] of Object.entries(WRITERS)) {
    if (!hasAgent) continue
    const read = createLogReader(format)
    const visits = createVisits({ dedupSeconds: 900, post })
    const kinds: Record<string, number> = {}
    const views: Record<string, number> = {}
    for (const line of [...head, ...requests.flatMap(write)]) {
      const request = read(line)
      if (request === null) continue
      const verdict = request === undefined ? { kind: 'malformed' as const } : visits.judge(request)
      kinds[verdict.kind] = (kinds[verdict.kind] ?? 0) + 1
      if (verdict.kind === 'view') views[verdict.slug] = (views[verdict.slug] ?? 0) + 1
    }
    expected ??= views
    t.strictSame(kinds, { view: 339, bot: 451, repeat: 28, other: 9181 }, name)
    t.strictSame(views, expected, name)
  }
})
