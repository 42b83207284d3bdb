// npm run hit, in this folder: measures a cached list behind the same route, for our cache and others: processor time
// of the server for a request, and requests a second of a busy server. `-- --rounds 6 --requests 5000`; names select
// caches.
import { parseArgs } from 'node:util'
import { startRedis } from '../../test/helpers/redis.ts'
import { sendBursts } from '../burst.ts'
import { bindToCore, CLIENT_CORE } from '../cores.ts'
import { createReport } from '../report.ts'
import { inTurn, median, medianRatio } from '../rounds.ts'
import type { ServerProcess } from '../server-process.ts'
import { OURS, peers } from './peers.ts'
import { listRequest, startPeer } from './start-server.ts'
import { versions } from './versions.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '6' },
    write: { type: 'boolean', default: false },
    requests: { type: 'string', default: '5000' },
  },
})
const [rounds, requests] = [Number(values.rounds), Number(values.requests)]
if (!(Number.isInteger(rounds) && rounds >= 2 && Number.isInteger(requests) && requests >= 1000))
  throw new TypeError('Expected --rounds of at least 2 and --requests of at least 1000.')

const report = createReport('peers:hit', values)
const DAYS = 30
const TTL_SECONDS = 3600
const PLAIN = listRequest(DAYS)
const GZIP = listRequest(DAYS, 'accept-encoding: gzip\r\n')

interface Cost {
  cpuUs: number
  perSecond: number
}

async function cost({ port, usage }: ServerProcess, request: string): Promise<Cost> {
  const before = await usage()
  const startedAtMs = performance.now()
  const status = await sendBursts({ port, connections: 10, pipelined: 10, requests, request })
  if (status !== '200') throw new Error(`expected 200, got ${status}`)
  const perSecond = requests / ((performance.now() - startedAtMs) / 1000)
  return { cpuUs: ((await usage()).cpuUs - before.cpuUs) / requests, perSecond }
}

const isAlone = bindToCore(CLIENT_CORE)
const names = positionals.length > 0 ? positionals : Object.keys(peers)
const redisServers = await Promise.all([...names, 'judge'].map(() => startRedis()))
const urlOf = (place: number) => String(redisServers[place]?.url)
const subjects = await Promise.all(
  names.map(async (name, place) => {
    const start = (...more: string[]) =>
      startPeer(name, urlOf(place), urlOf(names.length), TTL_SECONDS, ['alone', ...more])
    const [plain, compressing] = await Promise.all([start(), start('compress')])
    return { name, plain, compressing, costs: [] as Cost[], gzipCosts: [] as Cost[] }
  }),
)
try {
  report.say(versions())
  report.say(
    `${rounds} rounds in turn, after one to warm up, of ${requests} requests each, over 10 connections, 10 at once on each; medians;`,
  )
  report.say(
    isAlone ? 'the server has a core, client and Redis have the other' : 'server, client and Redis share all cores',
  )
  for (let round = 0; round <= rounds; round += 1) {
    for (const { plain, compressing, costs, gzipCosts } of inTurn(subjects, round)) {
      const [now, gzipped] = [await cost(plain, PLAIN), await cost(compressing, GZIP)]
      if (round === 0) continue
      costs.push(now)
      gzipCosts.push(gzipped)
    }
  }
  const ours = subjects.find(({ name }) => name === OURS)
  const cells = (costs: Cost[], base: Cost[] = []) => {
    const all = (costs: Cost[], of: keyof Cost) => costs.map((cost) => cost[of])
    const times = (of: keyof Cost) => medianRatio(all(costs, of), all(base, of))
    const [us, perSecond] = [median(all(costs, 'cpuUs')), median(all(costs, 'perSecond'))]
    const busy = median(costs.map((cost) => (cost.cpuUs * cost.perSecond) / 1e6))
    return [
      us.toFixed(0),
      times('cpuUs').toFixed(2),
      perSecond.toFixed(0),
      times('perSecond').toFixed(2),
      busy.toFixed(2),
    ]
  }
  const head = ['', 'µs a request', 'times ours', 'requests/s', 'times ours', 'of a core']
  report.table([head, ...subjects.map(({ name, costs }) => [name, ...cells(costs, ours?.costs)])])
  report.say(
    'Gzip accepted: ours are compressed once a list; the others do not compress, and have @fastify/compress before them.',
  )
  report.table([head, ...subjects.map(({ name, gzipCosts }) => [name, ...cells(gzipCosts, ours?.gzipCosts)])])
  report.end()
} finally {
  for (const { plain, compressing } of subjects) for (const server of [plain, compressing]) await server.stop()
  for (const redis of redisServers) await redis.stop()
}
