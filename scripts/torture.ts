/**
 * Kills, suspends and restarts members of a fleet, Redis and PostgreSQL at random while it publishes, invalidates and
 * reads lists; `helpers/torture-judge.ts` checks the promises. `npm run torture -- --seconds 600 --seed 1`,
 * `--cluster` for a Redis Cluster of three masters. `--failovers` adds a replica, which is promoted, while the old master
 * stays up; on a single Redis it also restarts from an older snapshot, and the clock is set back (by Debian's libfaketime);
 * on a Cluster the slot moves. `--sentinel` is a master and a replica that Sentinels watch, with failovers.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Pool } from 'pg'
import { createVersions, type Member, publish, setSeconds, startMember } from '../test/helpers/fleet.ts'
import { startPostgres } from '../test/helpers/private-postgres.ts'
import { createRandom } from '../test/helpers/random.ts'
import { redisCluster } from '../test/helpers/torture-cluster.ts'
import { createJudge } from '../test/helpers/torture-judge.ts'
import { type Failover, replicatedRedis, singleRedis } from '../test/helpers/torture-redis.ts'
import { watchedRedis } from '../test/helpers/torture-sentinel.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    seed: { type: 'string', default: '1' },
    cluster: { type: 'boolean', default: false },
    failovers: { type: 'boolean', default: false },
    sentinel: { type: 'boolean', default: false },
  },
})
const [seconds, seed] = [Number(values.seconds), Number(values.seed)]
if (!(seconds > 0) || !Number.isInteger(seed)) throw new TypeError('Expected --seconds above 0 and a whole --seed.')
if (values.cluster && values.sentinel) throw new TypeError('Expected --cluster or --sentinel, not both.')

const MEMBERS = 4
const PREFIX = 'torture'
const PATHS = [1, 2, 3].map((days) => `/posts/popular?days=${days}`)

const say = (text: string) => process.stdout.write(`${text}\n`)
const random = createRandom(seed)
const between = (from: number, to: number) => from + (to - from) * random()
const ends: (() => Promise<unknown>)[] = []
const t = { teardown: (end: () => Promise<unknown>) => ends.unshift(end) }

const judge = createJudge()
const postgres = await startPostgres()
t.teardown(() => postgres.remove())
const pool = new Pool({ connectionString: postgres.url, max: 3 })
pool.on('error', () => undefined)
t.teardown(() => pool.end())
await createVersions(pool, 0.05)
function startRedis() {
  if (values.cluster) return redisCluster(random, PREFIX, values.failovers)
  if (values.sentinel) return watchedRedis()
  return values.failovers ? replicatedRedis(t, random) : singleRedis()
}
const redis = await startRedis()
t.teardown(() => redis.stop())
const options = { postgresUrl: postgres.url, ...redis.address, redisPrefix: PREFIX, ttlSeconds: 2 }
const slots: (Member | undefined)[] = await Promise.all(Array.from({ length: MEMBERS }, () => startMember(t, options)))
const frozen = new Set<number>()
const busy = new Set<string>()
const done: Record<string, number> = {}
let isOver = false
const startedAtMs = performance.now()
const elapsedSeconds = () => (performance.now() - startedAtMs) / 1000

/** Each fault ends what it began. A target has one fault at a time. */
const faults = [
  { name: 'member killed', target: slotName, run: killMember },
  { name: 'member killed', target: slotName, run: killMember },
  { name: 'member frozen', target: slotName, run: freezeMember },
  { name: 'member frozen', target: slotName, run: freezeMember },
  { name: 'Redis killed', target: () => 'redis', run: killRedis },
  { name: 'Redis frozen', target: () => 'redis', run: freezeRedis },
  { name: 'PostgreSQL stopped', target: () => 'postgres', run: stopPostgres },
  { name: 'queries slow', target: () => 'postgres', run: slowDown },
  { name: 'queries slow', target: () => 'postgres', run: slowDown },
  ...(redis.failovers ?? []).map(({ name, ...failover }) => ({
    name,
    target: () => 'redis',
    run: () => failOver(failover),
  })),
]

function slotName(): string {
  return String(Math.floor(between(0, MEMBERS)))
}

async function killMember(target: string): Promise<void> {
  const slot = Number(target)
  judge.killed(slot)
  const member = slots[slot]
  slots[slot] = undefined
  await member?.kill()
  await sleep(between(0, 1_000))
  // A member may boot while Redis or PostgreSQL is away.
  slots[slot] = await startMember(t, options)
}

async function freezeMember(target: string): Promise<void> {
  const slot = Number(target)
  frozen.add(slot)
  await slots[slot]?.kill('SIGSTOP')
  // Sometimes longer than the lease.
  await sleep(between(100, 5_000))
  await slots[slot]?.kill('SIGCONT')
  frozen.delete(slot)
}

async function killRedis(): Promise<void> {
  const isBack = judge.goesAway('redis')
  await redis.kill()
  await sleep(between(0, 3_000))
  await redis.revive()
  isBack()
}

async function freezeRedis(): Promise<void> {
  const isBack = judge.goesAway('redis')
  await redis.freeze()
  await sleep(between(50, 2_000))
  const isSingle = judge.goesAway('a single master')
  if (await redis.thaw()) judge.losesWrites()
  isSingle()
  isBack()
}

async function failOver({ isLossy, hasTwoMasters, run }: Omit<Failover, 'name'>): Promise<void> {
  const isBack = judge.goesAway('redis')
  const isSingle = hasTwoMasters ? judge.goesAway('a single master') : undefined
  await run()
  isSingle?.()
  if (isLossy) judge.losesWrites()
  isBack()
}

