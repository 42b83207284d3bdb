import createError from '@fastify/error'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { measureCache } from '../telemetry/cache-metrics.ts'
import type { AnyRegistry } from '../telemetry/collected-metrics.ts'
import type { Register } from '../telemetry/registry.ts'
import { measureViews } from '../telemetry/view-metrics.ts'
import { servicesOf } from './popular-posts.ts'

export type { Register } from '../telemetry/registry.ts'

/** Options of the metrics plugin. */
export interface MetricsOptions {
  /**
   * The registry of prom-client that gets the metrics. Each instance of fastify-popular-posts needs a registry of its own: use
   * `setDefaultLabels` and `Registry.merge`.
   */
  register: Register
}

const InvalidRegister = createError<[string]>(
  'PP_INVALID_OPTIONS',
  'The options of fastify-popular-posts/metrics are not usable: register: expected %s.',
  500,
)

/** The instances whose metrics are in each registry. */
const measured = new WeakMap<object, object>()

const plugin: FastifyPluginAsync<MetricsOptions> = async (app, options) => {
  if (typeof options.register?.registerMetric !== 'function')
    throw new InvalidRegister('a Registry of prom-client, got something else')
  const register = options.register as AnyRegistry
  const services = servicesOf(app)
  const isTaken = register.getSingleMetric('popular_posts_reads_total') !== undefined
  // The plugin was registered before, with the same registry.
  if (isTaken && measured.get(register) === services) return
  if (isTaken)
    throw new InvalidRegister('a Registry for each instance of fastify-popular-posts, got that of another instance')
  measured.set(register, services)
  const { events } = services
  measureCache({ popularPosts: app.popularPosts, events }, register)
  if (app.hasDecorator('postViews')) measureViews(app.postViews, register)
}

/**
 * The Fastify plugin for metrics: it adds the metrics of the cache and of the views of this app to a registry of prom-client.
 * docs/metrics.md lists them. Register it after fastify-popular-posts. It adds no route.
 *
 * ```ts
 * await app.register(metrics, { register: new Registry() })
 * ```
 * Registered twice with one registry, it adds the metrics once.
 * @throws at registration: `PP_INVALID_OPTIONS` without a registry, or with the registry of another instance.
 */
export const metrics = fp(plugin, {
  name: 'fastify-popular-posts/metrics',
  dependencies: ['fastify-popular-posts'],
  fastify: '5.x',
})
export default metrics
/** The result of `require('fastify-popular-posts/metrics')`: see `index.ts`. */
const required = Object.assign(metrics, { default: metrics, metrics })

export { required as 'module.exports' }
