// npm start, in this folder: what we promise, tried on us and on other caches. Prints the table of the README.
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { type RedisServer, startRedis } from '../../test/helpers/redis.ts'
import { until } from '../../test/helpers/services/until.ts'
import { type Outcome, type PeerProcess, startPeerFleet } from './fleet.ts'
import { peers } from './peers.ts'

/** What a check works with: four processes, their Redis, and the source that they load from. */
interface Court {
  members: PeerProcess[]
  redis: RedisServer
  /** Makes the source say another thing from now on. */
  set(source: { version?: string; delayMs?: number; broken?: 'yes' | 'no' }): Promise<void>
  loads(key: string): Promise<number>
}

/** Resolves to whether the promise was kept, or in words. */
type Check = (court: Court, key: string) => Promise<boolean | string>

const EXPIRED_MS = 2_600
const all = (members: PeerProcess[], act: (member: PeerProcess) => Promise<Outcome>) => Promise.all(members.map(act))
const say = (outcomes: Outcome[], value: string) => outcomes.every((outcome) => outcome.value === value)

/** In the order in which they are tried: those that take Redis away come last. */
const checks: Record<string, Check> = {
  'queries for 100 requests at once, in 4 processes': async ({ members, loads }, key) => {
    const outcomes = await Promise.all(Array.from({ length: 25 }, () => all(members, ({ get }) => get(key))))
    return say(outcomes.flat(), 'first') ? String(await loads(key)) : 'errors'
  },
  'invalidated during a load: the old value is not kept': async ({ members, set, loads }, key) => {
    const [one, other] = members as [PeerProcess, PeerProcess]
    const loading = one.get(key)
    await until(async () => (await loads(key)) > 0, 'the load has begun')
    await set({ version: 'second' })
    await other.invalidate(key)
    await loading
    return say(await all(members, ({ get }) => get(key)), 'second')
  },
  'invalidated in one process: no other answers the old value': async ({ members, set }, key) => {
    await all(members, ({ get }) => get(key))
    await set({ version: 'second' })
    await members[0]?.invalidate(key)
    return say(await all(members.slice(1), ({ get }) => get(key)), 'second')
  },
  'expired: all get the old value at once; queries to refresh it': async ({ members, set, loads }, key) => {
    await all(members, ({ get }) => get(key))
    await sleep(EXPIRED_MS)
    await set({ version: 'second' })
    const before = await loads(key)
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => all(members, ({ get }) => get(key))))
    await sleep(EXPIRED_MS / 2)
    const queries = (await loads(key)) - before
    return say(outcomes.flat(), 'first') ? String(queries) : `they wait; ${queries}`
  },
  'the source fails: the last good value is answered': async ({ members, set }, key) => {
    await all(members, ({ get }) => get(key))
    await sleep(EXPIRED_MS)
    await set({ broken: 'yes' })
    const outcomes = [await all(members, ({ get }) => get(key)), await all(members, ({ get }) => get(key))]
    return say(outcomes.flat(), 'first')
  },
  'the source fails: queries for 20 requests at once in a process': async ({ members, set, loads }, key) => {
    await set({ broken: 'yes' })
    await Promise.all(Array.from({ length: 20 }, () => members[0]?.get(key)))
    return String(await loads(key))
  },
  'Redis is down: requests are answered': async ({ members, redis }, key) => {
    await redis.kill()
    return say(await all(members, ({ get }) => get(key)), 'first')
  },
  'Redis is down: an invalidation says that it has failed': async ({ members, redis }, key) => {
    await redis.kill()
    const outcome = await members[0]?.invalidate(key)
    return outcome?.error !== undefined && outcome.error !== 'no answer'
  },
}

async function judge(name: string): Promise<string[]> {
  const source = await startRedis()
  const judging = new Redis(source.url)
  const verdicts: string[] = []
  let number = 0
  for (const check of Object.values(checks)) {
    number += 1
    const redis = await startRedis()
    const set: Court['set'] = async (facts) => void (await judging.mset(facts))
    await set({ version: 'first', delayMs: 300, broken: 'no' })
    const { members, stop } = await startPeerFleet(4, name, redis.url, source.url)
    // A key of its own, which names a list of ours: its window in days.
    const key = String(number)
    const loads: Court['loads'] = async (key) => Number(await judging.get(`loads:${key}`))
    const kept = await check({ members, redis, set, loads }, key)
    verdicts.push(typeof kept === 'string' ? kept : kept ? 'yes' : 'no')
    await stop()
    await redis.stop()
  }
  await judging.quit()
  await source.stop()
  return verdicts
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(peers)
const columns: string[][] = []
for (const name of names) columns.push(await judge(name))
const rows = Object.keys(checks).map((promise, index) => [promise, ...columns.map((column) => column[index] ?? '')])
const line = (cells: string[]) => `| ${cells.join(' | ')} |\n`
process.stdout.write(line(['', ...names]) + line(['', ...names].map(() => '---')) + rows.map(line).join(''))
