import awsLambdaFastify, { type LambdaResponse } from '@fastify/aws-lambda'
import type { Context } from 'aws-lambda'
import { type GatewayEvent, normalize } from './aws/gateway-event.ts'
import type { MaintenanceReport, MaintenanceRequest } from './composition/maintenance.ts'
import type { DatabaseServices, Services } from './composition/services.ts'
import { servicesOf } from './plugins/popular-posts.ts'
import { buildApp } from './service/app.ts'
import { readLambdaConfig } from './service/config.ts'

// The app starts before the first request, because AWS gives the start more processor time.
const config = readLambdaConfig()
const app = await buildApp(config, config.databaseUrl, { backgroundWork: false })
const proxy = awsLambdaFastify<GatewayEvent>(app, { decorateRequest: false, binaryMimeTypes: ['image/gif'] })
await app.ready()
// `readLambdaConfig` requires a database.
const { lists, database } = servicesOf(app) as Services & { database: DatabaseServices }

/** Handles an event of an HTTP API, a REST API, a load balancer or a function URL, as the server handles the request. */
export async function http(event: GatewayEvent, context: Context): Promise<LambdaResponse> {
  return proxy(normalize(event), context)
}

/** For a schedule: counts views, invalidates on changes of the data, and refreshes lists. */
export async function flush(event: MaintenanceRequest): Promise<MaintenanceReport> {
  return database.maintain(event)
}

/** Makes every list outdated. Invoke it directly: it has no URL. */
export async function invalidate({ mode = 'hard' }: { mode?: 'hard' | 'soft' }): Promise<{ invalidated: string }> {
  await lists.resume()
  await lists.popularPosts.invalidate(mode)
  await lists.idle()
  return { invalidated: mode }
}
