import fastifyHelmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import fastifyRedis from '@fastify/redis'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import popularPosts, { type PopularPosts, type PopularPostsOptions } from '../../index.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { startRedis } from '../helpers/redis.ts'

const load = async ({ days }: { days: number }) => [{ slug: 'a', days }, { slug: 'b' }, { slug: 'c' }]
const adminToken = 'a token for the tests'
const authorization = `Bearer ${adminToken}`
const READER = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/129.0' }

function createHost(t: Test, options: FastifyServerOptions = {}): FastifyInstance {
  const app = Fastify(options)
  t.teardown(() => app.close())
  return app
}

/** The replies of all routes of the plugin in a plain app. */
async function worksOverHttp(t: Test, app: FastifyInstance) {
  const list = await app.inject('/posts/popular?limit=2&days=7&exclude=post-1')
  t.match(list.json(), [{ slug: 'post-2' }, { slug: 'post-3' }])
  t.match(list.headers, { etag: String, 'cache-status': 'popular-posts; fwd=miss; stored' })
  t.equal((await app.inject({ url: '/posts/popular?limit=2&days=7&exclude=post-1' })).body, list.body)
  t.match((await app.inject('/posts/popular?limit=01&exclude=post-1&exclude=post-2')).json(), [{ slug: 'post-3' }])
  t.match((await app.inject('/categories?days=0')).json(), [{ slug: 'odd' }])
  for (const [query, message] of [
    ['limit=0', /^Expected limit to be .*, got 0\.$/],
    ['limit=1.5', /^Expected limit to be .*, got "1\.5"\.$/],
    ['days=7&days=7', /^Expected days to be /],
    ['days=366', /^Expected days to be .*, got 366\.$/],
    ['sort=x', /^Expected sort to be views or trending, got "x"\.$/],
    ['tag=a&tag=b', /^Expected one of category, tag, author and excludeCategory at a time, got tag and tag/],
  ] as const) {
    const refused = await app.inject(`/posts/popular?${query}`)
    t.match(refused.json(), { statusCode: 400, code: 'PP_BAD_QUERY', error: 'Bad Request', message }, query)
  }
  const post = (url: string, headers = {}, payload?: string) =>
    app.inject({
      method: 'POST',
      url,
      headers: { ...READER, ...headers },
      ...(payload === undefined ? {} : { payload }),
    })
  t.equal((await post('/posts/post-1/views', { 'content-type': 'text/plain' }, 'x')).statusCode, 204)
  t.equal((await post('/posts/post-1/views/', { 'content-type': '' }, 'x')).statusCode, 204)
  const image = await app.inject({ url: '/posts/post-1/views.gif', headers: READER })
  t.match(image.headers, { 'content-type': 'image/gif', 'cross-origin-resource-policy': 'cross-origin' })
  t.match((await post('/posts/none/views')).json(), { statusCode: 404, code: 'PP_NO_SUCH_POST' })
  const invalidate = (payload: string) =>
    post('/posts/popular/invalidate', { authorization, 'content-type': 'application/json' }, payload)
  t.match((await invalidate('{"mode":"soft"}')).json(), { invalidated: 'soft', reach: 'announced' })
  t.equal((await invalidate('{"mode":"softly"}')).statusCode, 400)
  t.equal((await invalidate(`{"mode":"hard${' '.repeat(2000)}"}`)).statusCode, 413)
  t.match((await post('/posts/popular/invalidate')).json(), { statusCode: 401, code: 'PP_UNAUTHORIZED' })
}

