import type { CacheEvent } from '../cache/events.ts'
import { createFailoverStore } from '../cache/failover-store.ts'
import { createMemoryStore } from '../cache/memory-store.ts'
import { channelOf, createRedisStore } from '../cache/redis-store.ts'
import type { Store } from '../cache/store.ts'
import { createBreaker } from '../lib/breaker.ts'
import { systemClock } from '../lib/clock.ts'
import { withinDeadline } from '../lib/deadline.ts'
import type { HostRedis } from '../lib/host-redis.ts'
import { nonce } from '../lib/nonce.ts'
import { dropConnections } from '../lib/redis.ts'

/** The place where the lists and the views of this process are kept. */
export interface Backend {
  store: Store
  near: { maxStaleMs: number } | undefined
  /** What is held in this process, copies aside. */
  size(): { entries: number; bytes: number }
  state(): { kind: 'memory' | 'redis'; isDown: boolean }
  /** Hands the store's messages to the cache. */
  listen(hear: (message: string) => void): void
  /** The process has been frozen since `rest`: a connection that broke meanwhile, and does not know, is dropped. Never rejects. */
  thaw(): Promise<void>
  /** The process may be frozen from here on. */
  rest(): void
  /** Redis itself, for what else is kept there, and the way to ask it for what no page waits for; none: there is only this process. */
  redis: { client: HostRedis; ask: <T>(work: () => Promise<T>) => Promise<T> } | undefined
  /** Connects to the node of a Cluster that holds the keys, which clients do at the first command: no request waits for that. */
  warmUp(): Promise<void>
}

/** For how long copies in a process are served without asking Redis; what an invalidation waits for. */
export const NEAR_MAX_STALE_MS = 1_000

/** A command that takes longer is given up, and Redis not asked again for a second, unless the connection says it is back. */
const DEADLINE_MS = 150
/** The same for what no page waits for: a busy process that cannot answer in time from Redis can still record views there. */
const BACKGROUND_DEADLINE_MS = 500
const RETRY_AFTER_MS = 1_000
/** For how long the boot waits for the first answer. */
const WARM_UP_MS = 500

/** A connection that was not used for so long is asked for a sign of life first, and dropped without one. */
const THAW = { afterMs: 1_000, patienceMs: 75 }

interface BackendOptions {
  prefix: string
  backgroundWork: boolean
  redis: { client: HostRedis; subscriber: HostRedis } | undefined
  observe: (event: CacheEvent) => void
}

/** This process's memory; or Redis, shared with all who use the same prefix, and memory for while that is out of reach. */
export function createBackend({ prefix, backgroundWork, redis, observe }: BackendOptions): Backend {
  const memory = createMemoryStore({ clock: systemClock, nonce })
  if (redis === undefined) {
    return {
      store: memory,
      near: undefined,
      size: memory.size,
      state: () => ({ kind: 'memory', isDown: false }),
      listen() {},
      thaw: async () => {},
      rest() {},
      redis: undefined,
      warmUp: async () => {},
    }
  }
  const { client, subscriber } = redis
  const primary = createRedisStore({ client, prefix, nonce })
  let restsSinceMs = Date.now()
  const store = createFailoverStore({
    primary,
    probesBehind: backgroundWork,
    backup: memory,
    clock: systemClock,
    deadlineMs: DEADLINE_MS,
    retryAfterMs: RETRY_AFTER_MS,
    localMs: NEAR_MAX_STALE_MS,
    observe,
  })
  const background = createBreaker({
    deadlineMs: backgroundWork ? BACKGROUND_DEADLINE_MS : DEADLINE_MS,
    clock: systemClock,
    retryAfterMs: RETRY_AFTER_MS,
    probesBehind: backgroundWork,
    probe: primary.generation,
    // The store says the same, and is what the lists depend on.
    onAnswer() {},
    onOpen() {},
    onClose() {},
  })
  client.on('ready', () => {
    store.heal()
    background.heal()
  })
  return {
    store,
    near: { maxStaleMs: NEAR_MAX_STALE_MS },
    size: memory.size,
    state: () => ({ kind: 'redis', isDown: store.isDown() }),
    async thaw() {
      if (client.status !== 'ready' || Date.now() - restsSinceMs < THAW.afterMs) return
      await withinDeadline(systemClock, THAW.patienceMs, primary.generation()).catch(() => dropConnections(client))
    },
    rest() {
      restsSinceMs = Date.now()
    },
    listen(hear) {
      // A frozen process hears nothing, and the server would have to keep it all.
      if (!backgroundWork) return
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
    redis: { client, ask: background.ask },
    async warmUp() {
      if (client.status !== 'ready') return
      await withinDeadline(systemClock, WARM_UP_MS, primary.generation()).catch(() => undefined)
    },
  }
}
