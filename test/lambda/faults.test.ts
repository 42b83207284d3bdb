import type { Pool } from 'pg'
import t, { type Test } from 'tap'
import { fillBlog } from '../helpers/blog.ts'
import { packageService } from '../helpers/lambda/artifact.ts'
import { type HttpAnswer, httpApiEvent } from '../helpers/lambda/events.ts'
import { type FunctionOptions, type Invoked, type Lambda, startLambda } from '../helpers/lambda/host.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

import { startPostgres } from '../helpers/private-postgres.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/services/until.ts'
import { createShiftedClock, type ShiftedClock } from '../helpers/shifted-clock.ts'

import { startProxy } from '../helpers/tcp-proxy.ts'

const RANKING = /from "ranked"/
const { taskRoot } = await packageService(t)

/** A blog, a Redis, proxies to both that can break, and the packaged function. */
async function deploy(t: Test, options: { env?: Record<string, string>; timeoutMs?: number } = {}) {
  const [database, redis] = await Promise.all([createTestDatabase(t), startRedis()])
  t.teardown(() => redis.stop())
  await fillBlog(database.db, 20)
  const address = new URL(database.url)
  const wires = { redis: await startProxy(t, redis.port), postgres: await startProxy(t, Number(address.port)) }
  address.port = String(wires.postgres.port)
  const env = {
    DATABASE_URL: address.href,
    REDIS_URL: `redis://127.0.0.1:${wires.redis.port}`,
    LOG_LEVEL: 'info',
    ...options.env,
  }
  const start = (more: Partial<FunctionOptions> = {}) =>
    startLambda(t, { taskRoot, handler: 'build/lambda/lambda.http', ...options, ...more, env: { ...env, ...more.env } })
  return { ...database, redis, wires, env, start, api: await start() }
}

/** Sends a request through the gateway. Resolves to the reply. */
async function get(api: Lambda, url = '/posts/popular', options = {}): Promise<HttpAnswer> {
  return answerOf(await api.invoke(httpApiEvent(url, options)))
}

/** The reply of the gateway when the function does not reply. */
function answerOf(invoked: Invoked): HttpAnswer {
  if (invoked.status === 'returned') return invoked.value as HttpAnswer
  return { statusCode: invoked.status === 'timeout' ? 503 : 500, headers: {}, body: JSON.stringify(invoked) }
}

const slugsOf = ({ body }: HttpAnswer) => (JSON.parse(body) as { slug: string }[]).map(({ slug }) => slug)
const howOf = ({ headers }: HttpAnswer) => headers['cache-status']?.replace('popular-posts; ', '')

t.test('a cold start with everything up, a freeze, and a thaw', async (t) => {
  const { api, countStatements } = await deploy(t)
  const cold = await get(api)
  t.equal(cold.statusCode, 200, cold.body)
  t.equal(slugsOf(cold)[0], 'post-1')
  t.equal(howOf(cold), 'fwd=miss; stored')
  // On a busy machine a command to Redis may time out; then this process loads the list itself.
  let degraded = 0
  await until(async () => {
    const warm = await get(api)
    t.equal(warm.body, cold.body)
    if (/redis-down/.test(String(howOf(warm)))) degraded += 1
    return /^hit; /.test(String(howOf(warm)))
  }, 'it is a hit')
  t.equal(api.coldStarts(), 1)
  t.ok((await countStatements(RANKING)) <= 1 + degraded)
})

t.test('a stale list is refreshed before the reply, by one environment', async (t) => {
  const { api, countStatements, redis, env } = await deploy(t, { env: { CACHE_TTL_SECONDS: '1' } })
  t.equal((await get(api)).statusCode, 200)
  await until(
    async () => howOf(await get(api)) === 'fwd=miss; stored',
    'the list was stale, and was loaded for this answer',
  )
  t.equal(await countStatements(RANKING), 2)
  t.notMatch(api.said(), /failed/)
  t.ok(redis.url !== env.REDIS_URL)
})

t.test('connections survive a freeze that is longer than the idle time of a pool', async (t) => {
  const { api, pool } = await deploy(t)
  const connections = async () => {
    const { rows } = await pool.query<{ pid: number }>(
      "select pid from pg_stat_activity where datname = current_database() and application_name like 'popular-posts%' order by pid",
    )
    return rows.map(({ pid }) => pid)
  }
  t.equal((await get(api)).statusCode, 200)
  const before = await connections()
  t.ok(before.length > 0)
  // The default of pg: 10 s.
  await new Promise((resolve) => setTimeout(resolve, 10_500))
  t.equal(howOf(await get(api, '/posts/popular?days=7')), 'fwd=miss; stored')
  t.same(await connections(), before)
  t.equal(api.coldStarts(), 1)
})

