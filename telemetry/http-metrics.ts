import type { FastifyPluginAsync, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import fp from 'fastify-plugin'
import type { AnyRegistry } from './collected-metrics.ts'
import { DurationHistogram, type Durations } from './duration-histogram.ts'

/**
 * Measures the duration of requests to all routes that are registered later. The label is the route, not the path: a client
 * cannot create labels. Requests without a route are not measured.
 */
const httpMetrics: FastifyPluginAsync<{ register: AnyRegistry }> = async (app, { register }) => {
  const histogram = new DurationHistogram(
    register,
    'popular_posts_http_request_duration_seconds',
    'Duration of requests until the end of the reply.',
  )
  app.addHook('onRoute', (route) => {
    const series = new Map<number, Durations>()
    function measure(_request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void {
      const { statusCode, elapsedTime } = reply
      let durations = series.get(statusCode)
      if (durations === undefined) {
        durations = histogram.series({ method: String(route.method), route: route.url, status: statusCode })
        series.set(statusCode, durations)
      }
      durations.add(elapsedTime)
      done()
    }
    route.onResponse = [route.onResponse ?? [], measure].flat()
  })
}

export default fp(httpMetrics, { name: 'popular-posts-http-metrics', fastify: '5.x' })
