// Apps whose own routes have schemas of zod or TypeBox.
import assert from 'node:assert/strict'
import swagger from '@fastify/swagger'
import { TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import popularPosts from 'fastify-popular-posts'
import { jsonSchemaTransform, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import { Type } from 'typebox'
import { z } from 'zod'
import { check, options } from './check.js'

{
  const app = Fastify()
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  await app.register(swagger, {
    openapi: { info: { title: 'My blog', version: '1.0.0' } },
    transform: jsonSchemaTransform,
  })
  await app.register(popularPosts, options())
  const response = { 200: z.object({ name: z.string() }) }
  app.get(
    '/mine',
    { schema: { querystring: z.object({ name: z.string().min(2) }), response } },
    async ({ query }) => query,
  )
  await app.ready()
  assert.equal((await app.inject('/mine?name=ann')).body, '{"name":"ann"}')
  assert.equal((await app.inject('/mine?name=a')).statusCode, 400)
  const { paths } = app.swagger()
  assert.deepEqual(
    paths['/posts/popular'].get.parameters.filter(({ name }) => name === 'limit').map(({ schema }) => schema.type),
    ['integer'],
  )
  assert.equal(paths['/mine'].get.parameters[0].schema.minLength, 2)
  await check(app)
}
{
  const app = Fastify()
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  await app.register(swagger, { openapi: {}, transform: jsonSchemaTransform })
  await app.register(popularPosts, { ...options(), openapi: false })
  await app.ready()
  assert.deepEqual(app.swagger().paths, {})
  await check(app)
}
{
  const app = Fastify()
  app.setValidatorCompiler(TypeBoxValidatorCompiler)
  await app.register(swagger, { openapi: {} })
  await app.register(popularPosts, options())
  const querystring = Type.Object({ name: Type.String({ minLength: 2 }) })
  app.get('/mine', { schema: { querystring } }, async ({ query }) => query)
  assert.equal((await app.inject('/mine?name=ann')).body, '{"name":"ann"}')
  assert.equal((await app.inject('/mine?name=a')).statusCode, 400)
  assert.ok(app.swagger().paths['/categories'].get)
  await check(app)
}
process.stdout.write('all is well\n')
