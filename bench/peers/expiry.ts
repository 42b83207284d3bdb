// npm run expiry, in this folder: counts the queries of a list that expires every 2 s in 4 processes, with a query of
// 300 ms, under a steady load, and measures the slowest reply, for our cache and others. `-- --rounds 4 --seconds 22
// --rate 600`; names select caches.
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import { startRedis } from '../../test/helpers/redis.ts'
import { sendLoad } from '../http-load.ts'
import { createReport } from '../report.ts'
import { inTurn, median, p99 } from '../rounds.ts'
import { type Expiries, findExpiries } from './expiries.ts'
import { peers } from './peers.ts'
import { listRequest, PROCESSES, startPeers } from './start-server.ts'
import { sendSteadily } from './steady-load.ts'
import { versions } from './versions.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '4' },
    write: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '22' },
    rate: { type: 'string', default: '600' },
  },
})
const [rounds, seconds, perSecond] = [Number(values.rounds), Number(values.seconds), Number(values.rate)]
if (!(Number.isInteger(rounds) && rounds >= 1 && seconds >= 8 && perSecond >= 100))
  throw new TypeError('Expected --rounds of at least 1, --seconds of at least 8 and --rate of at least 100.')

const report = createReport('peers:expiry', values)
const [TTL_SECONDS, DAYS] = [2, 7]
/** Warm-up requests for each server, so that V8 has compiled its code. */
const WARM_UP = { connections: 10, requests: 2_000 }

const judge = await startRedis()
const judgeClient = new Redis(judge.url)

interface Run extends Expiries {
  /** The p99 of the client's own delay. */
  clientMs: number
}

async function measure(name: string): Promise<Run> {
  await judgeClient.flushall()
  const { ports, stop } = await startPeers(name, judge.url, TTL_SECONDS)
  try {
    const request = listRequest(DAYS)
    await Promise.all(ports.map((port) => sendLoad({ port, ...WARM_UP, requestOf: () => request })))
    const replies = await sendSteadily({ ports, perSecond, seconds, request })
    const queries = (await judgeClient.lrange(`queries:${DAYS}`, 0, -1)).map((query) => JSON.parse(query))
    return { ...findExpiries(replies, queries), clientMs: p99(replies.map(({ lateMs }) => lateMs)) }
  } finally {
    await stop()
  }
}

function rowOf([name, runs]: [string, Run[]]): string[] {
  const [at, between] = [runs.flatMap(({ worst }) => worst.at), runs.flatMap(({ worst }) => worst.between)]
  const cells = [median(at), Math.max(...at), median(between), Math.max(...between)]
  const ofP99 = median(runs.map(({ worst, p99Ms }) => median(worst.at) / p99Ms))
  const ofQuiet = median(runs.map(({ worst }) => median(worst.at) / median(worst.between)))
  const ms = [median(runs.map(({ p99Ms }) => p99Ms)), ...cells].map((value) => value.toFixed(1))
  return [name, String(median(runs.map(({ queries }) => queries))), ...ms, ofP99.toFixed(2), ofQuiet.toFixed(2)]
}

try {
  const found = new Map<string, Run[]>()
  for (const name of positionals.length > 0 ? positionals : Object.keys(peers)) found.set(name, [])
  report.say(versions())
  report.say(
    `A list that expires every ${TTL_SECONDS} s; ${PROCESSES} processes, a query of 300 ms; ${perSecond} requests a second in all, evenly spaced;`,
  )
  report.say(`ms from when a request was due; medians of ${rounds} rounds in turn, ${seconds} s each`)
  for (let round = 0; round < rounds; round += 1)
    for (const [name, runs] of inTurn([...found], round)) runs.push(await measure(name))
  const runs = [...found.values()].flat()
  const clientMs = median(runs.map((run) => run.clientMs))
  report.say(
    `in all ${runs.reduce((sum, { count }) => sum + count, 0)} expiries; the client itself was ${clientMs.toFixed(1)} ms late (p99)`,
  )
  const worst = ['worst at an expiry', 'the maximum', 'worst without', 'the maximum']
  report.table([['', 'queries', 'p99', ...worst, 'at an expiry / p99', 'at / without'], ...[...found].map(rowOf)])
  report.end()
} finally {
  judgeClient.disconnect()
  await judge.stop()
}
