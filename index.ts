import { popularPosts } from './plugins/popular-posts.ts'

export type { CacheCounts, CacheEvent, LoadReason } from './cache/events.ts'
export type { Committed, InvalidateMode, InvalidateOptions } from './cache/store.ts'
export type { PopularCategory } from './db/categories.ts'
export type { FilterSlugs } from './db/filters.ts'
export type { PopularPost } from './db/ranking.ts'
export type { PruneResult } from './db/retention.ts'
export type { HostRedis } from './lib/host-redis.ts'
export type { KeyOptions, WithKeyOptions } from './lib/redis-keys.ts'
export type { EvaluateScript, RedisArgument, RedisClient } from './lib/redis-scripts-runner.ts'
export type { InvalidationReach } from './lists/invalidation.ts'
export type { AsJson, GetOrSetOptions, JsonCache } from './lists/json-cache.ts'
export type { ListAnswer } from './lists/list-answer.ts'
export type { Encoding, ListBody, Representation } from './lists/list-body.ts'
export type { PopularPosts, RefreshOptions } from './lists/popular-posts.ts'
export type { PopularPostsQuery } from './lists/query.ts'
export type { PopularPostsStats } from './lists/stats.ts'
export type { AnyKysely } from './settings/host-database.ts'
export type { ListQuery, ListsChange } from './settings/list-query.ts'
export type { PopularPostsOptions } from './settings/options.ts'
export type * from './settings/post-type.ts'
export type { RouteHooks, ViewRateLimit } from './settings/route-options.ts'
export type { FlushResult } from './views/flusher.ts'
export type { RequestInfo, ViewOutcome } from './views/recorder.ts'
export type { PostViews, PostViewsStats, ViewInput } from './views/view-api.ts'

export { popularPosts }
export default popularPosts
/** The result of `require('fastify-popular-posts')`: the plugin, with the exports of the module as its members. */
const required = Object.assign(popularPosts, { default: popularPosts, popularPosts })

export { required as 'module.exports' }
