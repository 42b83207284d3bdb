import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, LogController } from 'fastify'
import { passwordsOf } from '../aws/tokens.ts'
import { createNetworkCheck } from '../lib/address.ts'
import { readForwarded } from '../lib/forwarded.ts'
import { createViewerAddress } from '../lib/viewer-address.ts'
import { popularPosts, servicesOf } from '../plugins/popular-posts.ts'
import security, { SECURITY_HEADERS } from '../plugins/security.ts'
import { handleError, handleNotFound } from '../routes/errors.ts'
import health from '../routes/health.ts'
import type { Config } from './config.ts'

interface AppOptions {
  /** The header with the id of a request. Default: the server numbers its requests. */
  requestIdHeader?: string
  /** Called before any route is registered, for plugins that observe every route. */
  prepare?: (app: FastifyInstance) => Promise<unknown>
}

/**
 * Builds the app of the service: security headers, errors, the plugin and the health routes. It does not listen yet.
 * @param options.prepare see `service/service.ts`.
 */
export async function buildApp(
  config: Config,
  databaseUrl: string,
  { requestIdHeader, prepare }: AppOptions = {},
): Promise<FastifyInstance> {
  const app = Fastify({
    logger: { level: config.logLevel, serializers: { req: withoutAddress } },
    logController: new RequestsAtDebug(),
    // Not the text: Fastify would trust no address with a port or brackets.
    trustProxy: config.trustProxy !== false && createNetworkCheck(config.trustProxy.split(',')),
    requestIdHeader: requestIdHeader ?? false,
    // The schema refuses slugs that are too long, with an error that names the parameter.
    routerOptions: { maxParamLength: 2_000 },
    // No route needs a longer body; the timeout ends slow clients.
    bodyLimit: 16 * 1024,
    requestTimeout: 30_000,
    // Requests that the router refuses reach no hook.
    frameworkErrors: (error, request, reply) => handleError(error, request, reply.headers(SECURITY_HEADERS)),
  })
  if (config.trustProxy !== false) app.addHook('onRequest', async ({ raw }) => readForwarded(raw.headers))
  if (config.cloudFrontKey !== undefined) {
    const viewerAddress = createViewerAddress(config.cloudFrontKey)
    app.addHook('onRequest', async (request) => {
      const address = viewerAddress(request.headers)
      if (address !== undefined) Object.defineProperty(request, 'ip', { value: address })
    })
  }
  app.setErrorHandler(handleError)
  app.setNotFoundHandler(handleNotFound)
  await app.register(security, { corsOrigins: config.corsOrigins })
  await prepare?.(app)
  const { siteTimeZone: timeZone, redisCluster, redisUrl, adminToken, viewDedupSeconds, readersPerAddress } = config
  const { loadTimeoutSeconds, waitTimeoutSeconds, combineFilters, days, ignore, viewOrigins, backgroundWork } = config
  await app.register(popularPosts, {
    ...config.cache,
    timeZone,
    databaseUrl,
    schema: config.databaseSchema,
    redisUrl,
    redisCluster,
    adminToken,
    viewDedupSeconds,
    readersPerAddress,
    ignore,
    viewOrigins,
    ...passwordsOf(config.iam),
    backgroundWork,
    loadTimeoutSeconds,
    waitTimeoutSeconds,
    combineFilters,
    days,
  })
  const { lists } = servicesOf(app)
  await app.register(health, { lists })
  return app
}

/** Logs requests at debug: the cache answers thousands per second. */
class RequestsAtDebug extends LogController {
  override incomingRequest(): void {}
  override requestCompleted(_error: Error | null | undefined, request: FastifyRequest, reply: FastifyReply): void {
    request.log.debug(
      { req: request, statusCode: reply.statusCode, durationMs: reply.elapsedTime },
      'request completed',
    )
  }
}

/** A request for the log, without the client's address. */
function withoutAddress({ method, url }: FastifyRequest) {
  return { method, url }
}
