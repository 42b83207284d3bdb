// For the type of `app.swagger`.
import type {} from '@fastify/swagger'
import type { FastifyPluginAsync } from 'fastify'

/** `GET /openapi.json`: the OpenAPI document of all routes. */
const openapi: FastifyPluginAsync = async (app) => {
  let text: string | undefined
  app.get('/openapi.json', async (_request, reply) => {
    text ??= JSON.stringify(app.swagger())
    return reply.type('application/json; charset=utf-8').header('cache-control', 'no-cache').send(text)
  })
}

export default openapi
