import { popularPosts } from './plugins/popular-posts.ts'

export type { CacheCounts, CacheEvent } from './cache/events.ts'
export type { InvalidateMode } from './cache/store.ts'
export type { PopularCategory } from './db/categories.ts'
export type { FilterSlugs } from './db/filters.ts'
export type { PopularPost } from './db/ranking.ts'
export type { PruneResult } from './db/retention.ts'
export type { Encoding, ListBody, Representation } from './lists/list-body.ts'
export type { ListAnswer, PopularPosts, PopularPostsStats } from './lists/popular-posts.ts'
export type { PopularPostsQuery } from './lists/query.ts'
export type { ListQuery, PopularPostsOptions } from './settings/options.ts'
export type * from './settings/post-type.ts'
export type { Flushed } from './views/flusher.ts'
export type { PostViews, PostViewsStats, View } from './views/post-views.ts'
export type { ViewOutcome, ViewRequest } from './views/recorder.ts'

export { popularPosts }
export default popularPosts
/** What `require('fastify-popular-posts')` answers: the plugin, which has itself under the names that `import` knows. */
const required = Object.assign(popularPosts, { default: popularPosts, popularPosts })

export { required as 'module.exports' }
