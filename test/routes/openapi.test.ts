import swagger from '@fastify/swagger'
import { createConfig, lintFromString } from '@redocly/openapi-core'
import { Ajv2020 } from 'ajv/dist/2020.js'
import Fastify, { type FastifyInstance, type InjectOptions } from 'fastify'
import t from 'tap'
import type { Static } from 'typebox'
import { LoadFailedError, TooManyLoadsError, UnsettledError, WaitTimeoutError } from '../../cache/errors.ts'
import { type PopularCategory, type PopularPost, popularPosts } from '../../index.ts'
import type { categoryItem, postItem } from '../../routes/shapes.ts'
import { createService, fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

const ADMIN_TOKEN = 'a token for the tests'

interface Response {
  headers?: Record<string, object>
  content?: Record<string, object>
}
interface Document {
  openapi: string
  paths: Record<
    string,
    Record<string, { operationId: string; security?: object[]; responses: Record<string, Response> }>
  >
}

const { db, url } = await createTestDatabase(t)
await fillBlog(db, 3)
// With the route of a schedule.
const BACKGROUND_WORK = 'false'
const up = await createService(t, url, { ADMIN_TOKEN, BACKGROUND_WORK })
const down = await createService(t, 'postgres://127.0.0.1:9/none', {
  ADMIN_TOKEN,
  BACKGROUND_WORK,
  REDIS_URL: 'redis://127.0.0.1:9',
})
const closed = await createService(t, url, { VIEW_ORIGINS: 'https://blog.example' })
// A page for browsers, not for programs.
up.get('/page', async () => 'a page')
const document = (await up.inject('/openapi.json')).json<Document>()

t.test('the document is valid OpenAPI 3.1, without lint warnings', async (t) => {
  t.equal(document.openapi, '3.1.0')
  const config = await createConfig({ extends: ['recommended'] })
  const problems = await lintFromString({ source: JSON.stringify(document), config })
  const said = problems.map(({ ruleId, location: [where] }) => `${ruleId} ${where?.pointer}`)
  // These routes accept any input.
  const harmless = ['/health/live', '/health/ready', '/metrics'].map(
    (path) => `operation-4xx-response #/paths/${path.replaceAll('/', '~1')}/get/responses`,
  )
  t.same(said.sort(), harmless)
})

t.test('every route for programs is in the document', async (t) => {
  t.same(
    Object.entries(document.paths).flatMap(([path, methods]) => Object.keys(methods).map((name) => `${name} ${path}`)),
    [
      'get /posts/popular',
      'get /categories',
      'get /posts/{slug}/views.gif',
      'post /posts/{slug}/views',
      'post /posts/popular/invalidate',
      'get /posts/popular/maintain',
      'post /posts/popular/maintain',
      'get /health/live',
      'get /health/ready',
      'get /metrics',
    ],
  )
  for (const [method, path] of [
    ['post', 'invalidate'],
    ['get', 'maintain'],
    ['post', 'maintain'],
  ] as const)
    t.same(document.paths[`/posts/popular/${path}`]?.[method]?.security, [{ bearerAuth: [] }])
})

/** Requests and the status of their reply. */
const views = '/posts/post-1/views'
const invalidate = { method: 'POST', url: '/posts/popular/invalidate' } as const
const maintain = '/posts/popular/maintain'
const authorization = `Bearer ${ADMIN_TOKEN}`
const REQUESTS: [FastifyInstance, InjectOptions, string, number][] = [
  [up, { url: '/posts/popular?limit=2&exclude=post-1' }, '/posts/popular', 200],
  [up, { url: '/posts/popular' }, '/posts/popular', 200],
  [up, { url: '/posts/popular', headers: { 'if-none-match': '*' } }, '/posts/popular', 304],
  [up, { url: '/posts/popular?days=week' }, '/posts/popular', 400],
  [down, { url: '/posts/popular' }, '/posts/popular', 503],
  [up, { url: '/categories' }, '/categories', 200],
  [up, { url: '/categories', headers: { 'if-none-match': '*' } }, '/categories', 304],
  [up, { url: '/categories?days=366' }, '/categories', 400],
  [down, { url: '/categories' }, '/categories', 503],
  [up, { method: 'POST', url: views }, '/posts/{slug}/views', 204],
  [closed, { method: 'POST', url: views }, '/posts/{slug}/views', 403],
  [up, { method: 'POST', url: `/posts/${'x'.repeat(501)}/views` }, '/posts/{slug}/views', 400],
  [up, { method: 'POST', url: '/posts/no-such-post/views' }, '/posts/{slug}/views', 404],
  [up, { method: 'POST', url: views, body: 'x'.repeat(1025) }, '/posts/{slug}/views', 413],
  [down, { method: 'POST', url: views }, '/posts/{slug}/views', 503],
  [up, { url: `${views}.gif` }, '/posts/{slug}/views.gif', 200],
  [up, { url: `/posts/${'x'.repeat(501)}/views.gif` }, '/posts/{slug}/views.gif', 400],
  [closed, { url: `${views}.gif` }, '/posts/{slug}/views.gif', 403],
  [up, { url: '/posts/no-such-post/views.gif' }, '/posts/{slug}/views.gif', 404],
  [down, { url: `${views}.gif` }, '/posts/{slug}/views.gif', 503],
  [up, { ...invalidate, headers: { authorization } }, '/posts/popular/invalidate', 200],
  [up, { ...invalidate, headers: { authorization }, query: { mode: 'gentle' } }, '/posts/popular/invalidate', 400],
  [up, invalidate, '/posts/popular/invalidate', 401],
  [down, { ...invalidate, headers: { authorization } }, '/posts/popular/invalidate', 503],
  ...(['GET', 'POST'] as const).flatMap((method): [FastifyInstance, InjectOptions, string, number][] => [
    [up, { method, url: maintain, headers: { authorization } }, maintain, 200],
    [up, { method, url: maintain }, maintain, 401],
    [down, { method, url: maintain, headers: { authorization } }, maintain, 503],
  ]),
  [up, { method: 'POST', url: maintain, headers: { authorization }, payload: { list: [] } }, maintain, 400],
  [up, { url: '/health/live' }, '/health/live', 200],
  [up, { url: '/health/ready' }, '/health/ready', 200],
  [down, { url: '/health/ready' }, '/health/ready', 503],
  [up, { url: '/metrics' }, '/metrics', 200],
  // More requests than one address may send in a minute.
  ...Array.from({ length: 120 }, (): [FastifyInstance, InjectOptions, string, number] => [
    ...([up, { method: 'POST', url: views, remoteAddress: '192.0.2.9' }, '/posts/{slug}/views', 204] as const),
  ]),
  [up, { method: 'POST', url: views, remoteAddress: '192.0.2.9' }, '/posts/{slug}/views', 429],
  [up, { url: `${views}.gif`, remoteAddress: '192.0.2.9' }, '/posts/{slug}/views.gif', 429],
  // More attempts than one address may make.
  ...Array.from({ length: 10 }, (): [FastifyInstance, InjectOptions, string, number] => [
    ...([up, { ...invalidate, headers: { authorization: 'Bearer x' } }, '/posts/popular/invalidate', 401] as const),
  ]),
  [up, { ...invalidate, headers: { authorization: 'Bearer x' } }, '/posts/popular/invalidate', 429],
  [up, { url: maintain, headers: { authorization } }, maintain, 429],
  [up, { method: 'POST', url: maintain, headers: { authorization } }, maintain, 429],
]

t.test('the replies of every status match the document', async (t) => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false })
  ajv.addSchema(document, 'openapi')
  const seen = new Set<string>()
  for (const [app, request, path, status] of REQUESTS) {
    const method = (request.method ?? 'get').toLowerCase()
    const what = `${method} ${path} ${status}`
    const response = await app.inject(request)
    t.equal(response.statusCode, status, what)
    const described = document.paths[path]?.[method]?.responses[status]
    for (const name of Object.keys(described?.headers ?? {})) t.ok(name in response.headers, `${what}: ${name}`)
    const [type] = Object.keys(described?.content ?? {})
    if (type === undefined) t.equal(response.body, '', `${what}: no body`)
    else t.match(response.headers['content-type'], type, what)
    if (type === 'application/json') {
      const pointer = ['paths', path, method, 'responses', status, 'content', type, 'schema']
      const $ref = `openapi#/${pointer.map((part) => String(part).replaceAll('/', '~1').replaceAll(/[{}]/g, encodeURIComponent)).join('/')}`
      t.ok(ajv.validate({ $ref }, response.json()), `${what}: ${ajv.errorsText()}`)
    }
    seen.add(what)
  }
  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { responses }]) =>
      Object.keys(responses).map((status) => `${method} ${path} ${status}`),
    ),
  )
  t.same([...seen].sort(), described.sort(), 'nothing is described that was not seen')
})

