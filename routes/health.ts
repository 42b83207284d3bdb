import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyPluginAsync } from 'fastify'
import { Type } from 'typebox'
import type { Lists } from '../lists/popular-posts.ts'
import { operation } from './operation.ts'
import { jsonResponse } from './responses.ts'

/** A probe gets its answer after this time at the latest: a list that is still loading cannot be answered yet. */
const READY_TIMEOUT_MS = 1_000

const upOrDown = Type.Enum(['up', 'down'])
const readiness = Type.Object({
  status: Type.Enum(['ok', 'degraded', 'unavailable'], {
    description: 'degraded: it works, but not with all its parts.',
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
  summary: 'The process is up',
  tags: ['operations'],
  response: {
    200: jsonResponse('It is.', Type.Object({ status: Type.Enum(['ok']) }), { status: 'ok' }),
  },
}

const readinessSpec = {
  operationId: 'getReadiness',
  summary: 'The list that every page shows can be answered',
  description:
    'From the database or without it; each part is named with its state. It answers in about a second, and asks the database once ' +
    'a second at most.',
  tags: ['operations'],
  response: {
    200: jsonResponse('It can.', readiness, { status: 'degraded', checks: checksOf('up', 'down') }),
    503: jsonResponse('It cannot.', readiness, { status: 'unavailable', checks: checksOf('down', 'up') }),
  },
}

/**
 * `GET /health/live`: the process is up. `GET /health/ready`: it can answer the list that every page shows, from the
 * database or without it; each part is named with its state.
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
        // The failed load has been logged where it happened.
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
