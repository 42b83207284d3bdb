import { isIP } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, Redis } from 'ioredis'
import { createConnectionErrors } from './connection-errors.ts'
import { parseRedisUrl } from './connection-urls.ts'
import { type HostRedis, whenReady } from './host-redis.ts'
import { loggedError } from './logged-error.ts'
import type { Logger } from './logger.ts'
import { createRunner, defineScript } from './redis-scripts-runner.ts'
import { isWrongRedis } from './wrong-redis.ts'

/** How to reach Redis: a client of the host, or a URL. */
export interface RedisOptions {
  /** A client of the host. The host closes it. */
  client?: HostRedis | undefined
  /** `redis://` or `rediss://`; several URLs with commas between them for a Cluster. */
  redisUrl?: string | undefined
  /** Whether `redisUrl`, which names one node, belongs to a Cluster. */
  isCluster?: boolean | undefined
  /** Returns the password for each new connection. */
  password?: (() => string) | undefined
  /**
   * How long the start waits for Redis (ms). After that the app starts without Redis, and uses it as soon as it
   * connects.
   */
  bootBudgetMs: number
}

/** The connection for commands, and the connection that subscribes to messages. */
export interface RedisConnections {
  client: HostRedis
  subscriber: HostRedis
  /** Returns the error of a connection that has led to an error of a command: see `ConnectionErrors`. */
  causeOf(error: unknown): unknown
  /** Closes the connections, except the host's. Never rejects. */
  close(): Promise<void>
}

/*
 * With these timeouts a connection that broke while the process was suspended is replaced: about 10 ms after a reset,
 * half a second after it became half open. With the defaults of ioredis a half-open connection hangs for ever. Half a
 * second is the minimum: a burst of requests may keep the event loop busy that long, and ioredis would drop a
 * connection whose reply is in the socket.
 */
const TIMEOUTS = {
  lazyConnect: true,
  connectTimeout: 500,
  socketTimeout: 500,
  commandTimeout: 500,
  maxRetriesPerRequest: 1,
  enableReadyCheck: false,
} as const
const PROBE = defineScript('return 1')
const retryDelayMs = (attempt: number) => (attempt === 1 ? 1 : Math.min(25 * 2 ** attempt, 1000))

/**
 * Creates a client for `redisUrl`. It connects at `connect()`, or with its first command.
 * @param isCluster whether a single URL is a node of a Cluster. Default false.
 * @param password returns the password for each new connection. Default: the password of the URL.
 * @throws WrongUrl
 */
export function createRedisClient(urls: string, isCluster = false, password?: () => string): Redis | Cluster {
  const client = createClient(urls, isCluster)
  if (password !== undefined) renewPassword(client, password)
  return client
}

/** ioredis reads the password from its options at each connect. It has no other way to pass a new password. */
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
    ...TIMEOUTS,
    retryStrategy: retryDelayMs,
    ...(username === '' ? {} : { username }),
    ...(password === '' ? {} : { password }),
    // TLS has no server names that are addresses: Node.js compares the certificate with the address of the connection.
    ...(isTls ? { tls: isIP(first.host) === 0 ? { servername: first.host } : {} } : {}),
  }
  if (!address.isCluster) return new Redis({ ...options, ...first, db })
  return new Cluster(nodes, {
    lazyConnect: true,
    enableReadyCheck: false,
    redisOptions: options,
    // Certificates contain host names, not the addresses that they resolve to.
    dnsLookup: (address, callback) => callback(null, address),
    clusterRetryStrategy: retryDelayMs,
    slotsRefreshTimeout: 500,
  })
}

/**
 * Returns a password function that logs errors and never throws. ioredis calls it while it connects, and never connects
 * again after an exception there. Without a password Redis refuses the connection, and the next connect calls the
 * function again.
 */
