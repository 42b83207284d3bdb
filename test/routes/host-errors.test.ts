import createError from '@fastify/error'
import rateLimit from '@fastify/rate-limit'
import Fastify, { type FastifyInstance, type InjectOptions } from 'fastify'
import t, { type Test } from 'tap'
import { popularPosts } from '../../index.ts'
import { servicesOf } from '../../plugins/popular-posts.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

const adminToken = 'a token for the tests'
const SECRET = 'hunter2secret'
const { db, url: databaseUrl } = await createTestDatabase(t)
await fillBlog(db, 2)

/** The errors in a host's error handler, and the number of runs of its `onError` hook. */
interface Seen {
  errors: unknown[]
  hooks: number
}

/** An app with its own error handler; `furnish` runs before the plugin is registered. */
async function createHost(t: Test, furnish: (app: FastifyInstance) => unknown) {
  const seen: Seen = { errors: [], hooks: 0 }
  const lines: string[] = []
  const app = Fastify({ logger: { level: 'trace', stream: { write: (line) => lines.push(line) } } })
  t.teardown(() => app.close())
  app.addHook('onError', async () => {
    seen.hooks += 1
  })
  app.setErrorHandler((error, _request, reply) => {
    seen.errors.push(error)
    return reply.code(418).send(`the host: ${error instanceof Error ? error.message : error}`)
  })
  app.setNotFoundHandler((_request, reply) => reply.code(404).send('the host has none'))
  await furnish(app)
  await app.register(popularPosts, { databaseUrl, adminToken, routes: '/api' })
  return { app, seen, lines }
}

const ROUTES: InjectOptions[] = [
  { url: '/api/posts/popular' },
  { method: 'HEAD', url: '/api/posts/popular' },
  { url: '/api/categories' },
  { method: 'POST', url: '/api/posts/post-1/views' },
  { method: 'POST', url: '/api/posts/popular/invalidate', headers: { authorization: `Bearer ${adminToken}` } },
]

const JwtError = createError('FST_JWT_NO_AUTHORIZATION_IN_HEADER', 'No Authorization was found', 401)
/** Errors of a host's hooks. */
const ERRORS: Record<string, unknown> = {
  'an error with a status, as of http-errors': Object.assign(new Error('please sign in'), { statusCode: 401 }),
  'an error of @fastify/jwt': new JwtError(),
  'an error without a status': new Error('a bug of the host'),
  'an error with a code of its own': Object.assign(new Error('over quota'), { statusCode: 402, code: 'HOST_QUOTA' }),
  'a text': 'only words',
  'an object': { status: 'odd' },
}
const HOOKS = ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'onSend'] as const

for (const hook of HOOKS) {
  t.test(`an error of the host's ${hook} hook goes to the host's error handler as it is`, async (t) => {
    let due: { error: unknown } | undefined
    const { app, seen } = await createHost(t, (app) =>
      app.addHook(hook, async () => {
        if (due === undefined) return
        const { error } = due
        // Once for each request, because the reply to the error is sent through the hook, too.
        due = undefined
        throw error
      }),
    )
    for (const [name, error] of Object.entries(ERRORS)) {
      for (const request of ROUTES) {
        due = { error }
        Object.assign(seen, { errors: [], hooks: 0 })
        const response = await app.inject(request)
        const what = `${name}, ${request.method ?? 'GET'} ${request.url}`
        t.equal(response.statusCode, 418, what)
        if (request.method !== 'HEAD') t.match(response.body, /^the host: /, what)
        t.equal(seen.errors.length, 1, what)
        t.equal(seen.errors[0], error, what)
        t.equal(seen.hooks, 1, `${what}: onError runs once`)
      }
    }
  })
}

t.test("without an error handler of the host, errors of its hooks get Fastify's reply", async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  let error: unknown
  app.addHook('onRequest', async () => {
    throw error
  })
  app.get('/host', async () => 'x')
  await app.register(popularPosts, { load: async () => [] })
  for (const [name, thrown] of Object.entries(ERRORS)) {
    error = thrown
    const [own, ours] = await Promise.all([app.inject('/host'), app.inject('/posts/popular')])
    t.same([ours.statusCode, ours.body], [own.statusCode, own.body], name)
  }
})

t.test("errors of a host's preSerialization hook and rate limit pass unchanged", async (t) => {
  await t.test('preSerialization', async (t) => {
    const { app, seen } = await createHost(t, (app) =>
      app.addHook('preSerialization', async () => {
        throw new Error('a bug of the host')
      }),
    )
    const response = await app.inject({ ...ROUTES[4] })
    t.same([response.statusCode, response.body], [418, 'the host: a bug of the host'])
    t.equal(seen.errors.length, 1)
  })
  await t.test('rate limit', async (t) => {
    const { app } = await createHost(t, (app) => app.register(rateLimit, { max: 1 }))
    t.equal((await app.inject('/api/posts/popular')).statusCode, 200)
    const response = await app.inject('/api/posts/popular')
    t.match(response.body, /^the host: Rate limit exceeded/)
    t.ok('retry-after' in response.headers)
  })
})

