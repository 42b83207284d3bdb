import type { Context } from 'aws-lambda'
import { Redis } from 'ioredis'
import t from 'tap'
import { createNormalizer, type GatewayEvent } from '../../aws/gateway-event.ts'
import { createService, fillBlog } from '../helpers/blog.ts'
import { httpApiEvent } from '../helpers/lambda/events.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { redisUrl } from '../helpers/redis.ts'

const prefix = `events-${process.pid}`
const { db, url } = await createTestDatabase(t)
await fillBlog(db, 20)
const shared = { REDIS_URL: await redisUrl(), CACHE_PREFIX: prefix, LOG_LEVEL: 'silent' }
const key = 'the-id-of-the-stack'
Object.assign(process.env, shared, { DATABASE_URL: url, CLOUDFRONT_KEY: key })
const lambda = await import('../../lambda.ts')
const server = await createService(t, url, shared)
t.teardown(async () => {
  const redis = new Redis(shared.REDIS_URL)
  await redis.del(await redis.keys(`{${prefix}}*`))
  await redis.quit()
  // AWS ends the process of a function without closing it. Here its open connections would keep this process alive.
  setTimeout(() => process.exit(), 1_000).unref()
})

const http = (event: GatewayEvent) => lambda.http(event, {} as Context)
const BROWSER = 'Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0'

interface Request {
  method?: string
  path: string
  query?: Record<string, string[]>
  headers?: Record<string, string | string[]>
}

const joined = (lists: Record<string, string[]>) =>
  Object.fromEntries(Object.entries(lists).map(([name, values]) => [name, values.at(-1) ?? '']))

/** The event of a load balancer. With multi-value headers, it has no single ones. */
function balancerEvent({ method = 'GET', path, query = {}, headers = {} }: Request, isMulti: boolean): GatewayEvent {
  const lists = Object.fromEntries(
    Object.entries({
      host: 'blog.example',
      'x-forwarded-for': '203.0.113.7',
      'x-forwarded-proto': 'https',
      ...headers,
    }).map(([name, value]) => [name, [value].flat()]),
  )
  return {
    httpMethod: method,
    path,
    ...(isMulti
      ? { multiValueHeaders: lists, multiValueQueryStringParameters: query }
      : { headers: joined(lists), queryStringParameters: joined(query) }),
    body: '',
    isBase64Encoded: false,
    requestContext: {
      elb: { targetGroupArn: 'arn:aws:elasticloadbalancing:eu-central-1:000000000000:targetgroup/blog/0' },
    },
  }
}

/** The event of a REST API, which has single and multi-value headers, in the letters of the client. */
function restEvent({ method = 'GET', path, query = {}, headers = {} }: Request, context: object = {}): GatewayEvent {
  const lists = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value].flat()]))
  return {
    httpMethod: method,
    path,
    headers: joined(lists),
    multiValueHeaders: lists,
    queryStringParameters: joined(query),
    multiValueQueryStringParameters: query,
    body: null,
    isBase64Encoded: false,
    requestContext: { requestId: 'r', identity: { sourceIp: '203.0.113.7' }, ...context },
  }
}

