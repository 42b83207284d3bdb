/**
 * Members of a fleet, Redis and PostgreSQL are killed, frozen and restarted at random while lists are published,
 * invalidated and read; `helpers/torture-judge.ts` checks the promises. `npm run torture -- --seconds 600 --seed 1`,
 * and `--cluster` for a Redis Cluster of three masters.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Pool } from 'pg'
import { createVersions, type Member, publish, setSeconds, startMember } from '../test/helpers/fleet.ts'
import { startPostgres } from '../test/helpers/private-postgres.ts'
import { createRandom } from '../test/helpers/random.ts'
import { createJudge } from '../test/helpers/torture-judge.ts'
import { redisCluster, singleRedis } from '../test/helpers/torture-redis.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    seed: { type: 'string', default: '1' },
    cluster: { type: 'boolean', default: false },
  },
})
const [seconds, seed] = [Number(values.seconds), Number(values.seed)]
if (!(seconds > 0) || !Number.isInteger(seed)) throw new TypeError('Expected --seconds above 0 and a whole --seed.')

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
const redis = values.cluster ? await redisCluster(random, PREFIX) : await singleRedis()
t.teardown(() => redis.stop())
const options = { postgresUrl: postgres.url, redisUrl: redis.url, prefix: PREFIX, ttlSeconds: 2 }
const slots: (Member | undefined)[] = await Promise.all(Array.from({ length: MEMBERS }, () => startMember(t, options)))
const frozen = new Set<number>()
const busy = new Set<string>()
const done: Record<string, number> = {}
let isOver = false
const startedAtMs = performance.now()
const elapsedSeconds = () => (performance.now() - startedAtMs) / 1000

/** Each fault ends what it began; a target has one at a time. */
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
  await redis.thaw()
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
  await setSeconds(pool, between(0.3, 4))
  await sleep(between(500, 3_000))
  await setSeconds(pool, 0.05)
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

function report(): string {
  const { reads, failed, broken, staleWhileCutOff, givenUp, confirmed, unconfirmed } = judge.counts
  const all = Object.entries(done).map(([name, times]) => `${name} ${times}`)
  return (
    `${Math.round(elapsedSeconds())} s: ${reads} reads (${failed} with nothing to serve, ${broken} cut by a kill, ` +
    `${staleWhileCutOff} loaded under a second before, by a member cut off from Redis, ` +
    `${givenUp} shortly after Redis was too slow for the member), ${confirmed} invalidations confirmed, ` +
    `${unconfirmed} refused; ${all.join(', ') || 'no fault yet'}; ${judge.violations.length} violations`
  )
}

say(`torture: ${MEMBERS} members${values.cluster ? ', a Cluster' : ''}, ${seconds} s, seed ${seed}`)
const progress = setInterval(() => say(report()), 10_000)
const end = setTimeout(() => {
  isOver = true
}, seconds * 1000)
process.once('SIGTERM', () => {
  isOver = true
})
try {
  const readers = slots.flatMap((_member, slot) => [read(slot), read(slot), read(slot)])
  // Two at a time: each takes the second that an invalidation takes.
  await Promise.all([makeFaults(), publishAndInvalidate(), publishAndInvalidate(), ...readers])
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