t.test('errors of our routes have our reply, also in a host with its own error handler', async (t) => {
  const { app, seen } = await createHost(t, (app) => app.setSchemaErrorFormatter(() => new Error('the host')))
  const invalidate = (type: string, payload: string): InjectOptions => ({
    method: 'POST',
    url: '/api/posts/popular/invalidate',
    payload,
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': type },
  })
  const json = 'application/json'
  const requests: [InjectOptions, number, string, RegExp][] = [
    [{ url: '/api/posts/popular?days=x' }, 400, 'PP_BAD_QUERY', /^Expected days to be/],
    [{ method: 'POST', url: '/api/posts/none/views' }, 404, 'PP_NO_SUCH_POST', /^Expected the slug/],
    [invalidate(json, '{"mode":"softly"}'), 400, 'FST_ERR_VALIDATION', /^body must be null, body\/mode must be equal/],
    [invalidate(json, '{'), 400, 'FST_ERR_CTP_INVALID_JSON_BODY', /JSON/],
    [invalidate(json, ' '.repeat(2000)), 413, 'FST_ERR_CTP_BODY_TOO_LARGE', /too large/],
    [invalidate('text/xml', '<x/>'), 415, 'FST_ERR_CTP_INVALID_MEDIA_TYPE', /Media Type/],
    [invalidate('nonsense', 'x'), 415, 'FST_ERR_CTP_INVALID_MEDIA_TYPE', /Media Type/],
  ]
  for (const [request, statusCode, code, message] of requests) {
    const response = await app.inject(request)
    t.match(response.json(), { statusCode, code, message, error: String })
    t.equal(response.statusCode, statusCode)
    t.equal(response.headers['cache-control'], 'no-store')
  }
  t.same(seen.errors, [])
})

t.test('the reply to an unexpected error never has its message, in any host', async (t) => {
  const fail = () => {
    throw Object.assign(new TypeError(`a bug that knows ${SECRET}`), { statusCode: 400, code: 'FST_SOMETHING' })
  }
  const { app, seen, lines } = await createHost(t, () => {})
  const { lists, database } = servicesOf(app)
  lists.peek = fail
  Object.assign(app.popularPosts, { readCategories: async () => fail(), invalidate: async () => fail() })
  if (database !== undefined) database.views.findPost = async () => fail()
  for (const request of ROUTES) {
    const response = await app.inject(request)
    t.equal(response.statusCode, 500)
    t.equal(response.headers['cache-control'], 'no-store')
    if (request.method === 'HEAD') continue
    t.same(response.json(), {
      statusCode: 500,
      code: 'PP_INTERNAL_ERROR',
      error: 'Internal Server Error',
      message: 'Something went wrong on our side.',
    })
  }
  t.same(seen.errors, [])
  const logged = lines.filter((line) => line.includes('a request failed'))
  t.equal(logged.length, ROUTES.length, 'each is logged once')
  t.match(logged[0], /TypeError/, 'whole')
  await t.test('the log does not have the message of a database error', async (t) => {
    const { app, lines } = await createHost(t, () => {})
    servicesOf(app).lists.peek = () => {
      throw Object.assign(new Error(SECRET), { severity: 'ERROR', code: '42P01' })
    }
    const response = await app.inject('/api/posts/popular')
    t.equal(response.json().code, 'PP_INTERNAL_ERROR')
    t.notMatch(response.body + lines.join(), SECRET)
    t.match(lines.join(), '"code":"42P01"')
  })
})

t.test('the host replies to unknown routes', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.setNotFoundHandler((_request, reply) => reply.code(404).send('the host has none'))
  await app.register(popularPosts, { load: async () => [], routes: '/api' })
  // A source of the host has no list of categories.
  for (const url of ['/api/categories', '/api', '/api/posts/unknown']) {
    const response = await app.inject(url)
    t.same([response.statusCode, response.body], [404, 'the host has none'], url)
    t.equal((await app.inject({ method: 'HEAD', url })).statusCode, 404)
  }
  const plain = Fastify()
  t.teardown(() => plain.close())
  await plain.register(popularPosts, { load: async () => [] })
  t.match((await plain.inject('/categories')).json(), { statusCode: 404, message: 'Route GET:/categories not found' })
})

t.test(
  'errors of hooks reach a client of an app without an error handler in the shape of Fastify, on each route',
  async (t) => {
    for (const statusCode of [400, 401, 403, 404, 429, 500, 503]) {
      const app = Fastify()
      t.teardown(() => app.close())
      app.addHook('onRequest', async () => {
        throw Object.assign(new Error('members only'), { statusCode, code: 'HOST_MEMBERS' })
      })
      await app.register(popularPosts, { databaseUrl, adminToken, routes: '/api' })
      app.get('/mine', async () => 'mine')
      const { body } = await app.inject('/mine')
      t.match(JSON.parse(body), { statusCode, code: 'HOST_MEMBERS', message: 'members only', error: String })
      for (const route of ROUTES.filter(({ method }) => method !== 'HEAD'))
        t.same((await app.inject(route)).json(), JSON.parse(body), `${route.url}: ${statusCode}`)
    }
  },
)