t.test(
  'a load balancer with multi-value headers: headers reach the app, and its headers reach the client',
  async (t) => {
    const query = { limit: ['4'], exclude: ['post-1', 'post-2'] }
    const { body } = await server.inject('/posts/popular?limit=4&exclude=post-1&exclude=post-2')
    for (const isMulti of [true, false]) {
      const label = isMulti ? 'multi-value' : 'single'
      const ask = (request: Omit<Request, 'path'>) =>
        http(balancerEvent({ path: '/posts/popular', query: { limit: ['4'] }, ...request }, isMulti))
      const headersOf = (answer: object) => {
        const { headers, multiValueHeaders } = answer as {
          headers: object
          multiValueHeaders?: Record<string, string[]>
        }
        if (!isMulti) {
          t.equal(multiValueHeaders, undefined, label)
          return headers as Record<string, string>
        }
        t.same(headers, {}, label)
        return Object.fromEntries(Object.entries(multiValueHeaders ?? {}).map(([name, values]) => [name, values[0]]))
      }
      const first = await ask({})
      const { etag, 'content-type': type } = headersOf(first)
      t.match(type, /json/, label)
      const again = await ask({ headers: { 'if-none-match': String(etag) } })
      t.match(again, { statusCode: 304, body: '' }, label)
      t.equal(headersOf(again)['etag'], etag, label)
      const several = await ask({ headers: { 'if-none-match': ['"other"', String(etag)] } })
      t.equal(several.statusCode, 304, `${label}: of two values, ${isMulti ? 'both' : 'the last'} count`)
      const brotli = await ask({ headers: { 'accept-encoding': 'br' } })
      t.equal(brotli.isBase64Encoded, true, label)
      t.equal(headersOf(brotli)['content-encoding'], 'br', label)
      t.equal((await ask({ headers: { 'accept-encoding': ['gzip', 'br'] } })).isBase64Encoded, true, label)
    }
    t.equal((await http(balancerEvent({ path: '/posts/popular', query }, true))).body, body)
  },
)

t.test('views over each gateway are counted by the header and the address of the client', async (t) => {
  await lambda.flush()
  const counted = async () => (await lambda.flush()).views
  const view = { method: 'POST', path: '/posts/post-3/views' }
  const sent = (address: string, agent = BROWSER) => ({
    ...view,
    headers: { 'user-agent': agent, 'x-forwarded-for': address },
  })
  for (const isMulti of [true, false]) {
    const start = isMulti ? 20 : 40
    t.equal((await http(balancerEvent(sent(`203.0.113.${start}`), isMulti))).statusCode, 204)
    await http(balancerEvent(sent(`198.51.100.1, 203.0.113.${start}`), isMulti))
    await http(balancerEvent(sent(`203.0.113.${start}:4711`), isMulti))
    await http(balancerEvent(sent(`203.0.113.${start + 1}`, 'Googlebot/2.1'), isMulti))
    await http(balancerEvent(sent('2001:db8::1'), isMulti))
    await http(balancerEvent(sent('[2001:db8::2]:443'), isMulti))
    t.equal(await counted(), isMulti ? 2 : 1, 'one client of IPv4; one of IPv6, for both')
  }
  const twice = { ...view, headers: { 'user-agent': BROWSER, 'x-forwarded-for': ['203.0.113.60', '203.0.113.61'] } }
  const event = balancerEvent(twice, true)
  await http({
    ...event,
    multiValueHeaders: { ...event.multiValueHeaders, 'x-nothing': undefined, 'x-null': null as never },
  })
  await http(balancerEvent(sent('203.0.113.61'), true))
  t.equal(await counted(), 1, 'of two headers, the last is of the load balancer')
  const rest = { ...view, headers: { 'User-Agent': BROWSER, 'X-Forwarded-For': '198.51.100.9' } }
  await http(restEvent(rest, { identity: { sourceIp: '203.0.113.80' } }))
  await http(restEvent(rest, { identity: { sourceIp: '203.0.113.80:4712' } }))
  t.equal(await counted(), 1, 'a REST API names the client')
})

t.test('a view over CloudFront is that of the reader whom it names, if the request has the key', async (t) => {
  await lambda.flush()
  const view = (sourceIp: string, more: Record<string, string>) =>
    http(httpApiEvent('/posts/post-4/views', { method: 'POST', sourceIp, headers: { 'user-agent': BROWSER, ...more } }))
  for (const port of [1, 2]) {
    const edge = `130.176.0.${port}`
    for (const viewer of [`198.51.100.9:${port}`, `2001:db8:1:2::${port}:${port}`])
      t.equal((await view(edge, { 'x-cloudfront-key': key, 'cloudfront-viewer-address': viewer })).statusCode, 204)
  }
  for (const viewer of ['198.51.100.1:1', '198.51.100.2:1'])
    await view('203.0.113.90', { 'cloudfront-viewer-address': viewer, 'x-cloudfront-key': 'a guess' })
  t.equal((await lambda.flush()).views, 3, 'one reader of IPv4, one of IPv6, one who guesses')
})

