import createError from '@fastify/error'
import type { RedisClient } from './redis-scripts-runner.ts'

/** The part of a Redis client that this package uses. `Redis` and `Cluster` of ioredis have it. */
export interface HostRedis extends RedisClient {
  /** The state of the connection; `ready`: the client sends commands. */
  readonly status: string
  /** Whether the client is connected to a Cluster. */
  readonly isCluster: boolean
  /** Makes a client with the same options, for a connection of its own. */
  duplicate(options?: object): HostRedis
  /** Subscribes to a channel. */
  subscribe(channel: string): Promise<unknown>
  /** Adds a listener of an event. */
  on(event: string, listener: (...args: unknown[]) => void): unknown
  /** Removes a listener of an event. */
  off(event: string, listener: (...args: unknown[]) => void): unknown
  /** Connects; of a client with `lazyConnect`. */
  connect(): Promise<void>
  /** Closes the connection after the pending replies. */
  quit(): Promise<unknown>
  /** Closes the connection at once; with `true` the client connects again. */
  disconnect(reconnect?: boolean): void
  /** The socket; only of a client of a single node. */
  readonly stream?:
    | {
        /** Closes the socket. */
        destroy(): unknown
        /** Adds a listener of an event. */
        on(event: 'error', listener: () => void): unknown
      }
    | undefined
  /** The clients of the nodes; only of a Cluster. */
  nodes?(): HostRedis[]
}

const NoSuchRedis = createError<[string]>(
  'PP_NO_SUCH_REDIS',
  'Expected redis to be a client, or a namespace of @fastify/redis registered before this plugin, got "%s".',
  500,
)

/**
 * Returns the client that the option `redis` names.
 * @param app the app that @fastify/redis has decorated.
 * @param redis a client, or the namespace of a registered @fastify/redis (`''`: the one without a namespace).
 * @throws `PP_NO_SUCH_REDIS` (500) when there is no such client.
 */
export function findHostRedis(app: object, redis: HostRedis | string): HostRedis {
  const registered = (app as { redis?: Record<string, unknown> }).redis
  const client = typeof redis === 'object' ? redis : redis === '' ? registered : registered?.[redis]
  if (!isClient(client)) throw new NoSuchRedis(typeof redis === 'string' ? redis : 'something else')
  return client
}

/** With namespaces, `app.redis` is an object of clients. A client has properties that are not clients. */
function isClient(value: unknown): value is HostRedis {
  return typeof value === 'object' && value !== null && 'callBuffer' in value && 'duplicate' in value
}

interface ReadyListener {
  callbacks: Set<() => void>
  listener: () => void
}

const readyListeners = new WeakMap<HostRedis, ReadyListener>()

/**
 * Calls `onReady` each time the client has connected. All callers share one listener of the client: many apps may use one
 * client of a host, and Node.js warns of a leak at the eleventh listener.
 * @returns a function that ends the calls. After the last one, the client has no listener of this function.
 */
export function whenReady(client: HostRedis, onReady: () => void): () => void {
  const { callbacks, listener } = readyListeners.get(client) ?? addReadyListener(client)
  // A function of its own: a caller may pass the same one twice.
  const callback = () => onReady()
  callbacks.add(callback)
  return () => {
    if (!callbacks.delete(callback) || callbacks.size > 0) return
    client.off('ready', listener)
    readyListeners.delete(client)
  }
}

function addReadyListener(client: HostRedis): ReadyListener {
  const callbacks = new Set<() => void>()
  const added = {
    callbacks,
    listener() {
      for (const callback of [...callbacks]) callback()
    },
  }
  client.on('ready', added.listener)
  readyListeners.set(client, added)
  return added
}