const clock = await createShiftedClock()
const options = { skip: clock === undefined && 'libfaketime cannot be downloaded' }

t.test('a freeze in which the monotonic clock stops: a copy is as old as the date says', options, async (t) => {
  const { env: shifted, set } = clock as ShiftedClock
  const { url, db } = await createTestDatabase(t)
  await fillBlog(db, 20)
  // Redis has the same clock: only the monotonic clock of the function stops.
  const redis = await startRedis({ env: shifted })
  t.teardown(() => redis.stop())
  const env = { ...shifted, DATABASE_URL: url, REDIS_URL: redis.url, LOG_LEVEL: 'info', CACHE_TTL_SECONDS: '300' }
  const api = await startLambda(t, { taskRoot, handler: 'build/lambda/lambda.http', env })
  await until(async () => /^hit; ttl=(?:300|2\d\d)/.test(String(howOf(await get(api)))), 'it has a copy')
  await db.updateTable('posts').set({ title: 'Another title' }).where('slug', '=', 'post-1').execute()
  await set(400)
  // The processes look at the file of the clock once a second.
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  const thawed = await get(api)
  t.equal(howOf(thawed), 'fwd=miss; stored')
  t.match(thawed.body, /Another title/)
  t.equal(api.coldStarts(), 1)
  t.notMatch(api.said(), /store-down|load-failed/)
})

t.test('a view is recorded before its 204, and counted by the schedule', async (t) => {
  const { api, start, db } = await deploy(t)
  const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0' }
  const view = (sourceIp: string) => get(api, '/posts/post-7/views', { method: 'POST', headers, sourceIp })
  for (const address of ['203.0.113.1', '203.0.113.2', '203.0.113.1'])
    t.match(await view(address), { statusCode: 204, body: '' })
  // The gateway sets the address of the client, whatever headers the client sends.
  const forged = { ...headers, 'x-forwarded-for': '198.51.100.1', forwarded: 'for=198.51.100.1' }
  await get(api, '/posts/post-7/views', { method: 'POST', headers: forged, sourceIp: '203.0.113.2' })
  const schedule = await start({ handler: 'build/lambda/lambda.flush' })
  t.match(await schedule.invoke({ lists: [{}, { days: 7 }], categories: [{}] }), {
    status: 'returned',
    value: { views: 2, lists: 3 },
  })
  t.match(howOf(await get(api, '/posts/popular?days=7')), /^hit; /, 'what the schedule has loaded')
  const total = await db
    .selectFrom('post_views_total')
    .innerJoin('posts', 'posts.id', 'post_views_total.post_id')
    .where('slug', '=', 'post-7')
    .select('views')
    .executeTakeFirstOrThrow()
  t.equal(Number(total.views), 993 + 2)
})

t.test('a cold start while Redis is down, until it is up', async (t) => {
  const { api, redis } = await deploy(t)
  await redis.stop()
  const cold = await get(api)
  t.equal(cold.statusCode, 200, cold.body)
  t.equal((await get(api)).statusCode, 200)
  const again = await startRedis({ port: redis.port })
  t.teardown(() => again.stop())
  // The probe runs in the foreground, at most a second after the last failure.
  await until(async () => {
    const answer = await get(api)
    t.equal(answer.statusCode, 200, answer.body)
    return /^hit; ttl=\d{3}/.test(String(howOf(answer)))
  }, 'the list is shared')
})

t.test('a cold start while PostgreSQL is down, until it is up', async (t) => {
  const postgres = await startPostgres()
  t.teardown(() => postgres.remove())
  const { start, url } = await deploy(t)
  const other = new URL(url)
  const api = await start({ env: { DATABASE_URL: postgres.url } })
  await postgres.stop()
  const cold = await get(api)
  t.equal(cold.statusCode, 503, 'a list that nobody ever had')
  t.ok(Number(cold.headers['retry-after']) >= 1)
  t.match(await get(api, '/health/live'), { statusCode: 200 })
  t.ok(other.port !== String(postgres.port))
})

