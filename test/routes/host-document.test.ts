import swagger, { type SwaggerOptions } from '@fastify/swagger'
import { createConfig, lintFromString } from '@redocly/openapi-core'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import t from 'tap'
import { popularPosts } from '../../index.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

const adminToken = 'a token for the tests'
const { url: databaseUrl } = await createTestDatabase(t)

interface Host {
  document: SwaggerOptions
  options?: FastifyServerOptions
  furnish?: (app: FastifyInstance) => unknown
  /** Whether the linter accepts it: Swagger 2.0 has no `anyOf`, which our schemas need. */
  isValid: boolean
}

const security = [{ apiKey: [] }]
const apiKey = { type: 'apiKey', in: 'header', name: 'x-api-key' } as const
const named = { type: 'object', properties: { mine: { type: 'string' } } }
/** A route of a host that refers to a schema with the same name as ours. */
const collide = (app: FastifyInstance) => {
  for (const $id of ['PopularPost', 'PopularCategory', 'PopularPostsError']) app.addSchema({ $id, ...named })
  app.get('/mine', { schema: { response: { 200: { $ref: 'PopularPost#' } } } }, async () => ({ mine: 'x', other: 1 }))
}
const HOSTS: Record<string, Host> = {
  'OpenAPI 3.0, nothing set': { document: { openapi: {} }, isValid: true },
  'OpenAPI 3.1': { document: { openapi: { openapi: '3.1.0' } }, isValid: true },
  'OpenAPI 3.1, security schemes of its own, and one for all routes': {
    document: { openapi: { openapi: '3.1.0', components: { securitySchemes: { apiKey } }, security } },
    isValid: true,
  },
  'OpenAPI 3.0, routes for HEAD': { document: { openapi: {}, exposeHeadRoutes: true }, isValid: true },
  'OpenAPI 3.1, definitions named by $id': {
    document: {
      openapi: { openapi: '3.1.0' },
      refResolver: { buildLocalReference: ({ $id }) => String($id) },
    },
    furnish: collide,
    isValid: true,
  },
  'OpenAPI 3.0, definitions named by title': {
    document: { openapi: {}, refResolver: { buildLocalReference: ({ title }, _uri, _part, i) => String(title ?? i) } },
    furnish: collide,
    isValid: true,
  },
  'OpenAPI 3.0, schemas of the names of ours': { document: { openapi: {} }, furnish: collide, isValid: true },
  'OpenAPI 3.0, a strict Ajv': {
    document: { openapi: {} },
    options: { ajv: { customOptions: { strict: true, removeAdditional: false } } },
    furnish: collide,
    isValid: true,
  },
  'OpenAPI 3.0, compilers for schemas of another kind': {
    document: { openapi: {} },
    furnish(app) {
      app.setValidatorCompiler(() => () => ({ error: new Error('the host') }))
      app.setSerializerCompiler(() => () => 'the host')
    },
    isValid: true,
  },
  'Swagger 2.0, nothing set': { document: { swagger: {} }, isValid: false },
  'the default of @fastify/swagger': { document: {}, isValid: false },
  'Swagger 2.0, security definitions of its own': {
    document: { swagger: { securityDefinitions: { apiKey }, security } },
    furnish: collide,
    isValid: false,
  },
}

for (const [name, { document, options, furnish, isValid }] of Object.entries(HOSTS)) {
  t.test(`a host's document describes the routes of the plugin: ${name}`, async (t) => {
    const app = Fastify(options)
    t.teardown(() => app.close())
    await app.register(swagger, document)
    await furnish?.(app)
    await app.register(popularPosts, { databaseUrl, adminToken })
    app.get('/document', async () => app.swagger())
    await app.ready()
    const made = app.swagger() as { paths: Record<string, Record<string, { security?: object }>> }
    const ours = Object.entries(made.paths).filter(([path]) => !['/mine', '/document'].includes(path))
    t.same(
      ours.map(([path]) => path),
      ['/posts/popular', '/categories', '/posts/{slug}/views.gif', '/posts/{slug}/views', '/posts/popular/invalidate'],
    )
    t.ok(
      ours.every(([, methods]) => Object.values(methods).every(({ security }) => security === undefined)),
      'no route of ours names a security scheme',
    )
    // The document contains every schema that it refers to.
    const text = JSON.stringify(made)
    for (const [, pointer = ''] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const parts = pointer.split('/').map((part) => decodeURIComponent(part).replaceAll('~1', '/'))
      const found = parts.reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], made)
      t.ok(found, pointer)
    }
    if (!isValid) return
    const config = await createConfig({ extends: ['spec'] })
    const problems = await lintFromString({ source: text, config })
    t.same(
      problems.map(({ message }) => message),
      [],
      'a linter has nothing to say',
    )
  })
}

t.test('schemas of a host with the names of ours are kept', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  collide(app)
  await app.register(popularPosts, { load: async () => [{ slug: 'a' }] })
  t.equal((await app.inject('/mine')).body, '{"mine":"x"}')
  t.equal((await app.inject('/posts/popular')).body, '[{"slug":"a"}]')
})