t.test('the prefix of a stage, of a base path, or of a rule is removed from the path', async (t) => {
  const list = (await server.inject('/posts/popular?limit=3')).body
  const v2 = (rawPath: string, context: object, routeKey = '$default') => {
    const event = httpApiEvent(`${rawPath}?limit=3`)
    return { ...event, routeKey, rawPath, requestContext: { ...event.requestContext, ...context } }
  }
  const query = { limit: ['3'] }
  const v1 = (path: string, context: object): GatewayEvent => ({
    ...restEvent({ path, query }, context),
    version: '1.0',
  })
  const events: Record<string, GatewayEvent> = {
    'HTTP API 2.0, a stage': v2('/prod/posts/popular', { stage: 'prod' }, 'GET /posts/popular'),
    'HTTP API 2.0, a stage, $default': v2('/prod/posts/popular', { stage: 'prod' }),
    'HTTP API 2.0, a base path': v2('/blog/posts/popular', { stage: 'prod', domainName: 'api.example' }),
    'HTTP API 2.0, a base path of two parts': v2('/blog/v1/posts/popular', { stage: '$default' }),
    'HTTP API 2.0, a stage called posts': v2('/posts/posts/popular', { stage: 'posts' }),
    'HTTP API 1.0, a stage': v1('/prod/posts/popular', { stage: 'prod', resourcePath: '/posts/popular' }),
    'REST API, without its stage': v1('/posts/popular', { stage: 'prod', resourcePath: '/{proxy+}' }),
    'REST API, a stage called posts': v1('/posts/popular', { stage: 'posts', resourcePath: '/{proxy+}' }),
    'REST API, a base path': v1('/blog/posts/popular', { stage: 'prod', resourcePath: '/{proxy+}' }),
    'a function URL': v2('/posts/popular', { stage: '$default' }),
    'a load balancer': balancerEvent({ path: '/posts/popular', query }, true),
    'a load balancer, a rule /blog/*': balancerEvent({ path: '/blog/posts/popular', query }, false),
  }
  for (const [name, event] of Object.entries(events)) {
    const { statusCode, body } = await http(event)
    t.same([statusCode, body], [200, list], name)
  }
  const get = async (path: string) => http(v2(path, { stage: 'prod' }))
  t.equal((await get('/prod/categories')).statusCode, 200)
  t.match(await get('/prod/health/live'), { statusCode: 200 })
  const view = { method: 'POST', headers: { 'user-agent': BROWSER } }
  for (const slug of ['post-4', 'popular', 'categories', 'größe'])
    t.equal(
      (await http(httpApiEvent(`/prod/posts/${slug}/views`, view))).statusCode,
      slug === 'post-4' ? 204 : 404,
      slug,
    )
  t.match(await http(httpApiEvent('/prod/posts/post-4/views.gif', { headers: view.headers })), { statusCode: 200 })
  for (const path of ['/', '/prod', '/xposts/popular', '/posts/popular/more', '/prod/nothing'])
    t.equal((await get(path)).body, (await server.inject(`${path}?limit=3`)).body, `${path}: no such route`)
})

t.test('multi-value headers are joined: cookies as cookies are, others as a list', async (t) => {
  const headers = { cookie: ['staff=yes', 'theme=dark'], accept: ['text/html', 'application/json'] }
  t.match(createNormalizer([])(balancerEvent({ path: '/', headers }, true)), {
    headers: { cookie: 'staff=yes; theme=dark', accept: 'text/html, application/json' },
  })
})

