import type { FastifyPluginAsync } from 'fastify'
import type { Registry } from 'prom-client'
import { operation } from './operation.ts'
import { textResponse } from './responses.ts'

const spec = {
  operationId: 'getMetrics',
  summary: 'Metrics of the process',
  description: 'For Prometheus. Do not make this route public.',
  tags: ['operations'],
  response: {
    200: textResponse(
      'The metrics, in the text format of Prometheus.',
      'popular_posts_reads_total{outcome="hit"} 41720\n',
    ),
  },
}

/** `GET /metrics`: the metrics of the process, in the text format of Prometheus. */
const metrics: FastifyPluginAsync<{ register: Registry }> = async (app, { register }) => {
  app.get('/metrics', operation(app, spec, {}), async (_request, reply) =>
    reply
      .type(register.contentType)
      .header('cache-control', 'no-store')
      .send(await register.metrics()),
  )
}

export default metrics