t.test('the plugin works the same with hosts of every configuration', async (t) => {
  const hosts: Record<string, { options?: FastifyServerOptions; furnish?: (app: FastifyInstance) => unknown }> = {
    'with nothing': {},
    'without a log': { options: { logger: false } },
    'whose Ajv converts nothing, fills nothing in, tells all errors': {
      options: { ajv: { customOptions: { coerceTypes: false, useDefaults: false, allErrors: true } } },
    },
    'whose Ajv removes what it does not know': { options: { ajv: { customOptions: { removeAdditional: 'all' } } } },
    'with compilers for schemas of another kind': {
      furnish(app) {
        type Schema = { safeParse(data: unknown): { error?: Error; value: unknown } }
        app.setValidatorCompiler<Schema>(
          ({ schema }) =>
            (data) =>
              schema.safeParse(data),
        )
        app.setSerializerCompiler<{ encode(data: unknown): string }>(
          ({ schema }) =>
            (data) =>
              schema.encode(data),
        )
      },
    },
    'with an error handler, a 404 and an error format of its own': {
      furnish(app) {
        app.setErrorHandler((_error, _request, reply) => reply.code(418).send('the host'))
        app.setNotFoundHandler((_request, reply) => reply.code(404).send('the host'))
        app.setSchemaErrorFormatter(() => new Error('the host'))
      },
    },
    'with schemas of its own': {
      furnish: (app) => app.addSchema({ $id: 'post', type: 'object', properties: { id: { type: 'string' } } }),
    },
    'that reads bodies in its own way, or none': {
      furnish(app) {
        app.removeAllContentTypeParsers()
        app.addContentTypeParser('*', (_request, _payload, done) => done(new Error('the host')))
      },
    },
    'that ignores a slash at the end of a path': { options: { routerOptions: { ignoreTrailingSlash: true } } },
    'that ignores it, and double slashes, by options of earlier versions': {
      options: { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true },
    },
    'with its own rate limit': { furnish: (app) => app.register(rateLimit, { max: 1000 }) },
    'with its own security headers': { furnish: (app) => app.register(fastifyHelmet) },
    'with decorators of such names as db, cache, redis': {
      furnish(app) {
        for (const name of ['db', 'cache', 'redis', 'kysely']) app.decorate(name, 'the host')
        for (const name of ['db', 'cache']) app.decorateRequest(name, 'the host')
      },
    },
  }
  const { db, url: databaseUrl } = await createTestDatabase(t)
  await fillBlog(db, 3)
  for (const [name, { options, furnish }] of Object.entries(hosts)) {
    await t.test(name, async (t) => {
      const app = createHost(t, options)
      await furnish?.(app)
      await app.register(popularPosts, { databaseUrl, adminToken })
      await worksOverHttp(t, app)
    })
  }
})

t.test('slugs are as long in a URL as the host allows', async (t) => {
  const { db, url: databaseUrl } = await createTestDatabase(t)
  const slug = '산'.repeat(120)
  await db
    .insertInto('posts')
    .values({ slug, title: 'Mountains', url: '/m', published_at: new Date(0) })
    .execute()
  for (const [options, status] of [
    [{}, 414],
    [{ routerOptions: { maxParamLength: 2000 } }, 204],
  ] as const) {
    const app = createHost(t, options)
    await app.register(popularPosts, { databaseUrl })
    const url = `/posts/${encodeURIComponent(slug)}/views`
    t.equal((await app.inject({ method: 'POST', url, headers: READER })).statusCode, status)
  }
})

t.test('the rate limit of a host replies with its own error', async (t) => {
  const app = createHost(t)
  await app.register(rateLimit, { max: 1 })
  await app.register(popularPosts, { load })
  t.equal((await app.inject('/posts/popular')).statusCode, 200)
  t.match((await app.inject('/posts/popular')).json(), { statusCode: 429, message: /^Rate limit exceeded/ })
})

