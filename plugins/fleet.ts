import { systemClock } from '../cache/clock.ts'
import type { CacheEvent } from '../cache/events.ts'
import { createFailoverStore } from '../cache/failover-store.ts'
import { createMemoryStore } from '../cache/memory-store.ts'
import { channelOf, createRedisStore } from '../cache/redis-store.ts'
import type { Store } from '../cache/store.ts'
import type { HostRedis } from './redis.ts'

/** For how long copies in a process are served without asking Redis; what an invalidation waits for. */
export const NEAR_MAX_STALE_MS = 1_000

/** A command that takes longer is given up, and Redis not asked again for a second, unless the connection says it is back. */
const DEADLINE_MS = 150
const RETRY_AFTER_MS = 1_000

/** Where the lists of this process are. */
export interface Backend {
  store: Store
  near: { maxStaleMs: number } | undefined
  /** What is held in this process, copies aside. */
  size(): { entries: number; bytes: number }
  state(): { kind: 'memory' | 'redis'; isDown: boolean }
  /** Hands the store's messages to the cache. */
  listen(hear: (message: string) => void): void
}

interface BackendOptions {
  prefix: string
  nonce: () => string
  redis: { client: HostRedis; subscriber: HostRedis } | undefined
  observe: (event: CacheEvent) => void
}

/** This process's memory; or Redis, shared with all who use the same prefix, and memory for while that is out of reach. */
export function createBackend({ prefix, nonce, redis, observe }: BackendOptions): Backend {
  const memory = createMemoryStore({ clock: systemClock, nonce })
  if (redis === undefined) {
    return {
      store: memory,
      near: undefined,
      size: memory.size,
      state: () => ({ kind: 'memory', isDown: false }),
      listen() {},
    }
  }
  const { client, subscriber } = redis
  const store = createFailoverStore({
    primary: createRedisStore({ client, prefix, nonce }),
    backup: memory,
    clock: systemClock,
    ...{ deadlineMs: DEADLINE_MS, retryAfterMs: RETRY_AFTER_MS, localMs: NEAR_MAX_STALE_MS, observe },
  })
  client.on('ready', store.heal)
  return {
    store,
    near: { maxStaleMs: NEAR_MAX_STALE_MS },
    size: memory.size,
    state: () => ({ kind: 'redis', isDown: store.isDown() }),
    listen(hear) {
      const channel = channelOf(prefix)
      subscriber.on('message', (from, message) => {
        if (from === channel) hear(String(message))
      })
      // Whatever was said while nobody listened is not needed, but it might have been an invalidation.
      const subscribe = () =>
        subscriber.subscribe(channel).then(
          () => hear('invalidated'),
          () => {},
        )
      subscriber.on('ready', subscribe)
      void subscribe()
    },
  }
}
