import type { FastifyInstance, FastifyPluginAsync, onRequestHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { createServices, type Services } from '../composition/services.ts'
import { findHostRedis } from '../lib/host-redis.ts'
import type { PopularPosts } from '../lists/popular-posts.ts'
import adminRoutes from '../routes/admin.ts'
import categoriesRoute from '../routes/categories.ts'
import { handleOwnError, withOwnErrors } from '../routes/errors.ts'
import popularPostsRoute from '../routes/popular-posts.ts'
import viewsRoute from '../routes/views.ts'
import { checkOptions } from '../settings/check-options.ts'
import { checkConflicts, explainDuplicateRoute } from '../settings/conflicts.ts'
import type { PopularPostsOptions, Settings } from '../settings/options.ts'
import type { RouteHooks } from '../settings/route-options.ts'
import type { PostViews } from '../views/view-api.ts'
import freezeHooks from './freeze-hooks.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The cache of popular posts: see {@link PopularPosts}. */
    popularPosts: PopularPosts
    /** Records views and counts them: see {@link PostViews}. `undefined` if the plugin has no database. */
    postViews: PostViews
  }
  interface FastifyContextConfig {
    /**
     * The name of a route of fastify-popular-posts: `listPopularPosts`, `listCategories`, `recordView`, `recordViewByImage`,
     * `invalidate`, `maintain` or `maintainByGet`. `undefined`: a route of your app.
     */
    popularPosts?: string
  }
}

/** How long readers wait for a load while the app closes. */
const CLOSE_WAITS_MS = 750

const services = new WeakMap<object, Services>()

/** Returns the services of an app, for other parts of this package. */
export function servicesOf({ popularPosts }: Pick<FastifyInstance, 'popularPosts'>): Services {
  const found = services.get(popularPosts)
  if (found === undefined)
    throw new TypeError('Expected app.popularPosts of fastify-popular-posts, got something else.')
  return found
}

const plugin: FastifyPluginAsync<PopularPostsOptions> = async (app, options) => {
  const settings = checkOptions(options)
  checkConflicts(app, settings)
  const hostRedis = settings.redis === undefined ? undefined : findHostRedis(app, settings.redis)
  const made = await createServices(settings, app.log, hostRedis)
  // The server closes after the requests in flight, so they must not wait for a load that hangs.
  app.addHook('preClose', async () => void setTimeout(made.endWaits, CLOSE_WAITS_MS).unref())
  app.addHook('onClose', made.close)
  const { lists, database, idle } = made
  services.set(lists.popularPosts, made)
  app.decorate('popularPosts', lists.popularPosts)
  if (database !== undefined) app.decorate('postViews', database.views.postViews)
  if (!settings.backgroundWork) await app.register(freezeHooks, { resume: lists.resume, idle })
  else if (database !== undefined) app.addHook('onReady', async () => database.problems.checkSoon())
  if (settings.routes !== false) await addRoutes(app, settings, made, options)
}

/** @param options those of `register`: Fastify applies its own (`prefix`, `logLevel`, `logSerializers`) to the scope of the routes. */
async function addRoutes(
  app: FastifyInstance,
  settings: Settings,
  { lists, database }: Services,
  options: PopularPostsOptions,
): Promise<void> {
  const routes = async (scope: FastifyInstance) => {
    scope.setErrorHandler(handleOwnError)
    scope.addHook('onRoute', (route) => {
      route.handler = withOwnErrors(route.handler)
      if (!settings.openapi) route.schema = Object.assign({}, route.schema, { hide: true })
    })
    addHooks(scope, settings.hooks)
    await scope.register(popularPostsRoute, { settings, lists })
    await scope.register(categoriesRoute, { settings, lists })
    const { adminToken: token, viewsPerMinute: perMinute, viewOrigins: origins, viewRateLimit: rateLimit } = settings
    if (database !== undefined)
      await scope.register(viewsRoute, { views: database.views, perMinute, rateLimit, origins })
    const maintain = settings.backgroundWork ? undefined : database?.maintain
    if (token !== undefined) await scope.register(adminRoutes, { token, lists, maintain })
  }
  try {
    await app.register((scope) => scope.register(routes, { prefix: settings.routes || '' }), options)
  } catch (error) {
    throw explainDuplicateRoute(error)
  }
}

/** Adds the host's hooks to the routes. Fastify refuses what is no hook. */
function addHooks(scope: FastifyInstance, hooks: RouteHooks = {}): void {
  for (const [name, functions] of Object.entries(hooks))
    for (const hook of [functions].flat()) scope.addHook(name as 'onRequest', hook as onRequestHookHandler)
}

/**
 * The Fastify plugin. It decorates the app with `app.popularPosts` and, where it has a database, `app.postViews`. Unless the
 * option `routes` is false, it adds `GET /posts/popular`, `GET /categories`, `POST /posts/:slug/views` and `GET /posts/:slug/views.gif`; with an
 * `adminToken` also `POST /posts/popular/invalidate`, and, without `backgroundWork`, `POST /posts/popular/maintain`.
 *
 * ```ts
 * await app.register(popularPosts, { databaseUrl: 'postgres://…', redisUrl: 'redis://…' })
 * ```
 * @throws at registration: `PP_INVALID_OPTIONS`, which lists every invalid option; `PP_ALREADY_REGISTERED`, `PP_NAME_TAKEN`,
 * `PP_PREFIX_TAKEN` and `PP_ROUTE_TAKEN` when it conflicts with your app; `PP_NO_SUCH_REDIS` when `redis` names no client. The
 * message of each says what to do.
 */
export const popularPosts = fp(plugin, { name: 'fastify-popular-posts', fastify: '5.x' })
