import type { FastifyInstance } from 'fastify'
import { collectDefaultMetrics, Registry } from 'prom-client'
import metrics from '../plugins/metrics.ts'
import openapi from '../plugins/openapi.ts'
import metricsRoute from '../routes/metrics.ts'
import openapiRoute from '../routes/openapi.ts'
import httpMetrics from '../telemetry/http-metrics.ts'
import { buildApp } from './app.ts'
import type { Config } from './config.ts'

/**
 * Builds the service for a long-running server: the app with metrics and OpenAPI, unless they are switched off; AWS Lambda
 * does without. It does not listen yet.
 */
export async function buildService(config: Config, databaseUrl: string): Promise<FastifyInstance> {
  const register = new Registry()
  collectDefaultMetrics({ register })
  const { hasDocs, hasMetrics } = config
  const app = await buildApp(config, databaseUrl, {
    async prepare(app) {
      if (hasDocs) await app.register(openapi)
      if (hasMetrics) await app.register(httpMetrics, { register })
    },
  })
  if (hasMetrics) {
    await app.register(metrics, { register })
    await app.register(metricsRoute, { register })
  }
  if (hasDocs) await app.register(openapiRoute)
  return app
}

/** How long requests in flight have after a signal (ms). */
const REQUESTS_MS = 1_000

/** Closes the service. Requests in flight are answered; connections that are open after a second are closed. */
export async function closeService(app: FastifyInstance): Promise<void> {
  const timer = setTimeout(() => app.server.closeAllConnections(), REQUESTS_MS)
  await app.close()
  clearTimeout(timer)
}
