import { brotliDecompressSync } from 'node:zlib'
import type { Context } from 'aws-lambda'
import { Redis } from 'ioredis'
import t from 'tap'
import type { GatewayEvent } from '../../aws/gateway-event.ts'
import { createService, fillBlog } from '../helpers/blog.ts'
import { httpApiEvent } from '../helpers/lambda/events.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { redisUrl } from '../helpers/redis.ts'

const prefix = `handlers-${process.pid}`
const { db, url } = await createTestDatabase(t)
await fillBlog(db, 60)
// The clock of both, so that both have the same time.
const shared = { REDIS_URL: await redisUrl(), CACHE_PREFIX: prefix, LOG_LEVEL: 'silent' }
Object.assign(process.env, shared, { DATABASE_URL: url })
const lambda = await import('../../lambda.ts')
const server = await createService(t, url, shared)
t.teardown(async () => {
  const redis = new Redis(shared.REDIS_URL)
  await redis.del(await redis.keys(`{${prefix}}*`))
  await redis.quit()
  // AWS ends the process of a function without closing it. Here its open connections would keep this process alive.
  setTimeout(() => process.exit(), 1_000).unref()
})

const context = {} as Context
const http = (event: GatewayEvent) => lambda.http(event, context)

/** Fifty valid and malformed requests. */
const QUERIES = [
  ...[
    '',
    '?',
    '?limit=5',
    '?limit=50',
    '?limit=51',
    '?limit=0',
    '?limit=-1',
    '?limit=1.5',
    '?limit=1e3',
    '?limit=%2B5',
  ],
  ...['?limit=+5', '?limit=', '?limit', '?limit=5&limit=6', '?limit=٣', '?limit=99999999999999999999', '?limit=5,6'],
  ...[
    '?days=0',
    '?days=1',
    '?days=7',
    '?days=365',
    '?days=366',
    '?days=x',
    '?days=7&days=8',
    '?days=%207%20',
    '?sort=views',
  ],
  ...[
    '?sort=trending',
    '?sort=best',
    '?category=odd',
    '?category=even',
    '?category=o%64d',
    '?category=odd&category=odd',
  ],
  ...[
    '?tag=start',
    '?tag=',
    '?tag=a,b',
    '?author=ann',
    '?author=ann&category=odd&tag=start&limit=2',
    '?author=%E2%82%AC',
  ],
  ...[
    '?exclude=post-1',
    '?exclude=post-1&exclude=post-2',
    '?exclude=post-1,post-2',
    '?exclude[]=post-1',
    '?exclude=a+b',
  ],
  ...[
    '?unknown=1',
    '?limit=3&unknown=%',
    '?%6Cimit=4',
    '?limit=3;days=7',
    '?limit=3#days',
    '?a=1&&b=2',
    '?__proto__=1',
  ],
]

t.test('replies are those of the server, byte for byte', async (t) => {
  t.equal(QUERIES.length, 50)
  for (const query of QUERIES) {
    const path = `/posts/popular${query}`
    const ours = await http(httpApiEvent(path))
    const theirs = await server.inject(path)
    t.equal(ours.body, theirs.body, path)
    t.equal(ours.statusCode, theirs.statusCode, path)
    for (const name of ['etag', 'content-type', 'retry-after'] as const)
      t.equal(ours.headers[name], theirs.headers[name], `${path}: ${name}`)
    for (const [name, value] of Object.entries(ours.headers)) t.type(value, 'string', `${name} is text`)
  }
  for (const path of [
    '/categories?days=7',
    '/health/live',
    '/nothing/here',
    '/posts/größe?x=ü',
    '/posts/%C3%B6/nothing',
  ]) {
    const ours = await http(httpApiEvent(path))
    const theirs = await server.inject(path)
    t.same([ours.statusCode, ours.body], [theirs.statusCode, theirs.body], path)
  }
})

t.test('a client with the current list gets 304, and HEAD gets only headers', async (t) => {
  const { headers } = await http(httpApiEvent('/posts/popular'))
  const again = await http(httpApiEvent('/posts/popular', { headers: { 'if-none-match': String(headers['etag']) } }))
  t.match(again, { statusCode: 304, body: '' })
  t.match(await http(httpApiEvent('/posts/popular', { method: 'HEAD' })), { statusCode: 200, body: '' })
})

t.test('compressed replies arrive complete', async (t) => {
  for (const path of ['/posts/popular?limit=50', '/posts/popular?limit=50&exclude=post-2']) {
    const ours = await http(httpApiEvent(path, { headers: { 'accept-encoding': 'br' } }))
    t.match(ours, { isBase64Encoded: true, headers: { 'content-encoding': 'br' } })
    t.equal(brotliDecompressSync(Buffer.from(ours.body, 'base64')).toString(), (await server.inject(path)).body)
  }
})

