import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t from 'tap'
import {
  createVersions,
  loaders,
  type Member,
  publish,
  setSeconds,
  startFleet,
  total,
  underLoad,
} from '../helpers/fleet.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/services/until.ts'

const LOADS = /pg_sleep/
const LEASE_MS = 3_000
/** How late a process may be, because all tests share two cores. */
const SLACK_MS = 3_000
const MINUTE_MS = 60_000

const { pool, url: postgresUrl, countStatements, resetStatements } = await createTestDatabase(t, { migrate: false })
await createVersions(pool)
const server = await startRedis()
t.teardown(() => server.stop())
const redis = new Redis(server.url)
t.teardown(() => redis.quit())
const prefix = 'holders'
// The clocks of the members are ten minutes apart.
const clockShiftsMs = [0, 5 * MINUTE_MS, -5 * MINUTE_MS]
const members = await startFleet(t, 3, { postgresUrl, redisUrl: server.url, redisPrefix: prefix, clockShiftsMs })
const [first, second, third] = members as [Member, Member, Member]

const readAll = (path?: string) => Promise.all(members.map((member) => member.read(path)))
const versionsOf = (answers: { version: number }[]) => [...new Set(answers.map(({ version }) => version))]

/** A member begins a load that takes this long. Later loads take no time. */
async function beginLoad(member: Member, path: string, seconds: number) {
  await setSeconds(pool, seconds)
  const answer = member.read(path)
  await until(async () => (await loaders(pool)).includes(member.pid), 'it loads')
  await setSeconds(pool, 0)
  return answer.then.bind(answer)
}

t.beforeEach(() => resetStatements())

t.test('after an invalidation during a load, the loaded list is not stored', async (t) => {
  const path = '/posts/popular?days=1'
  const loading = await beginLoad(first, path, 2.5)
  const version = await publish(pool)
  t.equal(await second.invalidate(), 200)
  t.ok((await loaders(pool)).includes(first.pid), 'the old load is still running')
  t.same(versionsOf(await Promise.all([second.read(path), third.read(path)])), [version])
  t.equal((await new Promise<{ version: number }>(loading)).version, version, 'nor answered')
  t.same(versionsOf(await readAll(path)), [version])
  t.equal((await first.stats()).commitsRefused, 1)
})

t.test('a holder is suspended past its lease: another member takes over, and the late commit is refused', async (t) => {
  const path = '/posts/popular?days=2'
  const before = (await first.stats()).commitsRefused
  const loading = await beginLoad(first, path, 1)
  await first.kill('SIGSTOP')
  const old = await second.read(path)
  t.equal(old.status, 200)
  const version = await publish(pool)
  t.equal(await third.invalidate(), 200)
  // These reads begin after the invalidation. The suspended process gets them when it resumes.
  const late = Array.from({ length: 5 }, () => first.read(path))
  t.same(versionsOf(await Promise.all([second.read(path), third.read(path)])), [version])
  const answers = await underLoad(members, { paths: [path] }, async () => {
    await first.kill('SIGCONT')
    await Promise.all(late)
    await sleep(500)
  })
  t.same(versionsOf([...answers, ...(await Promise.all(late))]), [version], 'the old list is never answered')
  t.equal((await new Promise<{ version: number }>(loading)).version, version)
  t.equal((await first.stats()).commitsRefused, before + 1)
  t.equal(await total([second, third], 'takeovers'), 1)
})

t.test('when the generation is lost, no older list is served, and one load is enough', async (t) => {
  await readAll()
  const version = await publish(pool)
  await resetStatements()
  await redis.del(`{${prefix}}:gen`)
  // A process serves its copy for a second without asking Redis.
  await sleep(1_100)
  t.same(versionsOf(await readAll()), [version])
  t.equal(await countStatements(LOADS), 1)
})

t.test('an invalidation is final without pub/sub too', async (t) => {
  const subscribed = async () => (await redis.pubsub('NUMSUB', `{${prefix}}:events`))[1]
  await redis.call('ACL', 'SETUSER', 'default', '-subscribe')
  await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await until(async () => (await subscribed()) === 0, 'nobody listens')
  for (let round = 0; round < 2; round += 1) {
    await readAll()
    const version = await publish(pool)
    t.equal(await first.invalidate(), 200)
    t.same(versionsOf(await readAll()), [version])
  }
  t.equal(await subscribed(), 0, 'nobody listened')
  await redis.call('ACL', 'SETUSER', 'default', '+subscribe')
  await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
})

t.test('a query that takes longer than the lease is one query', async (t) => {
  const path = '/posts/popular?days=3'
  const before = await total(members, 'takeovers')
  await setSeconds(pool, LEASE_MS / 1000 + 1)
  const answers = await Promise.all(members.flatMap((member) => [1, 2, 3].map(() => member.read(path))))
  await setSeconds(pool, 0)
  t.same([...new Set(answers.map(({ status }) => status))], [200])
  t.equal(await countStatements(LOADS), 1)
  t.equal(await total(members, 'takeovers'), before)
})

t.test('kill -9 of a holder costs the others one lease', async (t) => {
  const path = '/posts/popular?days=4'
  const before = await total([second, third], 'takeovers')
  const loading = await beginLoad(first, path, 30)
  const waiting = [second, third].flatMap((member) => [1, 2, 3, 4, 5].map(() => member.read(path)))
  await until(async () => (await total([second, third], 'waits')) >= 2, 'the others wait')
  const killedAtMs = performance.now()
  await first.kill()
  const answers = await Promise.all(waiting)
  const tookMs = performance.now() - killedAtMs
  t.same([...new Set(answers.map(({ status }) => status))], [200], 'everyone else is answered')
  t.equal((await total([second, third], 'takeovers')) - before, 1)
  t.ok(tookMs < LEASE_MS + 250 + SLACK_MS, `within the lease and 250 ms: ${Math.round(tookMs)} ms`)
  t.equal((await new Promise<{ status: number }>(loading)).status, 0)
})