t.test('a list that cannot be sent has an example of each code, with the words of the error', async (t) => {
  const errors = [
    new LoadFailedError(0, { cause: new Error('down') }),
    new WaitTimeoutError(),
    new TooManyLoadsError(),
    new UnsettledError(),
  ]
  for (const path of ['/posts/popular', '/categories']) {
    const { content } = document.paths[path]?.['get']?.responses['503'] ?? {}
    for (const { code, message } of errors)
      t.match(JSON.stringify(content), JSON.stringify({ statusCode: 503, code, error: 'Service Unavailable', message }))
  }
})

t.test('the schemas match the types of the package', async (t) => {
  const here: Static<typeof postItem.schema> = {} as PopularPost
  const there: PopularPost = {} as Static<typeof postItem.schema>
  const one: Static<typeof categoryItem.schema> = {} as PopularCategory
  const other: PopularCategory = {} as Static<typeof categoryItem.schema>
  t.same([here, there, one, other], [{}, {}, {}, {}])
})

t.test('GET /docs loads nothing from other origins, and has no inline code', async (t) => {
  const page = await up.inject('/docs')
  t.equal(page.statusCode, 200)
  const policy = String(page.headers['content-security-policy'])
  t.match(policy, "default-src 'none'; script-src 'self'; style-src 'self';")
  t.notMatch(policy, /unsafe|https?:/)
  t.notMatch(page.body, /<style|style=|<script>|\son\w+=/, 'nothing in line')
  const parts = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, part = '']) => part)
  t.equal(parts.length, 7)
  for (const part of parts) {
    t.match(part, /^\/docs\/static\//)
    t.equal((await up.inject(part)).statusCode, 200, part)
  }
  t.same((await up.inject('/docs/json')).json(), document)
})

