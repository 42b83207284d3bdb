import createError from '@fastify/error'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { measureCache } from '../telemetry/cache-metrics.ts'
import type { AnyRegistry, Register } from '../telemetry/collected-metrics.ts'
import { measureViews } from '../telemetry/view-metrics.ts'
import { servicesOf } from './popular-posts.ts'

export interface MetricsOptions {
  /** Where the metrics go: each instance of fastify-popular-posts needs one of its own. Use prom-client's labels or `Registry.merge`. */
  register: Register
}

const NoRegister = createError(
  'PP_INVALID_OPTIONS',
  'The options of fastify-popular-posts/metrics are not usable: register: expected a Registry of prom-client, got something else.',
  500,
)

/**
 * Metrics of the cache and of the views of this app, for Prometheus, in your own registry (docs/metrics.md has them all).
 * To be registered after fastify-popular-posts. It adds no route.
 * @throws `PP_INVALID_OPTIONS` without a registry.
 */
const plugin: FastifyPluginAsync<MetricsOptions> = async (app, options) => {
  if (typeof options.register?.registerMetric !== 'function') throw new NoRegister()
  const register = options.register as AnyRegistry
  const { events } = servicesOf(app)
  measureCache({ popularPosts: app.popularPosts, events }, register)
  if (app.hasDecorator('postViews')) measureViews(app.postViews, register)
}

export const metrics = fp(plugin, {
  name: 'fastify-popular-posts/metrics',
  dependencies: ['fastify-popular-posts'],
  fastify: '5.x',
})
export default metrics
/** What `require('fastify-popular-posts/metrics')` answers: see `index.ts`. */
const required = Object.assign(metrics, { default: metrics, metrics })

export { required as 'module.exports' }