function neverThrowing(password: () => string, log: Logger): () => string {
  let isFailing = false
  return () => {
    try {
      const current = password()
      isFailing = false
      return current
    } catch (error) {
      if (!isFailing) log.warn({ err: loggedError(error) }, 'popular posts: redisPassword failed')
      isFailing = true
      return ''
    }
  }
}

/**
 * Opens the connections to the Redis of `redisUrl`; with a client of the host, only the connection that subscribes.
 * Waits for Redis for `bootBudgetMs`, and does not fail without it.
 * @throws WrongUrl; `PP_WRONG_REDIS` if the server has no such database, or runs no scripts.
 */
export async function openRedis(options: RedisOptions, log: Logger): Promise<RedisConnections> {
  const { redisUrl = '', isCluster, bootBudgetMs } = options
  const password = options.password && neverThrowing(options.password, log)
  const own = options.client === undefined ? createRedisClient(redisUrl, isCluster, password) : undefined
  const client = options.client ?? (own as HostRedis)
  const subscriber = createSubscriber(client)
  // A duplicate has a copy of the current password, not the function.
  if (password !== undefined) renewPassword(subscriber, password)
  const opened = own === undefined ? [subscriber] : [client, subscriber]
  const errors = createConnectionErrors()
  for (const connection of opened) {
    connection.on('error', (error: unknown) => {
      errors.add(error)
      // ioredis handles the first error of a socket only. TLS may emit a second one, which would end the process.
      connection.stream?.on('error', () => {})
      log.debug({ err: loggedError(error) }, 'popular posts: Redis')
    })
    connection.on('node error', errors.add)
    connection.on('ready', errors.clear)
  }
  const close = async () => void (await Promise.all(opened.map(end)))
  try {
    await expectRightServer(client, bootBudgetMs)
  } catch (error) {
    await close()
    throw error
  }
  return { client, subscriber, causeOf: errors.causeOf, close }
}

/**
 * Connects the client, and runs a script, within `budgetMs`. Any failure but that of a wrong server is ignored here: the
 * next command finds it.
 * @throws `PP_WRONG_REDIS`
 */
async function expectRightServer(client: HostRedis, budgetMs: number): Promise<void> {
  let stop = () => {}
  async function probe(): Promise<void> {
    if (client.status === 'wait') await client.connect().catch(() => {})
    else if (client.status !== 'ready')
      await new Promise<void>((resolve) => {
        stop = whenReady(client, resolve)
      })
    if (client.status !== 'ready') return
    await createRunner(client)(PROBE, []).catch((error: unknown) => {
      if (isWrongRedis(error)) throw error
    })
  }
  try {
    await Promise.race([probe(), sleep(budgetMs, undefined, { ref: false })])
  } finally {
    stop()
  }
}

/**
 * Creates the connection that subscribes. After a reconnect a client of ioredis subscribes again by itself, without a
 * handler for the rejection: if Redis hangs at that moment, or refuses the command, the rejection ends the process. So
 * that is switched off, and the subscriber subscribes at `ready`, with a handler. A Cluster of ioredis handles the
 * rejection.
 */
function createSubscriber(client: HostRedis): HostRedis {
  return client.isCluster ? client.duplicate() : client.duplicate({ autoResubscribe: false })
}

/** Drops the connections of a client. The next commands use new connections. */
export function dropConnections(client: HostRedis): void {
  // Not `disconnect`: it waits until the other side closes.
  for (const node of client.nodes?.() ?? [client]) node.stream?.destroy()
}

/** How long a server may take to reply to `QUIT` (ms). */
const QUIT_MS = 500

/** Ends a connection, within half a second. `quit` is for a connection that is up: on another one it would wait for ever. */
async function end(connection: HostRedis): Promise<void> {
  if (connection.status === 'ready') {
    const quit = connection.quit().then(
      () => true,
      () => false,
    )
    // A suspended server does not reply, and the options of a host's client may have no timeout.
    if (await Promise.race([quit, sleep(QUIT_MS, false, { ref: false })])) return
  }
  dropConnections(connection)
  connection.disconnect()
}
