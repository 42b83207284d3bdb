// npm run stampede, in this folder: sends 1,000 requests at once for a cold list to 4 processes, with a query of
// 300 ms. It counts the queries and measures the time until the last reply, for our cache, for others, and for a route
// without a cache, which runs a query for each request. `-- --rounds 12`; names select caches.
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import { startRedis } from '../../test/helpers/redis.ts'
import { createReport } from '../report.ts'
import { inTurn, median, medianRatio } from '../rounds.ts'
import { type Burst, openBurst } from './cold-burst.ts'
import { OURS, peers } from './peers.ts'
import { listRequest, NO_CACHE, PROCESSES, startPeers } from './start-server.ts'
import { versions } from './versions.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '12' }, write: { type: 'boolean', default: false } },
})
const rounds = Number(values.rounds)
if (!(Number.isInteger(rounds) && rounds >= 2)) throw new TypeError('Expected --rounds of at least 2.')

const report = createReport('peers:stampede', values)
const REQUESTS = 1000
/** Long enough that no list expires. */
const TTL_SECONDS = 3600
/** The windows of the lists: for the warm-up, and of the first burst. */
const [WARM_UP, FIRST] = [1, 30]
/** The pause before each burst, in which the servers finish their background tasks. */
const PAUSE_MS = 300

const judge = await startRedis()
const judgeClient = new Redis(judge.url)
const ends: (() => Promise<void>)[] = []

async function open(name: string) {
  const { ports, stop } = await startPeers(name, judge.url, TTL_SECONDS)
  ends.push(stop)
  const burst = await openBurst({ ports, requests: REQUESTS / PROCESSES, warmUp: listRequest(WARM_UP) })
  return { name, send: burst.send, bursts: [] as Burst[], queries: [] as number[] }
}

try {
  report.say(versions())
  report.say(
    `${REQUESTS} requests at once for a cold list, over connections that are open; ${PROCESSES} processes, a query of 300 ms;`,
  )
  report.say(`ms from before the first is sent, medians of ${rounds} bursts in turn, after one to warm up`)
  const fleets = []
  for (const name of positionals.length > 0 ? positionals : [...Object.keys(peers), NO_CACHE])
    fleets.push(await open(name))
  for (let round = 0; round <= rounds; round += 1) {
    const days = FIRST + round
    for (const { name, send, bursts, queries } of inTurn(fleets, round)) {
      await sleep(PAUSE_MS)
      await judgeClient.del(`loads:${days}`)
      const burst = await send(listRequest(days))
      if (round === 0) continue
      bursts.push(burst)
      queries.push(name === NO_CACHE ? REQUESTS : Number(await judgeClient.get(`loads:${days}`)))
    }
  }
  const ours = fleets.find(({ name }) => name === OURS)?.bursts.map(({ allMs }) => allMs) ?? []
  const rows = fleets.map(({ name, bursts, queries }) => {
    const times = (['sentMs', 'firstMs', 'allMs'] as const).map((when) => median(bursts.map((burst) => burst[when])))
    const all = bursts.map(({ allMs }) => allMs)
    const ratio = medianRatio(all, ours)
    // Other load on the machine only makes a burst slower.
    const fastest = Math.min(...all)
    return [name, String(median(queries)), ...[...times, fastest].map((ms) => ms.toFixed(0)), ratio.toFixed(2)]
  })
  report.table([['', 'queries', 'all sent', 'first answer', 'all answered', 'the fastest', 'times ours'], ...rows])
  report.end()
} finally {
  for (const end of ends) await end()
  judgeClient.disconnect()
  await judge.stop()
}
