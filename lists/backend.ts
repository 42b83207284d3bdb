import type { CacheEvent } from '../cache/events.ts'
import { createFailoverStore } from '../cache/failover-store.ts'
import { createMemoryStore } from '../cache/memory-store.ts'
import { channelOf, createRedisStore } from '../cache/redis-store.ts'
import type { Store } from '../cache/store.ts'
import { createBreaker } from '../lib/breaker.ts'
import { systemClock } from '../lib/clock.ts'
import { withinDeadline } from '../lib/deadline.ts'
import { messageOf } from '../lib/errors.ts'
import { type HostRedis, whenReady } from '../lib/host-redis.ts'
import { loggedError } from '../lib/logged-error.ts'
import type { Logger } from '../lib/logger.ts'
import { nonce } from '../lib/nonce.ts'
import { dropConnections, type RedisConnections } from '../lib/redis.ts'
import { keyPrefixOf, keyRoot } from '../lib/redis-keys.ts'
import { watchEvictions } from './eviction-watch.ts'

/** Where a process stores lists: in its memory, or in Redis. */
export interface Backend {
  store: Store
  /** How long copies in this process are served; `undefined`: there is no shared store, and no copies. */
  near: { maxStaleMs: number } | undefined
  /** The number of lists in the memory of this process, and their bytes, without copies. */
  size(): { entries: number; bytes: number }
  /** Where lists are stored, and whether Redis is out of reach. */
  state(): { kind: 'memory' | 'redis'; isDown: boolean }
  /** Calls `onMessage` with each message of the store's channel. Call it once. */
  listen(onMessage: (message: string) => void): void
  /**
   * Call when a suspended process resumes. Reads the generation if the connection was idle; drops the connection if no reply
   * comes in 75 ms. Never rejects.
   * @returns the generation, so that it need not be read again; `undefined`: it was not read.
   */
  onResume(): Promise<string | undefined>
  /** Call before the process may be suspended. */
  onSuspend(): void
  /**
   * The client of Redis, and `ask`, which runs a background command, or rejects at once while Redis is out of reach.
   * `undefined`: lists are in memory.
   */
  redis: { client: HostRedis; ask: <T>(work: () => Promise<T>) => Promise<T> } | undefined
  /**
   * Connects to the node of a Cluster that has the keys, so that the first request does not wait for that. Never
   * rejects.
   */
  connect(): Promise<void>
  /** Removes its listener of the client. */
  close(): void
}

/** How long copies in a process are served without a request to Redis. A hard invalidation waits for this time. */
const NEAR_MAX_STALE_MS = 1_000

/**
 * Timeout of a command that a reader waits for. After a timeout Redis is probed a second later, or when it reconnects.
 */
const DEADLINE_MS = 150
/**
 * Timeout of a background command: a busy process, whose readers do not wait for Redis, can still record views in it.
 */
const BACKGROUND_DEADLINE_MS = 500
const RETRY_AFTER_MS = 1_000
/** How long the start waits for the first reply. */
const CONNECT_MS = 500

/** An error of one command, in a reply: its key has another type, or the memory of Redis is full. Other commands work. */
const isOutage = (error: unknown) => !/\b(?:WRONGTYPE|OOM)\b/.test(messageOf(error))

/** After a resume a connection that was idle for `afterMs` is pinged, and dropped without a reply in `patienceMs`. */
const RESUME_CHECK = { afterMs: 1_000, patienceMs: 75 }

interface BackendOptions {
  prefix: string
  backgroundWork: boolean
  redis: Omit<RedisConnections, 'close'> | undefined
  observe: (event: CacheEvent) => void
  log: Pick<Logger, 'warn'>
  /**
   * Whether this process has another backend on the same connections, which reports the state of Redis. Default false.
   */
  isSecond?: boolean
}

const isOfStore = ({ type }: CacheEvent) => type.startsWith('store-')

/**
 * Creates the backend: the memory of this process; or Redis, shared by all processes with the same prefix, with the
 * memory of this process as the fallback.
 */
