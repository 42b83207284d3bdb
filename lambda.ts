import awsLambdaFastify, { type LambdaResponse } from '@fastify/aws-lambda'
import type { Context } from 'aws-lambda'
import { createNormalizer, type GatewayEvent, replyTo } from './aws/gateway-event.ts'
import type { MaintenanceReport, MaintenanceRequest } from './composition/maintenance.ts'
import type { DatabaseServices, Services } from './composition/services.ts'
import { readRequest } from './lib/read-request.ts'
import { servicesOf } from './plugins/popular-posts.ts'
import { buildApp } from './service/app.ts'
import { readLambdaConfig } from './service/config.ts'

// The app starts before the first request, because AWS gives the start more processor time.
const config = readLambdaConfig()
const routes: string[] = []
const app = await buildApp(config, config.databaseUrl, {
  backgroundWork: false,
  prepare: async (app) => app.addHook('onRoute', ({ url }) => void routes.push(url)),
})
const proxy = awsLambdaFastify<GatewayEvent>(app, {
  decorateRequest: false,
  binaryMimeTypes: ['image/gif'],
  // `normalize` removes the stage.
  retainStage: true,
})
await app.ready()
const normalize = createNormalizer(routes.filter((url) => !url.includes('*')))
// `readLambdaConfig` requires a database.
const { lists, database } = servicesOf(app) as Services & { database: DatabaseServices }

/**
 * Handles an event of an HTTP API, a REST API, a load balancer or a function URL, as the server handles the request.
 * @throws TypeError for an event that is no request.
 */
export async function http(event: GatewayEvent, context: Context): Promise<LambdaResponse> {
  return replyTo(event, await proxy(normalize(event), context))
}

/**
 * For a schedule: counts views, invalidates on changes of the data, and refreshes lists.
 * @throws TypeError for an unknown key.
 */
export async function flush(event?: MaintenanceRequest): Promise<MaintenanceReport> {
  return database.maintain(event)
}

/** The event of the function `invalidate`. Default: `hard`. */
interface InvalidateRequest {
  mode?: 'hard' | 'soft'
}

/**
 * Makes every list outdated. Invoke it directly: it has no URL.
 * @throws TypeError for an unknown key or mode.
 */
export async function invalidate(event?: InvalidateRequest): Promise<{ invalidated: string }> {
  const { mode = 'hard' } = readRequest<InvalidateRequest>(event, 'invalidate', {
    mode: { expected: 'hard or soft', isValid: (value) => value === 'hard' || value === 'soft' },
  })
  await lists.resume()
  await lists.popularPosts.invalidate(mode)
  await lists.idle()
  return { invalidated: mode }
}
