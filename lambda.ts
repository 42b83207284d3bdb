import awsLambdaFastify, { type LambdaResponse } from '@fastify/aws-lambda'
import type { Context } from 'aws-lambda'
import { type GatewayEvent, normalize } from './aws/gateway-event.ts'
import type { UpkeepReport, UpkeepRequest } from './lists/maintenance.ts'
import { buildApp } from './service/app.ts'
import { readLambdaConfig } from './service/config.ts'

// All that can be done before the first request is done before it: AWS gives the start more of a processor.
const config = readLambdaConfig()
const app = await buildApp(config, config.databaseUrl, { runsBetweenRequests: false })
const proxy = awsLambdaFastify<GatewayEvent>(app, { decorateRequest: false })
await app.ready()

/** Answers an event of an HTTP API, a REST API, a load balancer or a function URL, as the server would answer the request. */
export async function http(event: GatewayEvent, context: Context): Promise<LambdaResponse> {
  return proxy(normalize(event), context)
}

/** For a schedule: counts views, notices changes of the data, and loads what is about to be stale. */
export async function flush(event: UpkeepRequest): Promise<UpkeepReport> {
  return app.popularPostsUpkeep.run(event)
}

/** For whoever may invoke it: makes every list outdated. */
export async function invalidate({ mode = 'hard' }: { mode?: 'hard' | 'soft' }): Promise<{ invalidated: string }> {
  await app.popularPosts.thaw()
  await app.popularPosts.invalidate(mode)
  await app.popularPosts.settle()
  return { invalidated: mode }
}