t.test('two instances work in one app', async (t) => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const titled = (slug: string) => async () => [{ slug }]
  type Arrange = (app: FastifyInstance) => Promise<unknown>
  const scopes: Record<string, Arrange> = {
    'in sibling scopes, by the prefixes of their routes': async (app) => {
      for (const language of ['en', 'de'])
        await app.register(async (scope) => {
          await scope.register(popularPosts, { load: titled(language), redisPrefix: language, routes: `/${language}` })
        })
    },
    'in sibling scopes that have prefixes, over one Redis': async (app) => {
      await app.register(fastifyRedis, { url: redis.url })
      for (const language of ['en', 'de'])
        await app.register(
          async (scope) => {
            await scope.register(popularPosts, { load: titled(language), redisPrefix: language, redis: '' })
          },
          { prefix: language },
        )
    },
    'the second in a scope below the first': async (app) => {
      await app.register(popularPosts, { load: titled('en'), routes: '/en' })
      await app.register(async (scope) => {
        await scope.register(popularPosts, { load: titled('de'), routes: '/de' })
        t.same(await scope.getDecorator<PopularPosts<{ slug: string }>>('popularPosts').get(), [{ slug: 'de' }])
      })
      t.match(await app.popularPosts.get(), [{ slug: 'en' }])
    },
  }
  for (const [name, arrange] of Object.entries(scopes)) {
    await t.test(name, async (t) => {
      const app = createHost(t)
      await arrange(app)
      for (const language of ['en', 'de'])
        t.same((await app.inject(`/${language}/posts/popular`)).json(), [{ slug: language }])
    })
  }
  await t.test('two instances with one prefix share a source', async (t) => {
    const app = createHost(t)
    const options = { load, redisUrl: redis.url, redisPrefix: 'shared' }
    for (const routes of ['/one', '/two'])
      await app.register(async (scope) => {
        await scope.register(popularPosts, { ...options, routes })
      })
    for (const path of ['/one', '/two']) t.equal((await app.inject(`${path}/posts/popular`)).json().length, 3)
  })
})

t.test('a conflict with the app fails registration with a message that says what to do', async (t) => {
  const register =
    (options: Partial<PopularPostsOptions> = {}) =>
    (app: FastifyInstance) =>
      app.register(popularPosts, { load, ...options })
  const inScope = (options: Partial<PopularPostsOptions>) => (app: FastifyInstance) =>
    app.register(async (scope) => {
      await scope.register(popularPosts, { load, ...options })
    })
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const redisUrl = redis.url
  const wrong: Record<string, [((app: FastifyInstance) => unknown)[], string, RegExp]> = {
    'registered twice': [
      [register(), register({ redisPrefix: 'other', routes: '/other' })],
      'PP_ALREADY_REGISTERED',
      /^popular posts is registered in this scope already: register the second one in a scope of its own, app\.register\(/,
    ],
    'a decorator popularPosts of the host': [
      [(app) => app.decorate('popularPosts', 'the host' as never), register()],
      'PP_NAME_TAKEN',
      /^Expected app\.popularPosts to be free for fastify-popular-posts, .*: call yours otherwise, or register/,
    ],
    'a decorator postViews of the host': [
      [(app) => app.decorate('postViews', 'the host' as never), register()],
      'PP_NAME_TAKEN',
      /^Expected app\.postViews to be free/,
    ],
    'a route of the host': [
      [(app) => app.get('/categories', async () => []), register()],
      'PP_ROUTE_TAKEN',
      /^Method 'GET' already declared for route '\/categories': give the routes .* a prefix \(routes: '\/api'\) or none/,
    ],
    'two in sibling scopes with the same routes': [
      [inScope({}), inScope({ redisPrefix: 'b' })],
      'PP_ROUTE_TAKEN',
      /prefix/,
    ],
    'two schemas under one prefix in Redis': [
      [inScope({ redisUrl }), inScope({ redisUrl, schema: 'public', routes: '/other' })],
      'PP_PREFIX_TAKEN',
      /^Expected a redisPrefix of its own/,
    ],
    'two sources under one prefix in Redis': [
      [inScope({ redisUrl }), inScope({ redisUrl, load: async () => [], routes: '/other' })],
      'PP_PREFIX_TAKEN',
      /^Expected a redisPrefix of its own for each instance in one app that loads from elsewhere, got "blog:popular" for both/,
    ],
    'another error of a route': [
      [
        (app) =>
          app.addHook('onRoute', () => {
            throw new Error('no routes here')
          }),
        register(),
      ],
      '',
      /^no routes here$/,
    ],
  }
  for (const [name, [steps, code, message]] of Object.entries(wrong)) {
    await t.test(name, async (t) => {
      const app = createHost(t)
      const registering = async () => {
        for (const step of steps) await step(app)
      }
      await t.rejects(registering(), code === '' ? { message } : { code, message })
    })
  }
  await t.test('a decorator of a scope above is hidden', async (t) => {
    const app = createHost(t)
    app.decorate('postViews', 'the host' as never)
    await inScope({})(app)
    t.equal((await app.inject('/posts/popular')).statusCode, 200)
  })
})
