import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyPluginAsync } from 'fastify'
import { Type } from 'typebox'
import type { Lists } from '../lists/popular-posts.ts'
import { operation } from './operation.ts'
import { jsonResponse } from './responses.ts'

/** The deadline of the readiness probe: a list that is still loading after this time counts as not available. */
const READY_TIMEOUT_MS = 1_000

const upOrDown = Type.Enum(['up', 'down'])
const readiness = Type.Object({
  status: Type.Enum(['ok', 'degraded', 'unavailable'], {
    description:
      '`ok`: all parts work. `degraded`: the service sends lists, but a part is down. `unavailable`: it cannot send lists.',
  }),
  checks: Type.Object({
    database: Type.Object({ status: upOrDown }),
    cache: Type.Object({ status: upOrDown, kind: Type.Enum(['memory', 'redis']) }),
  }),
})
const checksOf = (database: string, cache: string) => ({
  database: { status: database },
  cache: { status: cache, kind: 'redis' },
})

const livenessSpec = {
  operationId: 'getLiveness',
  summary: 'Check that the process is up',
  tags: ['operations'],
  response: {
    200: jsonResponse('The process is up.', Type.Object({ status: Type.Enum(['ok']) }), { status: 'ok' }),
  },
}

const readinessSpec = {
  operationId: 'getReadiness',
  summary: 'Check that the service can send the default list',
  description:
    'The list may come from the cache while the database is down. The reply has the state of each part, and arrives within ' +
    'about a second. The database gets at most one query per second.',
  tags: ['operations'],
  response: {
    200: jsonResponse('The service can send the default list.', readiness, {
      status: 'degraded',
      checks: checksOf('up', 'down'),
    }),
    503: jsonResponse('The service cannot send the default list.', readiness, {
      status: 'unavailable',
      checks: checksOf('down', 'up'),
    }),
  },
}

/**
 * `GET /health/live`: whether the process is up. `GET /health/ready`: whether the service can send the default list, from the
 * database or from the cache, with the state of each part.
 */
const health: FastifyPluginAsync<{ lists: Lists }> = async (app, { lists: { popularPosts, peek } }) => {
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
  })

  app.get('/health/live', operation(app, livenessSpec, {}), async () => ({ status: 'ok' }))

  app.get('/health/ready', operation(app, readinessSpec, {}), async (_request, reply) => {
    const { isDatabaseUp, read, backend } = popularPosts
    const isListed = () =>
      read().then(
        () => true,
        // The cache has logged the failed load.
        () => false,
      )
    const [isUp, canServe] = await Promise.all([
      isDatabaseUp?.() ?? true,
      peek() !== undefined || Promise.race([isListed(), sleep(READY_TIMEOUT_MS, false, { ref: false })]),
    ])
    const { kind, isDown } = backend()
    const status = !canServe ? 'unavailable' : isUp && !isDown ? 'ok' : 'degraded'
    return reply.code(canServe ? 200 : 503).send({
      status,
      checks: { database: { status: isUp ? 'up' : 'down' }, cache: { status: isDown ? 'down' : 'up', kind } },
    })
  })
}

export default health
