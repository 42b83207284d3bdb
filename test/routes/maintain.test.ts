import { randomBytes } from 'node:crypto'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import popularPosts, { type PopularPost } from '../../index.ts'
import maintainRoutes from '../../routes/maintain.ts'
import { createService, fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { runProgram } from '../helpers/program.ts'
import { redisUrl, startRedis } from '../helpers/redis.ts'
import { startService } from '../helpers/service.ts'

const ADMIN_TOKEN = 'a token for the tests'
const authorization = `Bearer ${ADMIN_TOKEN}`
const url = '/posts/popular/maintain'
const wrong = { authorization: 'Bearer a wrong token' }
const READER = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/129.0' }
const { db, pool, url: databaseUrl } = await createTestDatabase(t)
await fillBlog(db, 3)

/** Variables of processes that share a Redis, as in containers that scale to zero. */
async function shared() {
  const CACHE_PREFIX = `maintain-${randomBytes(6).toString('hex')}`
  return { ADMIN_TOKEN, BACKGROUND_WORK: 'false', REDIS_URL: await redisUrl(), CACHE_PREFIX }
}

type App = Pick<FastifyInstance, 'inject'>
const post = (app: App, payload?: string | object, headers = {}) =>
  app.inject({ method: 'POST', url, headers: { authorization, ...headers }, ...(payload ? { payload } : {}) })
const total = async () =>
  Number((await pool.query('select coalesce(sum(views), 0) as views from post_views_total')).rows[0].views)

t.test('a schedule counts the views of processes that end, sees changes, and keeps lists fresh', async (t) => {
  const variables = await shared()
  const before = await total()
  const gone = await startService(t, { DATABASE_URL: databaseUrl, ...variables })
  const viewed = await fetch(`${gone.address}/posts/post-3/views`, { method: 'POST', headers: READER })
  t.equal(viewed.status, 204)
  gone.child.kill('SIGKILL')
  await gone.ended()
  t.equal(await total(), before, 'nothing was counted in the background')

  const app = await createService(t, databaseUrl, variables)
  const title = async () => (await app.inject('/posts/popular')).json<PopularPost[]>()[0]?.title
  t.match((await post(app)).json(), { views: 1, lists: 2 })
  t.equal(await total(), before + 1)
  t.equal(await title(), 'Post 1')
  await pool.query(`update posts set title = 'New' where slug = 'post-1'`)
  const changed = await post(app, { lists: [{}, { days: 7 }], categories: [], withinSeconds: 1 })
  t.match(changed, { statusCode: 200, headers: { 'cache-control': 'no-store' } })
  t.same(changed.json(), { views: 0, change: 'soft', lists: 2 })
  t.equal(await title(), 'New')
  const { 'cache-status': status } = (await app.inject('/posts/popular?days=7')).headers
  t.match(status, /hit/, 'loaded by the schedule')
  t.same((await app.inject({ url, headers: { authorization } })).json(), { views: 0, lists: 2 }, 'with GET, too')
})

t.test('each form in which a schedule sends a request is accepted', async (t) => {
  const app = await createService(t, databaseUrl, await shared())
  const text = '{"lists":[{"days":7}]}'
  const types = ['application/json', 'application/json; charset=utf-8', 'application/octet-stream', 'text/plain', 'x/y']
  for (const type of types) {
    t.match((await post(app, '', { 'content-type': type })).json(), { lists: 2 }, `${type}, empty`)
    t.match((await post(app, text, { 'content-type': type })).json(), { lists: 2 }, type)
  }
  t.match((await post(app, '{}', { 'content-type': types[2] })).json(), { lists: 2 })
  const event = { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: { lists: [], categories: [] } }
  t.match((await post(app, event)).json(), { lists: 0 }, 'an event of EventBridge')
})

t.test('a request that is not expected is refused, and named', async (t) => {
  const app = await createService(t, databaseUrl, await shared())
  const requests: [string | object, number, string, RegExp][] = [
    [{ list: [{}] }, 400, 'PP_BAD_REQUEST', /^The maintenance expects no other keys than lists, .*, got "list"\.$/],
    [{ lists: [{ day: 7 }] }, 400, 'PP_BAD_REQUEST', /expects lists to be a list of queries with category/],
    [{ lists: [7] }, 400, 'FST_ERR_VALIDATION', /lists/],
    [{ withinSeconds: -1 }, 400, 'FST_ERR_VALIDATION', /withinSeconds/],
    [[], 400, 'FST_ERR_VALIDATION', /body/],
    [{ lists: [{ days: -1 }] }, 400, 'PP_BAD_QUERY', /^Expected days to be .*, got -1\.$/],
    ['{"lists":', 400, 'FST_ERR_CTP_INVALID_JSON_BODY', /JSON/],
    ['{"__proto__":{}}', 400, 'FST_ERR_CTP_INVALID_JSON_BODY', /JSON/],
    [`{}${' '.repeat(20_000)}`, 413, 'FST_ERR_CTP_BODY_TOO_LARGE', /large/],
  ]
  for (const [payload, status, code, message] of requests) {
    const response = await post(app, payload, { 'content-type': 'application/json' })
    t.match(response.json(), { statusCode: status, code, message }, JSON.stringify(payload).slice(0, 80))
  }
})

t.test('the route needs the token, and shares the limit of wrong tokens', async (t) => {
  const app = await createService(t, databaseUrl, await shared())
  for (const method of ['GET', 'POST'] as const) {
    t.match((await app.inject({ method, url })).json(), { code: 'PP_UNAUTHORIZED' }, method)
    t.equal((await app.inject({ method, url, headers: { authorization: 'Bearer x' } })).statusCode, 401)
  }
  for (let number = 2; number < 10; number += 1)
    t.equal((await app.inject({ method: 'POST', url: '/posts/popular/invalidate', headers: wrong })).statusCode, 401)
  t.equal((await post(app)).statusCode, 429)
})
t.test('there is no such route where the process works in the background, without a token, or for HEAD', async (t) => {
  const variables = await shared()
  const apps = [
    await createService(t, databaseUrl, { ...variables, BACKGROUND_WORK: 'true' }),
    await createService(t, databaseUrl, { ...variables, ADMIN_TOKEN: '' }),
  ]
  for (const app of apps) t.equal((await post(app)).statusCode, 404)
  const app = await createService(t, databaseUrl, variables)
  t.equal((await app.inject({ method: 'HEAD', url, headers: { authorization } })).statusCode, 404)
  const host = Fastify()
  t.teardown(() => host.close())
  await host.register(popularPosts, { load: async () => [], adminToken: ADMIN_TOKEN, backgroundWork: false })
  t.equal((await post(host)).statusCode, 404, 'without a database there is nothing to do')
})

t.test('in an app with the plugin the route is below its prefix', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const { CACHE_PREFIX: redisPrefix, REDIS_URL } = await shared()
  await app.register(popularPosts, {
    databaseUrl,
    redisUrl: REDIS_URL,
    redisPrefix,
    adminToken: ADMIN_TOKEN,
    backgroundWork: false,
    routes: '/blog',
  })
  const response = await app.inject({ method: 'POST', url: `/blog${url}`, headers: { authorization } })
  t.match(response.json(), { lists: 2 })
})

