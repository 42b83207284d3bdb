import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, LogController } from 'fastify'
import { passwordsOf } from '../aws/tokens.ts'
import { popularPosts, servicesOf } from '../plugins/popular-posts.ts'
import security, { SECURITY_HEADERS } from '../plugins/security.ts'
import { handleError, handleNotFound } from '../routes/errors.ts'
import health from '../routes/health.ts'
import type { Config } from './config.ts'

interface AppOptions {
  backgroundWork?: boolean
  /** Called before anything is registered: for what looks at every route. */
  prepare?: (app: FastifyInstance) => Promise<unknown>
}

/**
 * The service: everything it is made of, put together. Not listening yet.
 * @param options.backgroundWork as of the plugin.
 * @param options.prepare see `service/service.ts`.
 */
export async function buildApp(
  config: Config,
  databaseUrl: string,
  { backgroundWork = true, prepare }: AppOptions = {},
): Promise<FastifyInstance> {
  const app = Fastify({
    logger: { level: config.logLevel, serializers: { req: withoutAddress } },
    logController: new RequestsAtDebug(),
    trustProxy: config.trustProxy,
    // On AWS Lambda it is the gateway's; a server gives every request a number of its own.
    requestIdHeader: backgroundWork ? false : 'x-request-id',
    // Slugs may be 200 characters long; what is longer is for the schema to refuse, by name.
    routerOptions: { maxParamLength: 2_000 },
    // No body is of use here that is longer; and who sends one byte a minute is not waited for.
    bodyLimit: 16 * 1024,
    requestTimeout: 30_000,
    // What the router refuses comes to no hook.
    frameworkErrors: (error, request, reply) => handleError(error, request, reply.headers(SECURITY_HEADERS)),
  })
  app.setErrorHandler(handleError)
  app.setNotFoundHandler(handleNotFound)
  await app.register(security, { corsOrigins: config.corsOrigins })
  await prepare?.(app)
  const { siteTimeZone: timeZone, redisCluster, redisUrl, adminToken, viewDedupSeconds } = config
  const { loadTimeoutSeconds, combineFilters } = config
  await app.register(popularPosts, {
    ...config.cache,
    timeZone,
    databaseUrl,
    redisUrl,
    redisCluster,
    adminToken,
    viewDedupSeconds,
    ...passwordsOf(config.iam),
    backgroundWork,
    loadTimeoutSeconds,
    combineFilters,
  })
  const { lists } = servicesOf(app)
  await app.register(health, { lists })
  return app
}

/** Requests are logged at debug: a cache answers thousands in a second. */
class RequestsAtDebug extends LogController {
  override incomingRequest(): void {}
  override requestCompleted(_error: Error | null | undefined, request: FastifyRequest, reply: FastifyReply): void {
    request.log.debug(
      { req: request, statusCode: reply.statusCode, durationMs: reply.elapsedTime },
      'request completed',
    )
  }
}

/** A request as it is logged: no client's address. */
function withoutAddress({ method, url }: FastifyRequest) {
  return { method, url }
}
