import type { PopularPost } from '../db/ranking.ts'

/**
 * What your posts are, where you bring a `load` of your own. Say it once:
 *
 * ```ts
 * declare module 'fastify-popular-posts' {
 *   interface PopularPostsTypes {
 *     post: Article
 *   }
 * }
 * ```
 *
 * Then `app.popularPosts.get()` answers `Article[]`, and `load` must. An app with several kinds of posts takes the
 * type from the decorator instead: `scope.getDecorator<PopularPosts<Article>>('popularPosts')`.
 */
// biome-ignore lint/suspicious/noEmptyInterface: the host fills it in.
export interface PopularPostsTypes {}

/** A post of `get` and `refresh`: as declared, else a {@link PopularPost}. */
export type Post = PopularPostsTypes extends { post: infer Declared } ? Declared : PopularPost

/** A post of your own `load`: as declared, else any object. */
export type LoadedPost = PopularPostsTypes extends { post: infer Declared } ? Declared : object