async function stopPostgres(): Promise<void> {
  const isBack = judge.goesAway('postgres')
  await postgres.stop()
  await sleep(between(0, 2_500))
  await postgres.restart()
  isBack()
}

async function slowDown(): Promise<void> {
  const isBack = judge.goesAway('fast queries')
  await setSeconds(pool, between(0.3, 4))
  await sleep(between(500, 3_000))
  await setSeconds(pool, 0.05)
  isBack()
}

async function makeFaults(): Promise<void> {
  const running = new Set<Promise<void>>()
  while (!isOver) {
    await sleep(between(300, 2_000))
    const fault = faults[Math.floor(between(0, faults.length))]
    const target = fault?.target() ?? ''
    if (fault === undefined || busy.has(target) || isOver) continue
    busy.add(target)
    done[fault.name] = (done[fault.name] ?? 0) + 1
    const work = fault.run(target).finally(() => {
      busy.delete(target)
      running.delete(work)
    })
    running.add(work)
  }
  await Promise.all(running)
}

async function publishAndInvalidate(): Promise<void> {
  while (!isOver) {
    await sleep(between(0, 500))
    const awake = slots.filter((member, slot) => member !== undefined && !frozen.has(slot))
    const member = awake[Math.floor(between(0, awake.length))]
    if (member === undefined || judge.isAway('postgres')) continue
    // PostgreSQL may stop at any time; then no version is published.
    const version = await publish(pool).catch(() => undefined)
    if (version === undefined) continue
    const ended = judge.invalidates(version)
    ended((await member.invalidate().catch(() => 0)) === 200)
  }
}

async function read(slot: number): Promise<void> {
  for (let count = slot; !isOver; count += 1) {
    const member = slots[slot]
    const path = PATHS[count % PATHS.length] ?? ''
    await sleep(member === undefined ? 50 : 4)
    if (member === undefined || member !== slots[slot]) continue
    const floor = judge.floor()
    judge.judge({ ...(await member.read(path)), slot, path, floor })
  }
}

/** Within this time after the last fault every member finds Redis again. */
const PEACE_MS = 15_000

/** Without faults every member can invalidate, and then all serve the last version. */
async function endInPeace(): Promise<void> {
  const version = await publish(pool)
  const members = slots.filter((member) => member !== undefined)
  const untilMs = performance.now() + PEACE_MS
  const confirmed = async (member: Member) => {
    while (performance.now() < untilMs) if ((await member.invalidate()) === 200) return true
    return false
  }
  for (const isConfirmed of await Promise.all(members.map(confirmed)))
    if (!isConfirmed) judge.violations.push(`a member cannot invalidate ${PEACE_MS} ms after the last fault`)
  for (const reply of await Promise.all(members.flatMap((member) => PATHS.map((path) => member.read(path)))))
    if (reply.version !== version) judge.violations.push(`in peace not the last version: ${JSON.stringify(reply)}`)
}

function report(): string {
  const { reads, failed, broken, staleWhileCutOff, givenUp, confirmed, unconfirmed } = judge.counts
  const { staleAfterLoss, longestAfterLossMs, staleOfTwoMasters } = judge.counts
  const lost = `${staleAfterLoss} up to ${Math.round(longestAfterLossMs)} ms after Redis had lost writes, `
  const two = `${staleOfTwoMasters} while two masters took writes, `
  const all = Object.entries(done).map(([name, times]) => `${name} ${times}`)
  return (
    `${Math.round(elapsedSeconds())} s: ${reads} reads (${failed} with nothing to serve, ${broken} cut by a kill, ` +
    `${redis.failovers ? lost + two : ''}${staleWhileCutOff} loaded under a second before, by a member cut off from Redis, ` +
    `${givenUp} shortly after Redis was too slow for the member), ${confirmed} invalidations confirmed, ` +
    `${unconfirmed} refused; ${all.join(', ') || 'no fault yet'}; ${judge.violations.length} violations`
  )
}

const mode = (['cluster', 'failovers', 'sentinel'] as const).filter((name) => values[name])
say(`torture: ${[`${MEMBERS} members`, ...mode].join(', ')}, ${seconds} s, seed ${seed}`)
if (redis.skipped) say(`not tried: ${redis.skipped}`)
const progress = setInterval(() => say(report()), 10_000)
const end = setTimeout(() => {
  isOver = true
}, seconds * 1000)
process.once('SIGTERM', () => {
  isOver = true
})
try {
  const readers = slots.flatMap((_member, slot) => [read(slot), read(slot), read(slot)])
  // Two at a time, because each invalidation takes a second.
  await Promise.all([makeFaults(), publishAndInvalidate(), publishAndInvalidate(), ...readers])
  await endInPeace()
} finally {
  clearTimeout(end)
  clearInterval(progress)
  for (const end of ends) await end()
}
const kindOf = (violation: string) => violation.replace(/[0-9]+ ms|:.*/gs, '')
for (const kind of new Set(judge.violations.map(kindOf))) {
  const alike = judge.violations.filter((violation) => kindOf(violation) === kind)
  say(`${alike.length} x ${kind.trim()}`)
  for (const violation of alike.slice(0, 10)) say(`  ${violation}`)
}
say(`seed ${seed}, ${report()}`)
process.exitCode = judge.violations.length === 0 ? 0 : 1
