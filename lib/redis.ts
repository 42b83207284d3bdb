import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, Redis } from 'ioredis'
import { parseRedisUrl } from './connection-urls.ts'
import type { HostRedis } from './host-redis.ts'
import { loggedError } from './logged-error.ts'
import type { Logger } from './logger.ts'

export interface RedisOptions {
  /** A client of the host, which stays the host's. */
  client?: HostRedis | undefined
  /** `redis://` or `rediss://`; several, separated by commas, for a Cluster. */
  redisUrl?: string | undefined
  /** Whether `redisUrl` names a Cluster, although it is one node only. */
  isCluster?: boolean | undefined
  /** Makes the password for each new connection. */
  password?: (() => string) | undefined
  /** How long the boot waits for Redis; after that the app starts without, and takes it up when it comes. */
  bootBudgetMs: number
}

/** The connection that lists and views are shared over, and the one that listens. */
export interface RedisConnections {
  client: HostRedis
  subscriber: HostRedis
  /** Closes the connections that are not the host's. */
  close(): Promise<void>
}

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
function reported(password: () => string, log: Logger): () => string {
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

/** Opens the connections to the Redis of `redisUrl`, or uses the client of the host and opens only the one that listens. */
export async function openRedis(options: RedisOptions, log: Logger): Promise<RedisConnections> {
  const { redisUrl = '', isCluster, bootBudgetMs } = options
  const password = options.password && reported(options.password, log)
  const own = options.client === undefined ? createRedisClient(redisUrl, isCluster, password) : undefined
  const client = options.client ?? (own as HostRedis)
  const subscriber = createSubscriber(client)
  // A duplicate has the password of now.
  if (password !== undefined) renewPassword(subscriber, password)
  const ours = own === undefined ? [subscriber] : [own, subscriber]
  for (const connection of ours) {
    connection.on('error', (error: unknown) => log.debug({ err: loggedError(error) }, 'popular posts: Redis'))
  }
  if (own !== undefined)
    await Promise.race([own.connect().catch(() => {}), sleep(bootBudgetMs, undefined, { ref: false })])
  return { client, subscriber, close: async () => void (await Promise.all(ours.map(end))) }
}

/**
 * A connection that listens. ioredis subscribes again by itself after a reconnect, but nobody holds that promise: when it
 * fails (Redis freezes in this moment, or does not allow it any more), the rejection ends the process. So we do it on
 * `ready`, where it is caught. Its Cluster catches its own.
 */
function createSubscriber(client: HostRedis): HostRedis {
  return client.isCluster ? client.duplicate() : client.duplicate({ autoResubscribe: false })
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
