import { setTimeout as sleep } from 'node:timers/promises'
import createError from '@fastify/error'
import type { FastifyBaseLogger, FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { Cluster, Redis } from 'ioredis'
import { parseRedisUrl } from './connection-urls.ts'
import type { HostRedis } from './host-redis.ts'
import { loggedError } from './logged-error.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The connection that the lists are shared over, and one that listens. */
    popularPostsRedis: { client: HostRedis; subscriber: HostRedis }
  }
}

export interface RedisPluginOptions {
  /** A client, or the namespace of a registered @fastify/redis (`''`: the one without). It stays the host's. */
  redis?: HostRedis | string | undefined
  /** `redis://` or `rediss://`; several, separated by commas, for a Cluster. */
  redisUrl?: string | undefined
  /** Whether `redisUrl` names a Cluster, although it is one node only. */
  isCluster?: boolean | undefined
  /** Makes the password for each new connection. */
  password?: (() => string) | undefined
  /** How long the boot waits for Redis; after that the app starts without, and takes it up when it comes. Default 500. */
  bootBudgetMs?: number
}

const NoSuchRedis = createError<[string]>(
  'PP_NO_SUCH_REDIS',
  'Expected redis to be a client, or a namespace of @fastify/redis registered before this plugin, got "%s".',
  500,
)

/*
 * With these a connection that broke while the process was frozen heals: about 10 ms after a reset, in half a second when
 * it is half open. With ioredis' defaults a half-open one hangs for ever. Not less than half a second: the event loop may be
 * busy for so long with a burst of requests, and ioredis would drop a connection whose answer is waiting to be read.
 */
const HEALING = {
  lazyConnect: true,
  connectTimeout: 500,
  socketTimeout: 500,
  commandTimeout: 500,
  maxRetriesPerRequest: 1,
  enableReadyCheck: false,
} as const
const retryDelayMs = (attempt: number) => (attempt === 1 ? 1 : Math.min(25 * 2 ** attempt, 1000))

/** Makes a client for `redisUrl`. It does not connect before it is told to. */
export function createRedisClient(urls: string, isCluster = false, password?: () => string): Redis | Cluster {
  const client = createClient(urls, isCluster)
  if (password !== undefined) renewPassword(client, password)
  return client
}

/** ioredis reads the password from its options whenever it connects, and knows no other way to hand it a new one. */
function renewPassword(client: HostRedis, password: () => string): void {
  const options =
    client instanceof Cluster
      ? (client as unknown as { connectionPool: { redisOptions: object } }).connectionPool.redisOptions
      : (client as unknown as { options: object }).options
  Object.defineProperty(options, 'password', { get: password, enumerable: true, configurable: true })
}

function createClient(urls: string, isCluster: boolean): Redis | Cluster {
  const { nodes, username, password, isTls, db, ...address } = parseRedisUrl(urls, isCluster)
  const [first] = nodes
  const options = {
    ...HEALING,
    retryStrategy: retryDelayMs,
    ...(username === '' ? {} : { username }),
    ...(password === '' ? {} : { password }),
    ...(isTls ? { tls: { servername: first.host } } : {}),
  }
  if (!address.isCluster) return new Redis({ ...options, ...first, db })
  return new Cluster(nodes, {
    lazyConnect: true,
    enableReadyCheck: false,
    redisOptions: options,
    // Certificates name hosts, not the addresses that they resolve to.
    dnsLookup: (address, callback) => callback(null, address),
    clusterRetryStrategy: retryDelayMs,
    slotsRefreshTimeout: 500,
  })
}

/**
 * A function that makes passwords and never throws. ioredis calls it while it connects, and never connects again after an
 * exception there. Without a password Redis refuses the connection, and the next one asks for a password again.
 */
function reported(password: () => string, log: FastifyBaseLogger): () => string {
  let isFailing = false
  return () => {
    try {
      const made = password()
      isFailing = false
      return made
    } catch (error) {
      if (!isFailing) log.warn({ err: loggedError(error) }, 'popular posts: redisPassword failed')
      isFailing = true
      return ''
    }
  }
}

const redis: FastifyPluginAsync<RedisPluginOptions> = async (app, { redis, redisUrl, isCluster, ...settings }) => {
  const { bootBudgetMs = 500 } = settings
  const password = settings.password && reported(settings.password, app.log)
  const own = redisUrl === undefined ? undefined : createRedisClient(redisUrl, isCluster, password)
  const client: HostRedis = own ?? hostClient(app, redis)
  const subscriber = createSubscriber(client)
  // A duplicate has the password of now.
  if (password !== undefined) renewPassword(subscriber, password)
  const ours = own === undefined ? [subscriber] : [own, subscriber]
  for (const connection of ours) {
    connection.on('error', (error: unknown) => app.log.debug({ err: loggedError(error) }, 'popular posts: Redis'))
  }
  app.decorate('popularPostsRedis', { client, subscriber })
  app.addHook('onClose', async () => {
    await Promise.all(ours.map(end))
  })
  if (own !== undefined)
    await Promise.race([own.connect().catch(() => {}), sleep(bootBudgetMs, undefined, { ref: false })])
}

/**
 * A connection that listens. ioredis subscribes again by itself after a reconnect, but nobody holds that promise: when it
 * fails (Redis freezes in this moment, or does not allow it any more), the rejection ends the process. So we do it on
 * `ready`, where it is caught. Its Cluster catches its own.
 */
function createSubscriber(client: HostRedis): HostRedis {
  return client.isCluster ? client.duplicate() : client.duplicate({ autoResubscribe: false })
}

function hostClient(app: FastifyInstance, redis: HostRedis | string | undefined): HostRedis {
  const registered = (app as { redis?: Record<string, unknown> }).redis
  const client =
    typeof redis === 'object' ? redis : redis === '' || redis === undefined ? registered : registered?.[redis]
  if (!isClient(client)) throw new NoSuchRedis(typeof redis === 'string' ? redis : 'something else')
  return client
}

/** With namespaces only, `app.redis` is an object of clients; and a client has properties that are none. */
function isClient(value: unknown): value is HostRedis {
  return typeof value === 'object' && value !== null && 'callBuffer' in value && 'duplicate' in value
}

/** Drops the connections: what is asked next is asked on new ones. */
export function dropConnections(client: HostRedis): void {
  // Not `disconnect`: it waits for the other side to say goodbye.
  for (const node of client.nodes?.() ?? [client]) node.stream?.destroy()
}

/** A connection that is not up cannot say goodbye, and would wait for it for ever. */
async function end(connection: HostRedis): Promise<void> {
  if (connection.status === 'ready') await connection.quit().catch(() => connection.disconnect())
  else connection.disconnect()
}

export default fp(redis, { name: 'popular-posts-redis', fastify: '5.x' })
