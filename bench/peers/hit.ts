// npm run hit, in this folder: what a cached list costs behind the same route, on us and on other caches: processor time of the server for
// a request. `-- --rounds 8 --requests 10000`.
import { parseArgs } from 'node:util'
import { startRedis } from '../../test/helpers/redis.ts'
import { median } from '../http-load.ts'
import { machine } from '../machine.ts'
import { costUs } from '../server-process.ts'
import { contestants } from './contestants.ts'
import { listRequest, startPeer } from './start-server.ts'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '8' }, requests: { type: 'string', default: '10000' } },
})
const [rounds, requests] = [Number(values.rounds), Number(values.requests)]
const say = (text: string) => process.stdout.write(`${text}\n`)
const names = Object.keys(contestants)
const [judge, ...redises] = await Promise.all([startRedis(), ...names.map(() => startRedis())])
const servers = await Promise.all(
  names.map((name, index) => startPeer(name, String(redises[index]?.url), judge.url, 3600)),
)
try {
  say(machine())
  say(`${rounds} rounds in turn, after one to warm up, of ${requests} requests each; µs of the server for a request`)
  const found = names.map(() => [] as number[])
  for (let round = 0; round <= rounds; round += 1) {
    for (const [index, server] of servers.entries()) {
      const cost = await costUs(server, { request: listRequest(30), requests })
      if (round > 0) found[index]?.push(cost)
    }
  }
  const ours = found[0] ?? []
  for (const [index, name] of names.entries()) {
    const theirs = found[index] ?? []
    const ratio = median(theirs.map((value, round) => value / (ours[round] ?? 0)))
    say(`${name.padEnd(24)} ${median(theirs).toFixed(1).padStart(7)}   ${ratio.toFixed(2)} times ours`)
  }
} finally {
  for (const server of servers) await server.stop()
  for (const redis of [judge, ...redises]) await redis.stop()
}
