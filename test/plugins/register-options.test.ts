import { randomUUID } from 'node:crypto'
import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import t from 'tap'
import popularPosts, { type PopularPostsOptions } from '../../index.ts'
import { redisUrl } from '../helpers/redis.ts'

const load = async () => [{ slug: 'a' }]

type Register = (app: FastifyInstance) => PromiseLike<unknown>

/** Registers the plugin in a scope. */
const inScope =
  (prefix: string, options: Partial<PopularPostsOptions> & { prefix?: string } = {}): Register =>
  (app) =>
    app.register(
      async (scope) => {
        await scope.register(popularPosts, { load, ...options })
      },
      { prefix },
    )

t.test('the prefix of register is that of the routes, as of any plugin', async (t) => {
  const cases: Record<string, [Register, string]> = {
    'no prefix': [(app) => app.register(popularPosts, { load }), ''],
    'a prefix': [(app) => app.register(popularPosts, { load, prefix: '/v2' }), '/v2'],
    'a prefix without a slash': [(app) => app.register(popularPosts, { load, prefix: 'v2' }), '/v2'],
    'a prefix with a slash at its end': [(app) => app.register(popularPosts, { load, prefix: '/v2/' }), '/v2'],
    'a prefix of two parts': [(app) => app.register(popularPosts, { load, prefix: '/api/v2' }), '/api/v2'],
    'a prefix with a parameter': [(app) => app.register(popularPosts, { load, prefix: '/:site' }), '/any'],
    'an empty prefix': [(app) => app.register(popularPosts, { load, prefix: '' }), ''],
    'a prefix and routes': [(app) => app.register(popularPosts, { load, prefix: '/v2', routes: '/blog' }), '/v2/blog'],
    'options made by a function': [(app) => app.register(popularPosts, () => ({ load, prefix: '/v3' })), '/v3'],
    'a scope with a prefix': [inScope('/en'), '/en'],
    'a scope with a prefix, and a prefix': [inScope('/en', { prefix: '/v2' }), '/en/v2'],
    'a scope, a prefix and routes': [inScope('/en', { prefix: 'v2', routes: '/blog' }), '/en/v2/blog'],
  }
  for (const [name, [register, path]] of Object.entries(cases)) {
    await t.test(name, async (t) => {
      const app = Fastify()
      t.teardown(() => app.close())
      await register(app)
      t.equal((await app.inject(`${path}/posts/popular`)).statusCode, 200)
      if (path !== '') t.equal((await app.inject('/posts/popular')).statusCode, 404, 'nothing without the prefix')
    })
  }
})

t.test('without routes a prefix changes nothing', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(popularPosts, { load, prefix: '/v2', routes: false })
  t.equal((await app.inject('/v2/posts/popular')).statusCode, 404)
  t.match(await app.popularPosts.get(), [{ slug: 'a' }])
})

t.test('the prefix of register is not that of the keys in Redis', async (t) => {
  const [url, redisPrefix] = [await redisUrl(), `test:${randomUUID()}`]
  const client = new Redis(url)
  t.teardown(() => client.disconnect())
  const [one, other] = [Fastify(), Fastify()]
  t.teardown(() => Promise.all([one.close(), other.close()]))
  await one.register(popularPosts, { load, redisUrl: url, redisPrefix, prefix: '/v1' })
  await other.register(popularPosts, { load, redisUrl: url, redisPrefix, prefix: '/v2' })
  t.match((await one.inject('/v1/posts/popular')).headers, { 'cache-status': 'popular-posts; fwd=miss; stored' })
  t.match((await other.inject('/v2/posts/popular')).headers, { 'cache-status': /^popular-posts; hit/ })
  t.ok((await client.keys(`{${redisPrefix}}:*`)).length >= 2)
})

t.test('logLevel and logSerializers of register are those of the routes', async (t) => {
  const lines: { msg: string; req?: unknown }[] = []
  const stream = { write: (line: string) => void lines.push(JSON.parse(line)) }
  const app = Fastify({ logger: { level: 'info', stream } })
  t.teardown(() => app.close())
  await app.register(popularPosts, { load, logSerializers: { req: () => 'a request' } })
  await app.register(async (scope) => {
    await scope.register(popularPosts, { load, prefix: '/quiet', logLevel: 'silent' })
  })
  await app.inject('/quiet/posts/popular')
  t.same(
    lines.filter(({ msg }) => /request/.test(msg)),
    [],
  )
  await app.inject('/posts/popular')
  t.match(
    lines.filter(({ msg }) => msg === 'incoming request'),
    [{ req: 'a request' }],
  )
})
