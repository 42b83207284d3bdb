import createError from '@fastify/error'
import type { RedisClient } from './redis-scripts-runner.ts'

/** The members of a host's Redis client that this package uses. `Redis` and `Cluster` of ioredis have them. */
export interface HostRedis extends RedisClient {
  readonly status: string
  readonly isCluster: boolean
  duplicate(options?: object): HostRedis
  subscribe(channel: string): Promise<unknown>
  on(event: string, listener: (...args: unknown[]) => void): unknown
  quit(): Promise<unknown>
  disconnect(): void
  /** The socket of a single node. */
  readonly stream?: { destroy(): unknown } | undefined
  /** The clients of the nodes of a Cluster. */
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