t.test('an event that is no request is an error that says so', async (t) => {
  const events: [unknown, string][] = [
    [{ version: '0', source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} }, 'source'],
    [{ Records: [{ eventSource: 'aws:sqs', body: '{}' }] }, 'Records'],
    [{ lists: [{}] }, 'lists'],
    [{ requestContext: { routeKey: '$connect', connectionId: 'c', eventType: 'CONNECT' } }, 'requestContext'],
    [{ version: '2.0', method: 'GET', path: '/', requestContext: { serviceArn: 'arn' } }, 'requestContext'],
    [{}, 'no fields'],
    [null, 'null'],
    [undefined, 'undefined'],
    ['GET /', 'GET /'],
  ]
  for (const [event, named] of events)
    await t.rejects(http(event as GatewayEvent), {
      name: 'TypeError',
      message: new RegExp(`^The function http expects a request of an HTTP API, .* got .*${named}.*the function flush`),
    })
})

/** What a rule of EventBridge passes on of an event of the blog. */
const PUBLISHED = {
  version: '0',
  id: '6a7e8feb-b491-4cf7-a9f1-bf3703467718',
  'detail-type': 'changed',
  source: 'popular-posts-dev',
  account: '111122223333',
  time: '2026-11-27T16:00:00Z',
  region: 'eu-central-1',
  resources: [],
  detail: {},
}

t.test('an unknown key, mode or value of flush and invalidate is an error that names it', async (t) => {
  const { flush, invalidate } = lambda as unknown as Record<string, (event?: unknown) => Promise<unknown>>
  const wrong: [string, unknown, string][] = [
    ['invalidate', { mode: 'Hard' }, 'mode to be hard or soft, got "Hard"'],
    ['invalidate', { mode: null }, 'mode to be hard or soft, got null'],
    ['invalidate', { mod: 'soft' }, 'no other keys than mode, got "mod"'],
    ['invalidate', { toString: 'soft' }, 'no other keys than mode, got "toString"'],
    ['invalidate', 'soft', 'an object, got "soft"'],
    ['invalidate', ['soft'], 'an object, got ["soft"]'],
    ['invalidate', { 'detail-type': 'Published', detail: { mood: 1 } }, 'no other keys than mode, got "mood"'],
    [
      'flush',
      { ...PUBLISHED, detail: { post: 'new' } },
      'no other keys than lists, categories, withinSeconds, got "post"',
    ],
    ['flush', { ...PUBLISHED, detail: 'new' }, 'an object, got "new"'],
    ['invalidate', { ...PUBLISHED, detail: [] }, 'an object, got []'],
    ['flush', { list: [{}] }, 'no other keys than lists, categories, withinSeconds, got "list"'],
    ['flush', { lists: {} }, 'lists to be a list of queries with category'],
    ['flush', { lists: [{ day: 7 }] }, 'lists to be a list of queries'],
    ['flush', { lists: [null] }, 'lists to be a list of queries'],
    ['flush', { categories: [{ limit: 7 }] }, 'categories to be a list of queries with days'],
    ['flush', { withinSeconds: '120' }, 'withinSeconds to be a number of seconds, got "120"'],
    ['flush', { withinSeconds: -1 }, 'withinSeconds to be a number of seconds, got -1'],
  ]
  for (const [name, event, message] of wrong) {
    const call = name === 'flush' ? flush : invalidate
    await t.rejects(
      call?.(event) ?? Promise.resolve(),
      {
        name: 'TypeError',
        message: `${name === 'flush' ? 'The maintenance' : 'The function invalidate'} expects ${message}`,
      },
      message,
    )
  }
  for (const event of [
    undefined,
    null,
    {},
    { mode: undefined },
    { 'detail-type': 'Published', detail: {} },
    { 'detail-type': 'Published' },
  ])
    t.same(await invalidate?.(event), { invalidated: 'hard' })
  t.same(await invalidate?.({ 'detail-type': 'Published', detail: { mode: 'soft' } }), { invalidated: 'soft' })
  t.same(await invalidate?.(PUBLISHED), { invalidated: 'hard' })
  for (const event of [
    undefined,
    null,
    {},
    { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} },
    PUBLISHED,
  ])
    t.match(await flush?.(event), { lists: 2 })
  t.match(await flush?.({ lists: [{ days: 7, category: 'odd', exclude: ['post-1'] }], withinSeconds: 1 }), { lists: 2 })
})