t.test('while PostgreSQL is down the last good list is served', async (t) => {
  const postgres = await startPostgres()
  t.teardown(() => postgres.remove())
  const { start } = await deploy(t)
  const env = { DATABASE_URL: postgres.url, CACHE_TTL_SECONDS: '1', CACHE_PREFIX: 'other' }
  const migrate = await start({ handler: 'build/lambda/migrate.migrate', env })
  t.match(await migrate.invoke({}), { status: 'returned', value: { migrated: true } })
  const api = await start({ env })
  t.match(await get(api), { statusCode: 200, body: '[]' })
  await postgres.stop()
  await until(async () => {
    const answer = await get(api)
    t.match(answer, { statusCode: 200, body: '[]' })
    return /^hit; ttl=-/.test(String(howOf(answer)))
  }, 'it is served stale')
  await postgres.restart()
  await until(async () => {
    const answer = await get(api)
    t.match(answer, { statusCode: 200, body: '[]' })
    return howOf(answer) === 'fwd=miss; stored'
  }, 'it is loaded again')
})

for (const how of ['closed', 'reset', 'half-open'] as const) {
  t.test(`a thaw with both connections ${how}: reconnected within the request`, async (t) => {
    const { api, wires, countStatements } = await deploy(t)
    const before = await get(api)
    t.equal(before.statusCode, 200)
    t.ok(wires.redis.connections() > 0 && wires.postgres.connections() > 0, 'it holds connections while it is frozen')
    // Longer than the interval of the probes.
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    for (const wire of Object.values(wires)) wire.cut(how)
    const after = await get(api)
    t.equal(after.statusCode, 200)
    t.match(howOf(after), /^hit; /, 'from Redis')
    t.equal(after.body, before.body)
    t.equal(await countStatements(RANKING), 1)
    // Another list, which needs PostgreSQL.
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    for (const wire of Object.values(wires)) wire.cut(how)
    const other = await get(api, '/posts/popular?days=7')
    t.match(other, { statusCode: 200 }, other.body)
    t.equal(howOf(other), 'fwd=miss; stored')
    t.notMatch(api.said(), /store-down|load-failed/)
  })
}

t.test('parallel first requests to fifty environments run one query', async (t) => {
  const { url, redis, start, countStatements } = await deploy(t)
  // Without the proxies: they run in this process, which already serves fifty environments.
  const api = await start({ env: { DATABASE_URL: url, REDIS_URL: redis.url } })
  await api.prepare(50)
  const answers = await Promise.all(Array.from({ length: 50 }, () => get(api)))
  t.same([...new Set(answers.map(({ statusCode }) => statusCode))], [200])
  t.equal(new Set(answers.map(({ body }) => body)).size, 1)
  t.equal(api.coldStarts(), 50)
  // Fifty processes share two cores: some commands to Redis may take 150 ms and time out, and then cause another query.
  const alone = api.said().match(/store-down/g)?.length ?? 0
  const queries = await countStatements(RANKING)
  t.ok(queries >= 1 && queries <= 1 + alone, `${queries} queries, ${alone} environments had to do without Redis`)
})

t.test('an environment that is frozen during a load and thaws after an invalidation stores nothing', async (t) => {
  const { api, start, pool } = await deploy(t)
  const lock = await pool.connect()
  await lock.query('begin; lock table posts in access exclusive mode')
  const loading = get(api)
  await until(async () => (await waiting(pool)) > 0, 'it loads')
  api.signalAll('SIGSTOP')
  await lock.query("update posts set published_at = 'infinity' where slug = 'post-1'")
  await lock.query('commit')
  lock.release()
  const other = await start({ handler: 'build/lambda/lambda.invalidate' })
  t.match(await other.invoke({}), { status: 'returned', value: { invalidated: 'hard' } })
  api.signalAll('SIGCONT')
  t.notOk(slugsOf(await loading).includes('post-1'))
  const fresh = await start()
  t.equal(slugsOf(await get(fresh))[0], 'post-2')
})

t.test('after an environment is killed during a load, the next load waits for one lease', async (t) => {
  const { api, start, pool } = await deploy(t, { timeoutMs: 3_000 })
  const patient = await start({ timeoutMs: 60_000 })
  t.equal((await get(patient, '/health/live')).statusCode, 200)
  const lock = await pool.connect()
  await lock.query('begin; lock table posts in access exclusive mode')
  const killed = get(api)
  await until(async () => (await waiting(pool)) > 0, 'it loads')
  const waits = get(patient)
  t.equal((await killed).statusCode, 503, 'what the gateway answers')
  await lock.query('commit')
  lock.release()
  t.match(await waits, { statusCode: 200 })
  t.match(await get(api), { statusCode: 200 }, 'a new environment')
  t.equal(api.coldStarts(), 2)
})

/** The number of statements that wait for a lock. */
async function waiting(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ count: string }>(
    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
  )
  return Number(rows[0]?.count)
}
