import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import signals from './changes/invalidate-on-change.ts'
import database from './db/open-database.ts'
import troubles from './db/problem-log.ts'
import redisPlugin from './lib/redis.ts'
import backend from './lists/backend.ts'
import upkeep from './lists/maintenance.ts'
import cache, { MAX_LOADS } from './lists/popular-posts.ts'
import { asRouteTaken, takePlace } from './plugins/conflicts.ts'
import betweenRequests from './plugins/freeze-hooks.ts'
import categoriesRoute from './routes/categories.ts'
import { guarded, handleOwnError } from './routes/errors.ts'
import invalidateRoute from './routes/invalidate.ts'
import popularPostsRoute from './routes/popular-posts.ts'
import viewsRoute from './routes/views.ts'
import { checkOptions, type PopularPostsOptions } from './settings/options.ts'
import postViews from './views/post-views.ts'

export type { CacheCounts, CacheEvent } from './cache/events.ts'
export type { InvalidateMode } from './cache/store.ts'
export type { PopularCategory } from './db/categories.ts'
export type { Filters } from './db/filters.ts'
export type { PopularPost } from './db/popular-posts.ts'
export type { Pruned } from './db/retention.ts'
export type { Encoding, ListBody, Representation } from './lists/list-body.ts'
export type { ListAnswer, PopularPosts, PopularPostsStats } from './lists/popular-posts.ts'
export type { PopularPostsQuery } from './lists/query.ts'
export type { ListQuery, PopularPostsOptions } from './settings/options.ts'
export type * from './settings/post-type.ts'
export type { Flushed } from './views/flusher.ts'
export type { PostViews, PostViewsStats, View } from './views/post-views.ts'
export type { ViewOutcome, ViewRequest } from './views/recorder.ts'

/**
 * The plugin: decorates the app with `app.popularPosts` and, where it has a database, `app.postViews`; and adds, unless
 * `routes` is false, `GET /posts/popular`, `GET /categories` and `POST /posts/:slug/views`.
 * @throws at registration `PP_INVALID_OPTIONS`, which lists every option that is wrong; `PP_ALREADY_REGISTERED`,
 * `PP_NAME_TAKEN`, `PP_PREFIX_TAKEN`, `PP_ROUTE_TAKEN` where it finds no room in your app, which say what to do.
 */
const plugin: FastifyPluginAsync<PopularPostsOptions> = async (app, options) => {
  const settings = checkOptions(options)
  takePlace(app, settings)
  const { databaseUrl, redis, redisUrl, routes, adminToken, runsBetweenRequests, loadTimeoutSeconds } = settings
  const usesRedis = redis !== undefined || redisUrl !== undefined
  if (databaseUrl !== undefined) {
    const { databasePassword: password } = settings
    await app.register(database, {
      ...{ databaseUrl, password, statementSeconds: loadTimeoutSeconds },
      // A frozen process has one request at a time.
      ...(runsBetweenRequests ? { max: 6, listMax: MAX_LOADS } : { max: 2, listMax: 0 }),
    })
  }
  if (usesRedis) {
    const { redisCluster: isCluster, redisPassword: password } = settings
    // The start of a frozen process is on nobody's time, or on a request's that would have to go without.
    const bootBudgetMs = runsBetweenRequests ? 500 : 2_000
    await app.register(redisPlugin, { redis, redisUrl, isCluster, password, bootBudgetMs })
  }
  await app.register(backend, { prefix: settings.prefix, usesRedis, runsBetweenRequests })
  const db = settings.db ?? (databaseUrl === undefined ? undefined : app.popularPostsDatabase)
  if (db !== undefined) {
    const flushDb = databaseUrl === undefined ? db : app.popularPostsFlushDatabase
    await app.register(postViews, { settings, db, flushDb })
    await app.register(troubles, { db, runsBetweenRequests })
  }
  const listDb = databaseUrl === undefined ? db : app.popularPostsListDatabase
  await app.register(cache, { settings, db, listDb })
  if (db !== undefined) await app.register(upkeep, { prefix: settings.prefix, db })
  if (!runsBetweenRequests) await app.register(betweenRequests)
  else if (db !== undefined) {
    const { lookSoon: onHardChange } = app.popularPostsTroubles
    await app.register(signals, { db, databaseUrl, password: settings.databasePassword, onHardChange })
  }
  if (routes === false) return
  const addRoutes = async (scope: FastifyInstance) => {
    scope.setErrorHandler(handleOwnError)
    scope.addHook('onRoute', (route) => {
      route.handler = guarded(route.handler)
    })
    await scope.register(popularPostsRoute)
    await scope.register(categoriesRoute)
    if (db !== undefined) await scope.register(viewsRoute, { perMinute: settings.viewsPerMinute })
    if (adminToken !== undefined) await scope.register(invalidateRoute, { token: adminToken })
  }
  try {
    await app.register(addRoutes, { prefix: routes })
  } catch (error) {
    throw asRouteTaken(error)
  }
}

export const popularPosts = fp(plugin, { name: 'fastify-popular-posts', fastify: '5.x' })
export default popularPosts
/** What `require('fastify-popular-posts')` answers: the plugin, which has itself under the names that `import` knows. */
const required = Object.assign(popularPosts, { default: popularPosts, popularPosts })

export { required as 'module.exports' }