export function createBackend(options: BackendOptions): Backend {
  const { prefix, backgroundWork, redis, log, isSecond = false } = options
  const observe = (event: CacheEvent) => {
    if (!(isSecond && isOfStore(event))) options.observe(event)
  }
  const memory = createMemoryStore({ clock: systemClock, nonce })
  if (redis === undefined) {
    return {
      store: memory,
      near: undefined,
      size: memory.size,
      state: () => ({ kind: 'memory', isDown: false }),
      listen() {},
      onResume: async () => undefined,
      onSuspend() {},
      redis: undefined,
      connect: async () => {},
      close() {},
    }
  }
  const { client, subscriber, causeOf } = redis
  const primary = createRedisStore({ client, prefix, nonce })
  let suspendedAtMs = Date.now()
  let hasBeenReady = client.status === 'ready'
  const store = createFailoverStore({
    primary,
    backgroundWork,
    backup: memory,
    clock: systemClock,
    deadlineMs: DEADLINE_MS,
    retryAfterMs: RETRY_AFTER_MS,
    localMs: NEAR_MAX_STALE_MS,
    isOutage,
    observe,
    causeOf,
  })
  const background = createBreaker({
    deadlineMs: backgroundWork ? BACKGROUND_DEADLINE_MS : DEADLINE_MS,
    clock: systemClock,
    retryAfterMs: RETRY_AFTER_MS,
    backgroundWork,
    probe: primary.generation,
    isOutage,
    causeOf,
    // The breaker of the store reports outages.
    onReply() {},
    onOpen() {},
    onClose() {},
  })
  let endEvictionWatch = () => {}
  const endReadyWatch = whenReady(client, () => {
    store.probeNow()
    background.probeNow()
    // After a failover the address leads to the new master, where invalidations are published.
    if (hasBeenReady && subscriber.status === 'ready') subscriber.disconnect(true)
    hasBeenReady = true
  })
  let isWarned = false
  /** Logs once that the user has no right to the channel. Messages only shorten waits. */
  function onRefused(error: unknown): void {
    const err = loggedError(error)
    if (err.code !== 'NOPERM' || isWarned || isSecond) return
    isWarned = true
    log.warn({ err }, 'popular posts: Redis refuses SUBSCRIBE to this user, the process asks Redis for changes instead')
  }

  return {
    store,
    near: { maxStaleMs: NEAR_MAX_STALE_MS },
    size: memory.size,
    state: () => ({ kind: 'redis', isDown: store.isDown() }),
    async onResume() {
      if (client.status !== 'ready' || Date.now() - suspendedAtMs < RESUME_CHECK.afterMs) return undefined
      return withinDeadline(systemClock, RESUME_CHECK.patienceMs, primary.generation()).then(
        (generation) => generation ?? '',
        () => {
          dropConnections(client)
          return undefined
        },
      )
    },
    onSuspend() {
      suspendedAtMs = Date.now()
    },
    listen(onMessage) {
      // A suspended process reads no messages, and Redis would have to buffer them.
      if (!backgroundWork) return
      const channel = channelOf(client, prefix)
      const committed = `committed ${keyPrefixOf(client)}`
      subscriber.on('message', (from, text) => {
        // Another backend may use the same connection.
        if (String(from) !== channel) return
        const message = String(text)
        onMessage(message.startsWith(committed) ? `committed ${message.slice(committed.length)}` : message)
      })
      // Messages are lost while the connection is down. One of them may have been an invalidation.
      const subscribe = () => subscriber.subscribe(channel).then(() => onMessage('invalidated'), onRefused)
      subscriber.on('ready', subscribe)
      void subscribe()
      if (isSecond) return
      const { runIfClosed: ask } = background
      endEvictionWatch = watchEvictions({ client, key: `${keyRoot(prefix)}:gen`, ask, clock: systemClock, observe })
    },
    redis: { client, ask: background.runIfClosed },
    close() {
      endReadyWatch()
      endEvictionWatch()
    },
    async connect() {
      if (client.status !== 'ready') return
      await withinDeadline(systemClock, CONNECT_MS, primary.generation()).catch(() => undefined)
    },
  }
}
