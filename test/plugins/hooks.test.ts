import createError from '@fastify/error'
import rateLimit from '@fastify/rate-limit'
import Fastify, { type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import popularPosts, { type PopularPostsOptions, type RouteHooks } from '../../index.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

const READER = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/129.0' }
const adminToken = 'a token for the tests'
const { db, url: databaseUrl } = await createTestDatabase(t)
await fillBlog(db, 2)

/** The routes by their names. */
const ROUTES = {
  listPopularPosts: { method: 'GET', url: '/posts/popular' },
  listCategories: { method: 'GET', url: '/categories' },
  recordView: { method: 'POST', url: '/posts/post-1/views' },
  recordViewByImage: { method: 'GET', url: '/posts/post-1/views.gif' },
  invalidate: { method: 'POST', url: '/posts/popular/invalidate' },
} as const

async function start(t: Test, options: Partial<PopularPostsOptions>) {
  const app = Fastify()
  t.teardown(() => app.close())
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('x-order', 'host')
  })
  await app.register(popularPosts, { databaseUrl, adminToken, viewFlushSeconds: 0, ...options })
  app.get('/mine', async () => 'mine')
  const send = (route: keyof typeof ROUTES, headers: Record<string, string> = {}) =>
    app.inject({ ...ROUTES[route], headers: { ...READER, ...headers } })
  return { app, send }
}

t.test('hooks of the options run for each route of the package, and for no other', async (t) => {
  const names: unknown[] = []
  const calls: Record<string, number> = {}
  const count = (name: string) => async () => {
    calls[name] = (calls[name] ?? 0) + 1
  }
  const { app, send } = await start(t, {
    hooks: {
      onRequest: [
        async (request, reply) => {
          names.push(request.routeOptions.config.popularPosts)
          reply.header('x-order', `${reply.getHeader('x-order')}, first`)
        },
        (_request, reply, done) => {
          reply.header('x-order', `${reply.getHeader('x-order')}, second`)
          done()
        },
      ],
      preParsing: count('preParsing'),
      preValidation: count('preValidation'),
      preHandler: count('preHandler'),
      onSend: async (_request, reply) => {
        reply.header('cache-tag', 'popular-posts')
      },
      onResponse: count('onResponse'),
    },
  })
  for (const route of Object.keys(ROUTES) as (keyof typeof ROUTES)[]) {
    const { headers } = await send(route, { authorization: `Bearer ${adminToken}` })
    t.match(headers, { 'x-order': 'host, first, second', 'cache-tag': 'popular-posts' }, route)
  }
  t.equal((await app.inject({ ...ROUTES.recordView, url: '/posts/post-1/views/', headers: READER })).statusCode, 204)
  t.same(names, [...Object.keys(ROUTES), 'recordView'])
  t.same(calls, { preParsing: 6, preValidation: 6, preHandler: 6, onResponse: 6 })
  const { headers } = await app.inject('/mine')
  t.match(headers, { 'x-order': 'host', 'cache-tag': undefined })
})

t.test('a hook refuses requests with the error of the host, before a view counts or a token is compared', async (t) => {
  const Forbidden = createError('FORBIDDEN', 'members only', 403)
  const onRequest = async ({ headers, routeOptions }: FastifyRequest) => {
    if (routeOptions.config.popularPosts !== 'listPopularPosts' && headers['x-member'] === undefined)
      throw new Forbidden()
  }
  const { app, send } = await start(t, { hooks: { onRequest } })
  for (const route of Object.keys(ROUTES) as (keyof typeof ROUTES)[]) {
    const { statusCode, body } = await send(route)
    if (route === 'listPopularPosts') t.equal(statusCode, 200)
    else t.match({ statusCode, body }, { statusCode: 403, body: /members only/ }, route)
  }
  t.match(app.postViews.stats(), { counted: 0 })
  t.equal((await send('recordView', { 'x-member': 'yes' })).statusCode, 204)
  t.equal((await send('invalidate', { 'x-member': 'yes' })).statusCode, 401, 'the token is still needed')
})

t.test('what is no hook is refused at registration', async (t) => {
  for (const [hooks, code] of [
    [{ onRequests: async () => {} }, 'FST_ERR_HOOK_NOT_SUPPORTED'],
    [{ onRequest: 'authenticate' }, 'FST_ERR_HOOK_INVALID_HANDLER'],
    ['authenticate', 'PP_INVALID_OPTIONS'],
  ] as const)
    await t.rejects(start(t, { hooks: hooks as unknown as RouteHooks }), { code })
})

t.test('the limit of views takes options of the host', async (t) => {
  const keyGenerator = (request: FastifyRequest) => String(request.headers['x-user'])
  await t.test('its own key, a maximum and an exception', async (t) => {
    const { send } = await start(t, {
      viewRateLimit: { max: 2, keyGenerator, allowList: (_request, key) => key === 'robot' },
    })
    const statuses = async (user: string) => {
      const found: number[] = []
      for (let index = 0; index < 3; index += 1) found.push((await send('recordView', { 'x-user': user })).statusCode)
      return found
    }
    t.same(await statuses('ann'), [204, 204, 429])
    t.same(await statuses('bob'), [204, 204, 429])
    t.same(await statuses('robot'), [204, 204, 204])
    const refused = await send('recordView', { 'x-user': 'ann' })
    t.match(refused.json(), {
      code: 'PP_TOO_MANY_VIEWS',
      message: 'Expected at most 2 views a minute from one address.',
    })
    t.match(refused.headers, { 'retry-after': /^[1-9]\d?$/ })
    t.equal((await send('listPopularPosts', { 'x-user': 'ann' })).statusCode, 200, 'lists have no limit')
  })
  await t.test('its own error goes to its own error handler', async (t) => {
    const errorResponseBuilder = () => Object.assign(new Error('slow down'), { statusCode: 429 })
    const { send } = await start(t, { viewsPerMinute: 1, viewRateLimit: { errorResponseBuilder } })
    t.equal((await send('recordView')).statusCode, 204)
    t.match((await send('recordView')).json(), { statusCode: 429, message: 'slow down' })
  })
  await t.test('viewsPerMinute: 0 switches it off', async (t) => {
    const { send } = await start(t, { viewsPerMinute: 0, viewRateLimit: { max: 1 } })
    for (let index = 0; index < 3; index += 1) t.equal((await send('recordView')).statusCode, 204)
  })
  await t.test('beside a limit for the whole app, both apply', async (t) => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(rateLimit, { max: 3 })
    await app.register(popularPosts, { databaseUrl, viewFlushSeconds: 0, viewRateLimit: { max: 2, keyGenerator } })
    const found: string[] = []
    for (const user of ['ann', 'ann', 'ann', 'bob'])
      found.push((await app.inject({ ...ROUTES.recordView, headers: { ...READER, 'x-user': user } })).body)
    t.match(found, ['', '', /PP_TOO_MANY_VIEWS/, /Rate limit exceeded/])
  })
  await t.rejects(start(t, { viewRateLimit: 5 as never }), { code: 'PP_INVALID_OPTIONS' })
})
