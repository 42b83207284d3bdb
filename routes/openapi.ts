// For the type of `app.swagger`.
import type {} from '@fastify/swagger'
import type { FastifyPluginAsync } from 'fastify'

/** `GET /openapi.json`: what all routes are, to be read by programs. */
const openapi: FastifyPluginAsync = async (app) => {
  let text: string | undefined
  app.get('/openapi.json', async (_request, reply) => {
    text ??= JSON.stringify(app.swagger())
    return reply.type('application/json; charset=utf-8').header('cache-control', 'no-cache').send(text)
  })
}

export default openapi