t.test('steps that fail are logged, and the next run succeeds', async (t) => {
  const server = await startRedis()
  t.teardown(() => server.stop())
  const lines: object[] = []
  const stream = { write: (line: string) => void lines.push(JSON.parse(line)) }
  const app = Fastify({ logger: { level: 'error', stream } })
  t.teardown(() => app.close())
  await app.register(popularPosts, {
    databaseUrl,
    redisUrl: server.url,
    adminToken: ADMIN_TOKEN,
    backgroundWork: false,
  })
  t.equal((await post(app)).statusCode, 200)
  await server.kill()
  const response = await post(app)
  t.match(response.json(), { statusCode: 503, code: 'PP_MAINTENANCE_FAILED', message: /see the log/ })
  t.match(response.headers, { 'retry-after': '1', 'cache-control': 'no-store' })
  t.match(lines, [{ err: { aggregateErrors: [{}] }, msg: 'popular posts: steps of the maintenance failed' }])
  t.notMatch(JSON.stringify(lines), server.url.replace('redis://', ''), 'no address')
})

t.test('an error that is not of a step says nothing to the client', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(maintainRoutes, {
    maintain: async () => {
      throw new Error('a bug')
    },
  })
  t.equal((await post(app)).statusCode, 500)
})

t.test('a service that would lose data, or that no schedule could call, does not start', async (t) => {
  const variables = { DATABASE_URL: databaseUrl, ...(await shared()) }
  for (const name of ['DATABASE_URL', 'REDIS_URL', 'ADMIN_TOKEN']) {
    const program = runProgram(t, 'server.ts', { env: { ...variables, [name]: '' } })
    t.equal(await program.ended(), 1, name)
    t.match(program.stderr(), /^With BACKGROUND_WORK=false .*: set DATABASE_URL, REDIS_URL and ADMIN_TOKEN\.\n$/, name)
  }
})
