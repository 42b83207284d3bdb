import { PROTOCOL } from '../cache/protocol.ts'
import { createReadThroughCache } from '../cache/read-through-cache.ts'
import { createReleasableClock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { nonce } from '../lib/nonce.ts'
import type { RedisConnections } from '../lib/redis.ts'
import { createBackend } from '../lists/backend.ts'
import { createJsonCache, type JsonCache } from '../lists/json-cache.ts'
import { createCacheEvents } from '../telemetry/cache-events.ts'

interface OwnCacheOptions {
  prefix: string
  redis: RedisConnections | undefined
  backgroundWork: boolean
  loadTimeoutSeconds: number
  waitTimeoutSeconds: number
  log: Logger
  /** As in `createBackend`. */
  isSecond: boolean
}

/** A cache for values of the host, and what its owner calls. */
interface OwnCache {
  cache: JsonCache
  /** Connects to the node of a Cluster that has the keys. Never rejects. */
  connect(): Promise<void>
  /** Ends the waits of callers: the process closes. */
  endWaits(): void
  /** Waits for background tasks. */
  idle(): Promise<void>
  /** Removes its listener of the client. No timer keeps the process alive any more. */
  close(): void
}

/**
 * Creates a cache for values of the host. It has no copies in processes, so that the invalidation of one key is final as soon
 * as the store confirms it. Loads have no slots: a load may wait for another one of the cache, which could get none.
 */
export function createOwnCache(options: OwnCacheOptions): OwnCache {
  const { prefix, redis, backgroundWork, loadTimeoutSeconds, waitTimeoutSeconds, log, isSecond } = options
  // A host may have thousands of keys: each load is logged at debug.
  const quiet: Logger = {
    debug: (details, message) => log.debug(details, message),
    info: (details, message) => log.debug(details, message),
    warn: (details, message) => log.warn(details, message),
  }
  const clock = createReleasableClock()
  const events = createCacheEvents(quiet)
  const backend = createBackend({ prefix, backgroundWork, redis, observe: events.emit, log, isSecond })
  const cache = createReadThroughCache({
    store: backend.store,
    observe: events.emit,
    clock,
    random: Math.random,
    nonce,
    policy: {
      ...PROTOCOL,
      loads: { max: Number.POSITIVE_INFINITY, maxWaiting: 0, patienceMs: 0 },
      loadTimeoutMs: loadTimeoutSeconds * 1000,
      waitTimeoutMs: waitTimeoutSeconds * 1000,
      // Each call passes its own.
      ttlMs: 0,
      staleMs: 0,
      failSafeMs: 0,
    },
    backgroundWork,
  })
  backend.listen(cache.onStoreMessage)
  return {
    cache: createJsonCache({ cache, prefix, stats: events.counts }),
    connect: backend.connect,
    endWaits: cache.endWaits,
    idle: cache.settle,
    close() {
      backend.close()
      clock.release()
    },
  }
}
