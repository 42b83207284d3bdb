// npm run stampede, in this folder: 1,000 requests at once for a cold list, in 4 processes, with a query of 300 ms; and a list that
// expires every 2 s under a steady load; on us and on other caches. `-- --rounds 5 --seconds 24 --rate 800`; names: only these.
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import { startRedis } from '../../test/helpers/redis.ts'
import { median } from '../http-load.ts'
import { type Burst, sendBurst } from './cold-burst.ts'
import { contestants, OURS } from './contestants.ts'
import { type Expiries, findExpiries } from './expiries.ts'
import { listRequest, NO_CACHE, startPeer } from './start-server.ts'
import { sendSteadily } from './steady-load.ts'
import { inTurn, setting, table } from './table.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '24' },
    rate: { type: 'string', default: '800' },
  },
})
const [rounds, seconds, perSecond] = [Number(values.rounds), Number(values.seconds), Number(values.rate)]
if (!(Number.isInteger(rounds) && rounds >= 1 && seconds >= 8 && perSecond >= 100))
  throw new TypeError('Expected --rounds of at least 1, --seconds of at least 8 and --rate of at least 100.')

const say = (text: string) => process.stdout.write(`${text}\n`)
const [PROCESSES, REQUESTS, TTL_SECONDS] = [4, 1000, 2]
const [WARM_UP, COLD, STEADY] = [1, 30, 7]

const judge = await startRedis()
const judging = new Redis(judge.url)

interface Found {
  burst: Burst
  queries: number
  /** Not without a cache, where nothing expires. */
  expiries: (Expiries & { clientLateMs: number }) | undefined
}

async function steadily(ports: readonly number[]): Promise<Found['expiries']> {
  const asked = await sendSteadily({ ports, perSecond, seconds, request: listRequest(STEADY) })
  const queries = (await judging.lrange(`queries:${STEADY}`, 0, -1)).map((query) => JSON.parse(query))
  const late = asked.map(({ lateMs }) => lateMs).sort((a, b) => a - b)
  return { ...findExpiries(asked, queries), clientLateMs: late[Math.floor(late.length * 0.99)] ?? 0 }
}

async function measure(name: string): Promise<Found> {
  const redis = await startRedis()
  await judging.flushall()
  const servers = await Promise.all(
    Array.from({ length: PROCESSES }, () => startPeer(name, redis.url, judge.url, TTL_SECONDS)),
  )
  const ports = servers.map(({ port }) => port)
  try {
    const requests = REQUESTS / PROCESSES
    const burst = await sendBurst({ ports, requests, warmUp: listRequest(WARM_UP), request: listRequest(COLD) })
    const queries = Number(await judging.get(`loads:${COLD}`))
    return { burst, queries, expiries: name === NO_CACHE ? undefined : await steadily(ports) }
  } finally {
    for (const server of servers) await server.stop()
    await redis.stop()
  }
}

const names = positionals.length > 0 ? positionals : [...Object.keys(contestants), NO_CACHE]
const found = new Map<string, Found[]>(names.map((name) => [name, []]))
try {
  say(setting())
  say(`${rounds} rounds in turn; ${PROCESSES} processes, a query of 300 ms\n`)
  for (let round = 0; round < rounds; round += 1)
    for (const name of inTurn(names, round)) found.get(name)?.push(await measure(name))

  const ms = (value: number, digits = 1) => value.toFixed(digits)
  const ours = found.get(OURS) ?? []
  const cold = [...found].map(([name, all]) => {
    const of = (pick: (burst: Burst) => number) => median(all.map(({ burst }) => pick(burst)))
    const ratio = median(all.map(({ burst }, round) => burst.allMs / (ours[round]?.burst.allMs ?? Number.NaN)))
    const times = [of(({ sentMs }) => sentMs), of(({ firstMs }) => firstMs), of(({ allMs }) => allMs)]
    return [name, String(median(all.map(({ queries }) => queries))), ...times.map((at) => ms(at, 0)), ratio.toFixed(3)]
  })
  say(`${REQUESTS} requests at once for a cold list, over open connections; ms, medians`)
  say(table(['', 'queries', 'sent after', 'first answer', 'all answered', 'times ours'], cold))

  const steady = [...found].flatMap(([name, all]) => {
    const runs = all.flatMap(({ expiries }) => expiries ?? [])
    if (runs.length === 0) return []
    const worst = { at: runs.flatMap(({ worst }) => worst.at), between: runs.flatMap(({ worst }) => worst.between) }
    const p99Ms = median(runs.map((run) => run.p99Ms))
    const cells = [median(runs.map(({ queries }) => queries)), ms(p99Ms)]
    const both = [worst.at, worst.between].flatMap((all) => [ms(median(all)), ms(Math.max(...all))])
    const ratio = median(runs.map(({ worst, p99Ms }) => median(worst.at) / p99Ms))
    return [[name, ...cells.map(String), ...both, ratio.toFixed(2)]]
  })
  const runs = [...found.values()].flat().flatMap(({ expiries }) => expiries ?? [])
  say(
    `A list that expires every ${TTL_SECONDS} s, under ${perSecond} requests/s, evenly spaced; ms from when a request was due`,
  )
  say(
    `${runs[0]?.count} expiries a round; the client was up to ${ms(median(runs.map((run) => run.clientLateMs)), 2)} ms late (p99)`,
  )
  const columns = ['worst at an expiry: median', 'maximum', 'as long without one: median', 'maximum']
  say(table(['', 'queries an expiry', 'p99', ...columns, 'worst at an expiry / p99'], steady))
} finally {
  judging.disconnect()
  await judge.stop()
}
