import { inspect } from 'node:util'
import { findHostRedis, type HostRedis } from '../lib/host-redis.ts'
import type { Logger } from '../lib/logger.ts'
import { openRedis } from '../lib/redis.ts'
import type { JsonCache } from '../lists/json-cache.ts'
import { createCloser } from './closer.ts'
import { createOwnCache } from './own-cache.ts'

export type { CacheCounts } from '../cache/events.ts'
export type { HostRedis } from '../lib/host-redis.ts'
export type { Logger } from '../lib/logger.ts'
export type { KeyOptions, WithKeyOptions } from '../lib/redis-keys.ts'
export type { EvaluateScript, RedisArgument, RedisClient } from '../lib/redis-scripts-runner.ts'
export type { AsJson, GetOrSetOptions, JsonCache } from '../lists/json-cache.ts'

/** Options of {@link createCache}. Each has a default. */
export interface CreateCacheOptions {
  /** A client or a Cluster of ioredis, which stays yours. Default: `redisUrl`. */
  redis?: HostRedis | undefined
  /**
   * The URL of a Redis or Valkey server; several, separated by commas, are a Cluster. Default: the values are in the memory of
   * this process only.
   */
  redisUrl?: string | undefined
  /**
   * The prefix of all keys in Redis: caches with the same prefix share their values. 1 to 120 characters without spaces, with one
   * pair of braces or none. Default `cache`.
   */
  redisPrefix?: string | undefined
  /** Receives failures of loads and of Redis at `warn`, and all else at `debug`, as pino does. Default: no log. */
  log?: Logger | undefined
}

/** A cache without an app: see {@link JsonCache}. */
export interface Cache extends JsonCache {
  /** Waits for loads, for a second at most, and closes the connections that the cache has opened. Never rejects. */
  close(): Promise<void>
}

/** With other braces the keys of a prefix would be in several slots of a Cluster. */
const PREFIX = /^(?=.{1,120}$)[^{}\s]*(?:\{[^{}\s]+\}[^{}\s]*)?$/
/** How long callers wait for a load while the cache closes. */
const CLOSE_WAITS_MS = 750
const ignore = () => {}
const NO_LOG: Logger = { debug: ignore, info: ignore, warn: ignore }

/**
 * Creates a cache for programs without the plugin; an app with the plugin has one as `app.popularPosts.cache`.
 *
 * ```ts
 * const cache = await createCache({ redisUrl: 'redis://localhost' })
 * const tags = await cache.getOrSet('tags', loadTags, { ttlSeconds: 600 })
 * ```
 * @throws TypeError when an option is wrong; when `redisUrl` is no such URL; `PP_NO_SUCH_REDIS` when `redis` is no client; `PP_WRONG_REDIS` when the server has no such database, or runs no scripts.
 */
export async function createCache(options: CreateCacheOptions = {}): Promise<Cache> {
  const { redisUrl, redisPrefix: prefix = 'cache', log = NO_LOG } = options
  if (options.redis !== undefined && redisUrl !== undefined)
    throw new TypeError('Expected redis or redisUrl, got both.')
  if (!PREFIX.test(prefix))
    throw new TypeError(
      `Expected redisPrefix to be 1 to 120 characters without spaces, with one pair of braces or none, got ${inspect(prefix)}.`,
    )
  const client = options.redis === undefined ? undefined : findHostRedis({}, options.redis)
  const hasRedis = client !== undefined || redisUrl !== undefined
  const redis = hasRedis ? await openRedis({ client, redisUrl, bootBudgetMs: 500 }, log) : undefined
  const { cache, connect, endWaits, idle, close } = createOwnCache({
    prefix,
    redis,
    backgroundWork: true,
    loadTimeoutSeconds: 30,
    waitTimeoutSeconds: 5,
    log,
    isSecond: false,
  })
  await connect()
  const closer = createCloser(log)
  closer.add('work', 'loads', idle)
  closer.add('connections', 'listeners of the client', async () => close())
  closer.add('connections', 'connections to Redis', async () => redis?.close())
  return {
    ...cache,
    close() {
      setTimeout(endWaits, CLOSE_WAITS_MS).unref()
      return closer.close()
    },
  }
}
