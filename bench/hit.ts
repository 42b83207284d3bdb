/**
 * What does a cached list cost? Processor time of a server for a request, against Fastify that answers the same bytes and
 * headers from constant Buffers, and against node:http alone. `npm run bench:hit`; `-- --rounds 40 --requests 4000 --write`.
 */
import { parseArgs } from 'node:util'
import { startRedis } from '../test/helpers/redis.ts'
import type { Way } from './hit-server.ts'
import { median, sendLoad } from './http-load.ts'
import { createReport } from './report.ts'
import { costUs, type ServerProcess, startServer } from './server-process.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '40' },
    requests: { type: 'string', default: '4000' },
    write: { type: 'boolean', default: false },
  },
})
const [rounds, requests] = [Number(values.rounds), Number(values.requests)]
if (!(Number.isInteger(rounds) && rounds >= 2 && Number.isInteger(requests) && requests >= 1000))
  throw new TypeError('Expected --rounds of at least 2 and --requests of at least 1000.')

const report = createReport('bench:hit', values)
const redis = await startRedis()

const start = (way: Way, level: string) =>
  startServer(new URL('hit-server.ts', import.meta.url), [way, level, redis.url])

const PATH = '/posts/popular?limit=10&days=30'
const get = (headers: Record<string, string> = {}) =>
  `GET ${PATH} HTTP/1.1\r\nhost: blog\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)}\r\n`

const servers = {
  'node:http': await start('node', 'silent'),
  'Fastify, constant': await start('constant', 'silent'),
  ours: await start('ours', 'silent'),
  'ours, with Redis': await start('redis', 'silent'),
  'Fastify, constant, logs at info': await start('constant', 'info'),
  'ours, logs at info': await start('ours', 'info'),
}
type Name = keyof typeof servers
const names = Object.keys(servers) as Name[]
const baseOf = (name: Name): Name => (name.endsWith('info') ? 'Fastify, constant, logs at info' : 'Fastify, constant')

/** The latency that one request in a hundred exceeds, in milliseconds, at ten connections. */
async function p99Ms({ port }: ServerProcess): Promise<number> {
  const { latenciesMs } = await sendLoad({ port, connections: 10, requests, requestOf: () => get() })
  return latenciesMs.sort()[Math.floor(latenciesMs.length * 0.99)] ?? 0
}

async function etagOf({ port }: ServerProcess): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${PATH}`, { headers: { 'accept-encoding': 'identity' } })
  await response.arrayBuffer()
  return String(response.headers.get('etag'))
}

/** What a measurement of each server has given, one a round. */
async function inTurn(measure: (name: Name) => Promise<number>): Promise<Map<Name, number[]>> {
  const found = new Map<Name, number[]>(names.map((name) => [name, []]))
  for (let round = 0; round <= rounds; round += 1) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const value = await measure(name)
      if (round > 0) found.get(name)?.push(value)
    }
  }
  return found
}

try {
  report.say(
    `\`${PATH}\`: medians of ${rounds} rounds in turn, after one to warm up, of ${requests} requests each. ` +
      'Microseconds of processor time; in brackets, how fast that is against Fastify with a constant Buffer and the same logging.',
  )
  const etags = new Map<Name, string>()
  for (const name of names) etags.set(name, await etagOf(servers[name]))
  const cost = (headersOf: (name: Name) => Record<string, string>, status: string) => (name: Name) =>
    costUs(servers[name], { request: get(headersOf(name)), requests, status })
  const kinds: Record<string, (name: Name) => Promise<number>> = {
    '200, µs': cost(() => ({}), '200'),
    'gzip, µs': cost(() => ({ 'accept-encoding': 'gzip' }), '200'),
    'brotli, µs': cost(() => ({ 'accept-encoding': 'gzip, deflate, br, zstd' }), '200'),
    '304, µs': cost((name) => ({ 'if-none-match': etags.get(name) ?? '' }), '304'),
    'p99, ms': (name) => p99Ms(servers[name]),
  }
  const cells = new Map<Name, string[]>(names.map((name) => [name, []]))
  for (const [kind, measure] of Object.entries(kinds)) {
    report.progress(kind)
    const found = await inTurn(measure)
    for (const name of names) {
      const all = found.get(name) ?? []
      // In each round, so that what the machine does meanwhile is the same for both.
      const ratios = (found.get(baseOf(name)) ?? []).map((value, round) => value / (all[round] ?? 0))
      cells
        .get(name)
        ?.push(`${median(all).toFixed(all.length > 0 && median(all) < 5 ? 2 : 1)} (${median(ratios).toFixed(2)})`)
    }
  }
  report.table([['', ...Object.keys(kinds)], ...[...cells].map(([name, all]) => [name, ...all])])
  report.end()
} finally {
  for (const server of Object.values(servers)) await server.stop()
  await redis.stop()
}
