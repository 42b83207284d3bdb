// npm run stampede, in this folder: 1,000 requests at once for a cold list, in 4 processes, with a query of 300 ms; and a list that
// expires every 2 s under steady load; on us and on other caches. `-- --rounds 3`.
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import { startRedis } from '../../test/helpers/redis.ts'
import { median, sendLoad } from '../http-load.ts'
import { machine } from '../machine.ts'
import { contestants } from './contestants.ts'
import { listRequest, startPeer } from './start-server.ts'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '3' } } })
const rounds = Number(values.rounds)
const say = (text: string) => process.stdout.write(`${text}\n`)
const PROCESSES = 4
const TTL_SECONDS = 2
const [WARM_UP, COLD, STEADY] = [1, 30, 7]
const STEADY_MS = 8_000

const judge = await startRedis()
const judging = new Redis(judge.url)
const loads = async (days: number) => Number(await judging.get(`loads:${days}`))

interface Found {
  coldMs: number[]
  queries: number[]
  worstMs: number[]
  p99Ms: number[]
  refreshes: number[]
}

async function measure(name: string, found: Found): Promise<void> {
  const redis = await startRedis()
  await judging.flushall()
  const servers = await Promise.all(
    Array.from({ length: PROCESSES }, () => startPeer(name, redis.url, judge.url, TTL_SECONDS)),
  )
  const send = (days: number, connections: number, requests: number) =>
    Promise.all(
      servers.map(({ port }) => sendLoad({ port, connections, requests, requestOf: () => listRequest(days) })),
    )
  // Code and connections, not the list.
  await send(WARM_UP, 10, 500)
  const startedAtMs = performance.now()
  const answers = await send(COLD, 250, 250)
  found.coldMs.push(performance.now() - startedAtMs)
  if (answers.some(({ statuses }) => statuses['200'] !== 250)) throw new Error(`${name}: not all were answered`)
  found.queries.push(await loads(COLD))

  await send(STEADY, 1, 50)
  const before = await loads(STEADY)
  const latencies: number[] = []
  const endsAtMs = performance.now() + STEADY_MS
  while (performance.now() < endsAtMs)
    for (const { latenciesMs } of await send(STEADY, 2, 200)) latencies.push(...latenciesMs)
  latencies.sort((a, b) => a - b)
  found.worstMs.push(latencies.at(-1) ?? 0)
  found.p99Ms.push(latencies[Math.floor(latencies.length * 0.99)] ?? 0)
  found.refreshes.push(((await loads(STEADY)) - before) / (STEADY_MS / 1000 / TTL_SECONDS))
  for (const server of servers) await server.stop()
  await redis.stop()
}

try {
  say(machine())
  say(`medians of ${rounds} rounds in turn; ${PROCESSES} processes, a query of 300 ms`)
  const all = Object.fromEntries(
    Object.keys(contestants).map((name): [string, Found] => [
      name,
      { coldMs: [], queries: [], worstMs: [], p99Ms: [], refreshes: [] },
    ]),
  )
  for (let round = 0; round < rounds; round += 1)
    for (const [name, found] of Object.entries(all)) await measure(name, found)
  say(
    '| | queries for 1,000 requests at once | all answered after, ms | refreshes an expiry | worst answer then, ms | p99, ms |',
  )
  say('| --- | --- | --- | --- | --- | --- |')
  for (const [name, { coldMs, queries, worstMs, p99Ms, refreshes }] of Object.entries(all)) {
    const cells = [median(queries), median(coldMs).toFixed(0), median(refreshes).toFixed(1), median(worstMs).toFixed(0)]
    say(`| ${name} | ${cells.join(' | ')} | ${median(p99Ms).toFixed(1)} |`)
  }
} finally {
  judging.disconnect()
  await judge.stop()
}