t.test('events of a REST API, a load balancer and a function URL are served', async (t) => {
  const path = '/posts/popular?category=odd&exclude=post-1&exclude=post%203&limit=4'
  const { body } = await server.inject(path)
  const base = { httpMethod: 'GET', path: '/posts/popular', headers: {}, body: null, isBase64Encoded: false }
  const parameters = { category: ['odd'], exclude: ['post-1', 'post 3'], limit: ['4'] }
  const rest: GatewayEvent = {
    ...base,
    version: '1.0',
    multiValueQueryStringParameters: parameters,
    requestContext: { requestId: 'r', identity: { sourceIp: '203.0.113.9' } },
  }
  const balancer: GatewayEvent = {
    ...base,
    multiValueQueryStringParameters: { ...parameters, exclude: ['post-1', 'post%203'] },
    requestContext: { elb: {} },
  }
  for (const [name, event] of Object.entries({ rest, balancer })) t.equal((await http(event)).body, body, name)
  const plain = await http({
    ...balancer,
    multiValueQueryStringParameters: null,
    queryStringParameters: { limit: '4' },
  })
  t.equal(plain.body, (await server.inject('/posts/popular?limit=4')).body)
  t.equal((await http({ ...base, requestContext: {} })).statusCode, 200, 'no parameters at all')
  const bare = { ...base, headers: null, queryStringParameters: { limit: '4', days: undefined }, requestContext: {} }
  t.equal((await http(bare)).body, plain.body, 'no headers at all')
  t.equal((await http({ httpMethod: 'GET', requestContext: {} })).statusCode, 404, 'no path at all')
  const fromUrl = httpApiEvent('/posts/popular?category=odd&exclude=post-1&exclude=post%203&limit=4')
  t.equal((await http(fromUrl)).body, body)
  const encoded = '/posts/%C3%B6/nothing'
  t.equal((await http({ ...fromUrl, rawPath: encoded, rawQueryString: '' })).body, (await server.inject(encoded)).body)
})

t.test('the address of the client comes from the gateway, not from headers of the client', async (t) => {
  const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/144.0' }
  const view = (event: object) =>
    http({ ...httpApiEvent('/posts/post-9/views', { method: 'POST', headers }), ...event })
  const counted = async () => {
    const { views } = await lambda.flush({})
    return views
  }
  await counted()
  const claims = (value: string) => ({
    ...headers,
    'x-forwarded-for': value,
    'x-real-ip': value,
    'x-request-id': value,
  })
  // One client that sends three different addresses.
  for (const claim of ['198.51.100.1', '198.51.100.2, 198.51.100.3', '"; drop'])
    t.equal((await view({ headers: claims(claim) })).statusCode, 204)
  t.equal(await counted(), 1)
  // A load balancer appends the address that it saw.
  const balancer = { version: undefined, rawPath: undefined, rawQueryString: undefined, path: '/posts/post-8/views' }
  const seen = (address: string) =>
    view({ ...balancer, httpMethod: 'POST', headers: claims(address), requestContext: { elb: {} } })
  for (const address of ['198.51.100.1, 203.0.113.1', '198.51.100.2, 203.0.113.1', '198.51.100.1, 203.0.113.2'])
    t.equal((await seen(address)).statusCode, 204)
  const many = { 'x-forwarded-for': ['198.51.100.7', '203.0.113.2'] }
  await view({ ...balancer, httpMethod: 'POST', multiValueHeaders: many, requestContext: { elb: {} } })
  t.equal(await counted(), 2)
  // With xff_client_port, a balancer appends the port, too; an API may name an IPv6 client in brackets.
  for (const port of [4711, 4712, 4713]) {
    await seen(`198.51.100.1, 203.0.113.7:${port}`)
    await seen(`198.51.100.2, [2001:db8::${port}]:${port}`)
    const identity = { sourceIp: `[2001:db8::7]:${port}` }
    await view({ ...balancer, httpMethod: 'POST', headers, requestContext: { identity } })
    await view({
      requestContext: { http: { method: 'POST', sourceIp: `203.0.113.7:${port}` } },
      rawPath: '/posts/post-8/views',
    })
  }
  t.equal(await counted(), 2)
})

