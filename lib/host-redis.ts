import createError from '@fastify/error'
import type { RedisClient } from './redis-scripts-runner.ts'

/** What we need of a host's client: ioredis' `Redis` and `Cluster` have it. */
export interface HostRedis extends RedisClient {
  readonly status: string
  readonly isCluster: boolean
  duplicate(options?: object): HostRedis
  subscribe(channel: string): Promise<unknown>
  on(event: string, listener: (...args: unknown[]) => void): unknown
  quit(): Promise<unknown>
  disconnect(): void
  /** Of a single node. */
  readonly stream?: { destroy(): unknown } | undefined
  /** Of a Cluster. */
  nodes?(): HostRedis[]
}

const NoSuchRedis = createError<[string]>(
  'PP_NO_SUCH_REDIS',
  'Expected redis to be a client, or a namespace of @fastify/redis registered before this plugin, got "%s".',
  500,
)

/**
 * The client that the option `redis` names.
 * @param app what @fastify/redis has decorated.
 * @param redis a client, or the namespace of a registered @fastify/redis (`''`: the one without).
 * @throws `PP_NO_SUCH_REDIS`.
 */
export function findHostRedis(app: object, redis: HostRedis | string): HostRedis {
  const registered = (app as { redis?: Record<string, unknown> }).redis
  const client = typeof redis === 'object' ? redis : redis === '' ? registered : registered?.[redis]
  if (!isClient(client)) throw new NoSuchRedis(typeof redis === 'string' ? redis : 'something else')
  return client
}

/** With namespaces only, `app.redis` is an object of clients; and a client has properties that are none. */
function isClient(value: unknown): value is HostRedis {
  return typeof value === 'object' && value !== null && 'callBuffer' in value && 'duplicate' in value
}
