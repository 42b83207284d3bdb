import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'pg'
import t, { type Test } from 'tap'
import { createVersions, type MemberReply, publish, startFleet, total, underLoad } from '../helpers/fleet.ts'
import { startPostgres } from '../helpers/private-postgres.ts'
import { type RedisServer, startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/services/until.ts'

/** After this time a refresh is due, and the copies in the processes have expired. */
const OUTAGE_MS = 2_500

const postgres = await startPostgres()
t.teardown(() => postgres.remove())
const pool = new Pool({ connectionString: postgres.url })
pool.on('error', () => undefined)
t.teardown(() => pool.end())
await createVersions(pool, 0.05)
let redis = await startRedis()
t.teardown(() => redis.stop())
const members = await startFleet(t, 3, { postgresUrl: postgres.url, redisUrl: redis.url, ttlSeconds: 1 })

const readAll = (path?: string) => Promise.all(members.map((member) => member.read(path)))
const statusesOf = (answers: readonly MemberReply[]) => [...new Set(answers.map(({ status }) => status))]
const areOnRedis = async () => (await Promise.all(members.map((member) => member.stats()))).every((s) => !s.isStoreDown)

async function restartRedis(): Promise<RedisServer> {
  await redis.stop()
  redis = await startRedis({ port: redis.port })
  return redis
}

/** Waits until the members share lists and invalidations again. */
async function checkFleet(t: Test): Promise<void> {
  // Whether Redis is back is found out by asking it.
  await until(async () => {
    await readAll()
    return areOnRedis()
  }, 'all are back on Redis')
  const version = await publish(pool)
  t.equal(await members[0]?.invalidate(), 200)
  t.same(
    (await readAll()).map((answer) => answer.version),
    members.map(() => version),
  )
}

t.beforeEach(() => readAll())

const outages = {
  'Redis is killed, and comes back empty': { begin: () => redis.kill(), end: restartRedis },
  'Redis is frozen, and thaws': { begin: () => redis.kill('SIGSTOP'), end: () => redis.kill('SIGCONT') },
}
for (const [name, { begin, end }] of Object.entries(outages)) {
  t.test(`${name}: no request fails`, async (t) => {
    const answers = await underLoad(members, {}, async () => {
      await sleep(300)
      await begin()
      await until(async () => !(await areOnRedis()), 'somebody has noticed')
      t.equal(await members[0]?.invalidate(), 503, 'an invalidation cannot be made')
      await sleep(OUTAGE_MS)
      await end()
      await until(areOnRedis, 'all are back on Redis')
      await sleep(300)
    })
    t.same(statusesOf(answers), [200], `${answers.length} requests`)
    const longestMs = Math.max(...answers.map(({ durationMs }) => durationMs))
    t.ok(longestMs < 3_000, `the longest took ${Math.round(longestMs)} ms`)
    await checkFleet(t)
  })
}

t.test('PostgreSQL is stopped: the last good list, and one failing query a cool-down for the fleet', async (t) => {
  const failedBefore = await total(members, 'loadsFailed')
  const before = await Promise.all(members.map((member) => member.stats()))
  const startedAtMs = performance.now()
  let answers = await underLoad(members, {}, async () => {
    await postgres.stop()
    await until(async () => (await total(members, 'loadsFailed')) >= failedBefore + 4, 'four queries have failed')
  })
  const failed = (await total(members, 'loadsFailed')) - failedBefore
  const seconds = (performance.now() - startedAtMs) / 1000
  // On a busy machine a reply of Redis may miss its 150 ms: then the member uses its own memory, which has no list.
  const after = await Promise.all(members.map((member) => member.stats()))
  const onRedis = members.filter((_member, index) => after[index]?.storeFailures === before[index]?.storeFailures)
  const theirs = answers.filter(({ pid }) =>
    onRedis.some((member) => member.pid === pid && !after[members.indexOf(member)]?.isStoreDown),
  )
  t.ok(
    theirs.every(({ status }) => status === 200),
    `${theirs.length} requests to ${onRedis.length} members in ${seconds.toFixed(1)} s`,
  )
  // The cool-downs take 0.5, 1, 2 and 4 seconds, so the fifth query runs after 7.5 s.
  if (onRedis.length === members.length)
    t.ok(seconds > 3.4, 'the fourth failed after three cool-downs, of 3.5 s together')
  if (onRedis.length === members.length) t.ok(failed <= 5, `${failed} failed queries`)
  t.ok((await total(members, 'failSafeServed')) > 0)

  const cold = await readAll('/posts/popular?days=1')
  t.same(statusesOf(cold), [503], 'a list that nobody ever had')
  t.ok(cold.every(({ retryAfter }) => Number(retryAfter) >= 1))

  answers = await underLoad(members, {}, async () => {
    await postgres.restart()
    await until(async () => (await readAll()).every(({ how }) => /^hit; ttl=[0-9]/.test(how)), 'the list is fresh')
  })
  t.ok(answers.some(({ status }) => status === 200))
  await checkFleet(t)
})

t.test('both are down: 503 with Retry-After for lists that nobody has, and 200 when both are back', async (t) => {
  await postgres.stop()
  await redis.kill()
  const cold = await readAll('/posts/popular?days=2')
  t.same(statusesOf(cold), [503])
  t.ok(cold.every(({ retryAfter }) => Number(retryAfter) >= 1))
  t.equal(await members[0]?.invalidate(), 503)
  await Promise.all([postgres.restart(), restartRedis()])
  await until(async () => (await readAll('/posts/popular?days=2')).every(({ status }) => status === 200), 'the list')
  await checkFleet(t)
})
