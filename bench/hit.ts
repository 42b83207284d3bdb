/**
 * What does a cached list cost? Processor time of a server for a request, against Fastify that answers the same bytes and
 * headers from a constant Buffer, and against node:http alone. `npm run bench:hit`; `-- --rounds 10 --requests 20000`.
 */
import { parseArgs } from 'node:util'
import { startRedis } from '../test/helpers/redis.ts'
import type { Way } from './hit-server.ts'
import { median, sendLoad } from './http-load.ts'
import { machine } from './machine.ts'
import { costUs, type ServerProcess, startServer } from './server-process.ts'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '10' }, requests: { type: 'string', default: '20000' } },
})
const [rounds, requests] = [Number(values.rounds), Number(values.requests)]
if (!(Number.isInteger(rounds) && rounds >= 2 && Number.isInteger(requests) && requests >= 1000))
  throw new TypeError('Expected --rounds of at least 2 and --requests of at least 1000.')

const say = (text: string) => process.stdout.write(`${text}\n`)
const redis = await startRedis()

const start = (way: Way, level: string) =>
  startServer(new URL('hit-server.ts', import.meta.url), [way, level, redis.url])

const AS_IT_IS = { 'accept-encoding': 'identity' }
const PATH = '/posts/popular?limit=10&days=30'
const get = (headers = '') => `GET ${PATH} HTTP/1.1\r\nhost: blog\r\n${headers}\r\n`

/** The latency that one request in a hundred exceeds, in milliseconds, at ten connections. */
async function p99Ms({ port }: ServerProcess, request: string): Promise<number> {
  const { latenciesMs } = await sendLoad({ port, connections: 10, requests: requests / 2, requestOf: () => request })
  return latenciesMs.sort()[Math.floor(latenciesMs.length * 0.99)] ?? 0
}

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

try {
  say(machine())
  say(`${PATH}: ${rounds} rounds in turn, after one to warm up, of ${requests} requests each`)
  const etags = new Map<Name, string>()
  for (const name of names) {
    const response = await fetch(`http://127.0.0.1:${servers[name].port}${PATH}`, { headers: AS_IT_IS })
    etags.set(name, String(response.headers.get('etag')))
    await response.arrayBuffer()
  }
  const kinds: Record<string, (name: Name) => Promise<number>> = {
    'µs, 200': (name) => costUs(servers[name], { request: get(), requests }),
    'µs, 304': (name) =>
      costUs(servers[name], { request: get(`if-none-match: ${etags.get(name)}\r\n`), requests, status: '304' }),
    'ms, p99': (name) => p99Ms(servers[name], get()),
  }
  for (const [kind, measure] of Object.entries(kinds)) {
    const found = new Map<Name, number[]>(names.map((name) => [name, []]))
    for (let round = 0; round <= rounds; round += 1) {
      for (const name of names) {
        const value = await measure(name)
        if (round > 0) found.get(name)?.push(value)
      }
    }
    say(`\n${kind}`)
    for (const name of names) {
      const base = name.endsWith('info') ? 'Fastify, constant, logs at info' : 'Fastify, constant'
      // In each round, so that what the machine does meanwhile is the same for both.
      const ratios = (found.get(base) ?? []).map((value, round) => value / (found.get(name)?.[round] ?? 0))
      say(
        `  ${name.padEnd(32)} ${median(found.get(name) ?? [])
          .toFixed(2)
          .padStart(7)}` + `   speed against ${base}: ${median(ratios).toFixed(2)}`,
      )
    }
  }
} finally {
  for (const server of Object.values(servers)) await server.stop()
  await redis.stop()
}
