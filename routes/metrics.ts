import type { FastifyPluginAsync } from 'fastify'
import type { Registry } from 'prom-client'
import { operation } from './operation.ts'
import { textResponse } from './responses.ts'

const spec = {
  operationId: 'getMetrics',
  summary: 'What the process counts',
  description: 'For Prometheus: not for the public.',
  tags: ['operations'],
  response: {
    200: textResponse('Metrics in the text format of Prometheus.', 'popular_posts_reads_total{outcome="hit"} 41720\n'),
  },
}

/** `GET /metrics`: what the process counts, as Prometheus reads it. */
const metrics: FastifyPluginAsync<{ register: Registry }> = async (app, { register }) => {
  app.get('/metrics', operation(app, spec, {}), async (_request, reply) =>
    reply
      .type(register.contentType)
      .header('cache-control', 'no-store')
      .send(await register.metrics()),
  )
}

export default metrics
