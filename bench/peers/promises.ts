// npm start, in this folder: tests our promises on our cache and on others. Prints the table of the README.
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { type RedisServer, startRedis } from '../../test/helpers/redis.ts'
import { until } from '../../test/helpers/services/until.ts'
import { type Outcome, type PeerProcess, startPeerFleet } from './fleet.ts'
import { peers } from './peers.ts'

/** The setup of a check: four processes, their Redis, and the source that they load from. */
interface Setup {
  members: PeerProcess[]
  redis: RedisServer
  /** Changes the source. */
  set(source: { version?: string; delayMs?: number; broken?: 'yes' | 'no' }): Promise<void>
  loads(key: string): Promise<number>
}

/** Resolves to whether the cache keeps the promise, or to a text for the table. */
type Check = (setup: Setup, key: string) => Promise<boolean | string>

const EXPIRED_MS = 2_600
const all = (members: PeerProcess[], act: (member: PeerProcess) => Promise<Outcome>) => Promise.all(members.map(act))
const allReturn = (outcomes: Outcome[], value: string) => outcomes.every((outcome) => outcome.value === value)

/** The checks in their order; those that stop Redis are last. */
const checks: Record<string, Check> = {
  'queries for 100 requests at once, in 4 processes': async ({ members, loads }, key) => {
    const outcomes = await Promise.all(Array.from({ length: 25 }, () => all(members, ({ get }) => get(key))))
    return allReturn(outcomes.flat(), 'first') ? String(await loads(key)) : 'errors'
  },
  'invalidated during a load: the old value is not kept': async ({ members, set, loads }, key) => {
    const [one, other] = members as [PeerProcess, PeerProcess]
    const loading = one.get(key)
    await until(async () => (await loads(key)) > 0, 'the load has begun')
    await set({ version: 'second' })
    await other.invalidate(key)
    await loading
    return allReturn(await all(members, ({ get }) => get(key)), 'second')
  },
  'invalidated in one process: no other answers the old value': async ({ members, set }, key) => {
    await all(members, ({ get }) => get(key))
    await set({ version: 'second' })
    await members[0]?.invalidate(key)
    return allReturn(await all(members.slice(1), ({ get }) => get(key)), 'second')
  },
  'expired: all get the old value at once; queries to refresh it': async ({ members, set, loads }, key) => {
    await all(members, ({ get }) => get(key))
    await sleep(EXPIRED_MS)
    await set({ version: 'second' })
    const before = await loads(key)
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => all(members, ({ get }) => get(key))))
    await sleep(EXPIRED_MS / 2)
    const queries = (await loads(key)) - before
    return allReturn(outcomes.flat(), 'first') ? String(queries) : `they wait; ${queries}`
  },
  'the source fails: the last good value is answered': async ({ members, set }, key) => {
    await all(members, ({ get }) => get(key))
    await sleep(EXPIRED_MS)
    await set({ broken: 'yes' })
    const outcomes = [await all(members, ({ get }) => get(key)), await all(members, ({ get }) => get(key))]
    return allReturn(outcomes.flat(), 'first')
  },
  'the source fails: queries for 20 requests at once in a process': async ({ members, set, loads }, key) => {
    await set({ broken: 'yes' })
    await Promise.all(Array.from({ length: 20 }, () => members[0]?.get(key)))
    return String(await loads(key))
  },
  'Redis is down: requests are answered': async ({ members, redis }, key) => {
    await redis.kill()
    return allReturn(await all(members, ({ get }) => get(key)), 'first')
  },
  'Redis is down: an invalidation says that it has failed': async ({ members, redis }, key) => {
    await redis.kill()
    const outcome = await members[0]?.invalidate(key)
    return outcome?.error !== undefined && outcome.error !== 'no answer'
  },
}

async function testPeer(name: string): Promise<string[]> {
  const source = await startRedis()
  const judgeClient = new Redis(source.url)
  const results: string[] = []
  let number = 0
  for (const check of Object.values(checks)) {
    number += 1
    const redis = await startRedis()
    const set: Setup['set'] = async (facts) => void (await judgeClient.mset(facts))
    await set({ version: 'first', delayMs: 300, broken: 'no' })
    const { members, stop } = await startPeerFleet(4, name, redis.url, source.url)
    // Each check has its own key: the window of a list in days.
    const key = String(number)
    const loads: Setup['loads'] = async (key) => Number(await judgeClient.get(`loads:${key}`))
    const result = await check({ members, redis, set, loads }, key)
    results.push(typeof result === 'string' ? result : result ? 'yes' : 'no')
    await stop()
    await redis.stop()
  }
  await judgeClient.quit()
  await source.stop()
  return results
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(peers)
const columns: string[][] = []
for (const name of names) columns.push(await testPeer(name))
const rows = Object.keys(checks).map((promise, index) => [promise, ...columns.map((column) => column[index] ?? '')])
const line = (cells: string[]) => `| ${cells.join(' | ')} |\n`
process.stdout.write(line(['', ...names]) + line(['', ...names].map(() => '---')) + rows.map(line).join(''))