t.test("a host's own @fastify/swagger finds the routes of the plugin, below their prefixes", async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(swagger, { openapi: { openapi: '3.1.0' } })
  await app.register(popularPosts, { db, routes: '/blog' })
  await app.register(async (scope) => {
    const load = async () => [{ slug: 'mine' }]
    await scope.register(popularPosts, { load, loadCategories: load, routes: '/my/own', redisPrefix: 'own' })
  })
  await app.ready()
  const { paths } = app.swagger() as unknown as Document
  t.same(Object.keys(paths), [
    ...['/blog/posts/popular', '/blog/categories', '/blog/posts/{slug}/views.gif', '/blog/posts/{slug}/views'],
    ...['/my/own/posts/popular', '/my/own/categories'],
  ])
  const ids = Object.values(paths).flatMap((methods) => Object.values(methods).map(({ operationId }) => operationId))
  t.same(ids, [
    ...['listPopularPosts_blog', 'listCategories_blog', 'recordViewByImage_blog', 'recordView_blog'],
    ...['listPopularPosts_my_own', 'listCategories_my_own'],
  ])
  t.match(paths['/blog/posts/popular']?.['get']?.responses['200'], {
    content: { 'application/json': { schema: { items: { title: 'PopularPost', type: 'object' } } } },
  })
  for (const path of ['/my/own/posts/popular', '/my/own/categories'])
    t.match(paths[path]?.['get']?.responses['200'], {
      content: { 'application/json': { schema: { items: { type: 'object', additionalProperties: true } } } },
    })
  t.equal((await app.inject('/my/own/posts/popular')).body, '[{"slug":"mine"}]', 'and is not in the way')
})

t.test('a transform of the host is not called for these routes, and openapi: false leaves them out', async (t) => {
  for (const document of [{ openapi: { openapi: '3.1.0' } }, { swagger: {} }])
    for (const openapi of [undefined, true, false]) {
      const app = Fastify()
      t.teardown(() => app.close())
      await app.register(swagger, {
        ...document,
        transform({ schema }) {
          // As jsonSchemaTransform of fastify-type-provider-zod, and those for Joi, do.
          if (schema.summary !== 'mine') throw new Error('Expected a schema of zod.')
          return { schema: { ...schema, summary: 'transformed' }, url: '/moved' }
        },
      })
      app.get('/mine', { schema: { summary: 'mine' } }, async () => '')
      await app.register(popularPosts, { db, adminToken: 'a token for the tests', openapi })
      await app.ready()
      const { '/moved': mine, ...paths } = app.swagger().paths ?? {}
      t.match(mine, { get: { summary: 'transformed' } })
      const own = ['/posts/popular', '/categories', '/posts/{slug}/views', '/posts/{slug}/views.gif']
      t.same(Object.keys(paths).sort(), openapi === false ? [] : [...own, '/posts/popular/invalidate'].sort())
      if (openapi !== false)
        t.match(JSON.stringify(paths['/posts/popular']), '"name":"limit"', 'with their own parameters')
      t.equal((await app.inject('/posts/popular')).statusCode, 200)
      t.equal((await app.inject('/posts/popular?limit=0')).statusCode, 400, 'requests are still checked')
    }
})
