/**
 * Measures the processor time of a server for a cached list, against Fastify that sends the same bytes and headers
 * from constant Buffers, and against node:http alone. `npm run bench:hit`; `-- --starts 6 --rounds 8 --requests 3000
 * --write`. The memory layout of a process changes the results more than the differences that are measured; so the
 * bench starts the servers several times.
 */
import { parseArgs } from 'node:util'
import { startRedis } from '../test/helpers/redis.ts'
import { bindToCore, CLIENT_CORE } from './cores.ts'
import type { ServerMode } from './hit-server.ts'
import { sendLoad } from './http-load.ts'
import { createReport } from './report.ts'
import { inTurn, median, medianRatio, p99 } from './rounds.ts'
import { costUs, type ServerProcess, startServer } from './server-process.ts'

const { values } = parseArgs({
  options: {
    starts: { type: 'string', default: '6' },
    rounds: { type: 'string', default: '8' },
    requests: { type: 'string', default: '3000' },
    write: { type: 'boolean', default: false },
  },
})
const [starts, rounds, requests] = [Number(values.starts), Number(values.rounds), Number(values.requests)]
if (!([starts, rounds].every((count) => Number.isInteger(count) && count >= 1) && requests >= 1000))
  throw new TypeError('Expected --starts and --rounds of at least 1, and --requests of at least 1000.')

const report = createReport('bench:hit', values)
const isAlone = bindToCore(CLIENT_CORE)
const redis = await startRedis()

const WAYS = {
  'node:http': ['node', 'silent'],
  'Fastify, constant': ['constant', 'silent'],
  // The same server a second time: the difference between the two is the noise of the machine.
  'Fastify, constant, once more': ['constant', 'silent'],
  ours: ['ours', 'silent'],
  'ours, with Redis': ['redis', 'silent'],
  'Fastify, constant, logs at info': ['constant', 'info'],
  'ours, logs at info': ['ours', 'info'],
} satisfies Record<string, [ServerMode, string]>
type Name = keyof typeof WAYS
const names = Object.keys(WAYS) as Name[]
const baseOf = (name: Name): Name => (name.endsWith('info') ? 'Fastify, constant, logs at info' : 'Fastify, constant')

/** Requests until V8 has compiled all hot code. */
const WARM_UP = 20_000

interface Started extends ServerProcess {
  etag: string
}

async function start(name: Name): Promise<Started> {
  const server = await startServer(new URL('hit-server.ts', import.meta.url), [...WAYS[name], redis.url])
  const response = await fetch(`http://127.0.0.1:${server.port}${PATH}`, { headers: { 'accept-encoding': 'identity' } })
  await response.arrayBuffer()
  await costUs(server, { request: get(), requests: WARM_UP })
  return { ...server, etag: String(response.headers.get('etag')) }
}

const PATH = '/posts/popular?limit=10&days=30'
const get = (headers: Record<string, string> = {}) =>
  `GET ${PATH} HTTP/1.1\r\nhost: blog\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)}\r\n`

/** The p99 latency in milliseconds, at ten connections. */
async function p99Ms({ port }: ServerProcess): Promise<number> {
  const { latenciesMs } = await sendLoad({ port, connections: 10, requests, requestOf: () => get() })
  return p99(latenciesMs)
}

type Headers = Record<string, string>
const cost =
  (status: string, headersOf: (server: Started) => Headers = () => ({})) =>
  (server: Started) =>
    costUs(server, { request: get(headersOf(server)), requests, status })

const KINDS: Record<string, (server: Started) => Promise<number>> = {
  '200, µs': cost('200'),
  'gzip, µs': cost('200', () => ({ 'accept-encoding': 'gzip' })),
  'brotli, µs': cost('200', () => ({ 'accept-encoding': 'gzip, deflate, br, zstd' })),
  '304, µs': cost('304', ({ etag }) => ({ 'if-none-match': etag })),
  'p99, ms': p99Ms,
}
const kinds = Object.keys(KINDS)
/** By kind and name, one value a round. */
const samples = new Map<string, number[]>()
const valuesOf = (kind: string, name: Name) => samples.get(`${kind} ${name}`) ?? []

/** Measures all kinds on all servers in turn. The first round only warms up. */
async function measure(servers: Record<Name, Started>): Promise<void> {
  for (const [kind, measureOnce] of Object.entries(KINDS)) {
    for (let round = 0; round <= rounds; round += 1) {
      for (const name of inTurn(names, round)) {
        const value = await measureOnce(servers[name])
        if (round > 0) samples.set(`${kind} ${name}`, [...valuesOf(kind, name), value])
      }
    }
  }
}

function cell(kind: string, name: Name): string {
  const all = valuesOf(kind, name)
  const speed = medianRatio(valuesOf(kind, baseOf(name)), all)
  return `${median(all).toFixed(kind.startsWith('p99') ? 2 : 1)} (${speed.toFixed(2)})`
}

try {
  report.say(
    `\`${PATH}\`: medians of ${starts} times ${rounds} rounds in turn, of ${requests} requests each, ${
      isAlone ? 'the server on a core of its own' : 'servers and client on all cores'
    }. Microseconds of processor time; in brackets, how fast that is against Fastify with a constant Buffer and the same logging.`,
  )
  for (let startNumber = 1; startNumber <= starts; startNumber += 1) {
    report.progress(`start ${startNumber} of ${starts}`)
    const started: Partial<Record<Name, Started>> = {}
    for (const name of names) started[name] = await start(name)
    const servers = started as Record<Name, Started>
    await measure(servers).finally(() => Promise.all(Object.values(servers).map((server) => server.stop())))
  }
  report.table([['', ...kinds], ...names.map((name) => [name, ...kinds.map((kind) => cell(kind, name))])])
  report.end()
} finally {
  await redis.stop()
}