t.test('a view is recorded by a beacon of any type, with a slash at its end, and by an image', async (t) => {
  await lambda.flush({})
  const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/144.0' }
  for (const [index, [path, type]] of [
    ['/posts/post-7/views', ''],
    ['/posts/post-7/views', 'text'],
    ['/posts/post-7/views/', ';'],
  ].entries()) {
    const sourceIp = `203.0.113.${index}`
    const options = { method: 'POST', headers: { ...headers, 'content-type': String(type) }, body: 'x', sourceIp }
    t.equal((await http(httpApiEvent(String(path), options))).statusCode, 204, `${path} ${type}`)
  }
  const image = await http(httpApiEvent('/posts/post-7/views.gif', { headers, sourceIp: '203.0.113.9' }))
  t.match(image, { statusCode: 200, isBase64Encoded: true, headers: { 'content-type': 'image/gif' } })
  const direct = await server.inject('/posts/post-7/views.gif')
  t.same(Buffer.from(image.body, 'base64'), direct.rawPayload)
  t.equal((await lambda.flush({})).views, 4)
})

t.test('the schedule refreshes only lists that become stale soon', async (t) => {
  await lambda.invalidate({})
  t.same(await lambda.flush({ lists: [{}, { tag: 'start' }, { tag: 'nothing' }], categories: [{}, { days: 7 }] }), {
    views: 0,
    change: undefined,
    lists: 5,
  })
  t.match((await http(httpApiEvent('/categories?days=7'))).headers['cache-status'], /hit/)
  const { headers } = await http(httpApiEvent('/posts/popular'))
  await lambda.flush({})
  t.equal((await http(httpApiEvent('/posts/popular'))).headers['age'], headers['age'], 'fresh: not loaded again')
  await lambda.flush({ withinSeconds: 1_000_000 })
  t.match((await http(httpApiEvent('/posts/popular'))).headers['age'], '0')
  await t.rejects(lambda.flush({ lists: [{ days: -1 }, {}] }), {
    name: 'AggregateError',
    errors: [{ code: 'PP_BAD_QUERY' }],
  })
})

t.test('the function invalidate makes every list outdated', async (t) => {
  t.same(await lambda.invalidate({ mode: 'soft' }), { invalidated: 'soft' })
  t.match((await http(httpApiEvent('/posts/popular'))).headers['cache-status'], 'fwd=miss; stored', 'refreshed first')
  t.same(await lambda.invalidate({}), { invalidated: 'hard' })
  t.match((await http(httpApiEvent('/posts/popular'))).headers['cache-status'], 'fwd=miss; stored')
})

t.test('the function migrate migrates', async (t) => {
  const { url, pool } = await createTestDatabase(t, { migrate: false })
  process.env['DATABASE_URL'] = url
  const { migrate } = await import('../../lambda-migrate.ts')
  t.same(await migrate(), { migrated: true })
  t.same(await migrate(), { migrated: true }, 'and again, where there is nothing to do')
  t.equal((await pool.query('select count(*)::int as count from posts')).rows[0].count, 0)
})

t.test('the function migrate adopts a blog with its own tables, whatever their names', async (t) => {
  const { url, pool } = await createTestDatabase(t, { migrate: false })
  process.env['DATABASE_URL'] = url
  await pool.query('create table posts (mine text)')
  const { migrate } = await import('../../lambda-migrate.ts')
  await t.rejects(migrate({ adopt: { postId: 'int' as 'text' } }), {
    message: /^Expected adopt to be one of bigint, uuid, text/,
  })
  t.same(await migrate({ adopt: { postId: 'uuid' } }), { migrated: true })
  t.same(await migrate(), { migrated: true }, 'the schema is found')
  t.equal(
    (await pool.query("select to_regclass('popular_posts.post_views_total') as name")).rows[0].name,
    'popular_posts.post_views_total',
  )
  process.env['DATABASE_SCHEMA'] = 'Other One'
  t.same(await migrate({ adopt: { postId: 'text' } }), { migrated: true })
  delete process.env['DATABASE_SCHEMA']
  t.equal(
    (await pool.query(`select from "Other One".popular_posts_migration where name = '001-view-counters'`)).rowCount,
    1,
  )
})

t.test('the error of a failed migration has the reason, without address and user', async (t) => {
  const { url, pool } = await createTestDatabase(t, { migrate: false })
  const { migrate } = await import('../../lambda-migrate.ts')
  await pool.query('create table posts (mine text)')
  process.env['DATABASE_URL'] = url
  await t.rejects(migrate(), { name: 'StartupError', message: /needs: posts \(42P07\)/ })
  process.env['DATABASE_URL'] = 'postgres://admin:secret@127.0.0.1:9/blog'
  await t.rejects(migrate(), { name: 'StartupError', message: /^No server answers at the address in DATABASE_URL/ })
})
