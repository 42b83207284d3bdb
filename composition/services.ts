import { PROTOCOL } from '../cache/protocol.ts'
import type { InvalidateMode } from '../cache/store.ts'
import { invalidateOnChange } from '../changes/invalidate-on-change.ts'
import { recordChangeIfPossible } from '../changes/revision.ts'
import { withMigrationHint } from '../db/migration-hint.ts'
import { type Databases, openDatabases } from '../db/open-database.ts'
import { inOwnSchema, type OwnSchema } from '../db/own-schema.ts'
import { createProblemLog, type ProblemLog } from '../db/problem-log.ts'
import { createRowGuard, type RowGuard } from '../db/row-guard.ts'
import { backgroundClock } from '../lib/clock.ts'
import type { HostRedis } from '../lib/host-redis.ts'
import type { ErrorLogger, Logger } from '../lib/logger.ts'
import { openRedis, type RedisConnections } from '../lib/redis.ts'
import { keyRoot } from '../lib/redis-keys.ts'
import { type Backend, createBackend } from '../lists/backend.ts'
import { createLoaders } from '../lists/loaders.ts'
import { createLists, type Lists } from '../lists/popular-posts.ts'
import type { Settings } from '../settings/options.ts'
import { type CacheEvents, createCacheEvents } from '../telemetry/cache-events.ts'
import { createViews, type Views } from '../views/post-views.ts'
import { createCloser } from './closer.ts'
import { createListsChanged } from './lists-changed.ts'
import { createMaintenance, type Maintain } from './maintenance.ts'
import { createOwnCache } from './own-cache.ts'
import { createSchemaFinder } from './own-schema.ts'
import { ownsPrefix } from './owner.ts'
import { createSiteTimeZone } from './time-zone.ts'

/** The services of an app. The host reaches only `lists.popularPosts` and `database.views.postViews`. */
export interface Services {
  /** The cache of lists. */
  lists: Lists
  /** The events of the cache. */
  events: CacheEvents
  /** The store of the cache. */
  backend: Backend
  /** The connections to Redis; `undefined`: lists and views are in the memory of this process. */
  redis: RedisConnections | undefined
  /** The services that need a database; `undefined`: the host has a `load` and no database. */
  database: DatabaseServices | undefined
  /** Ends the waits of readers of lists and of the host's own cache: the app closes. */
  endWaits(): void
  /** Waits for the background tasks of requests. The process may be suspended after that. */
  idle(): Promise<void>
  /** Counts recorded views, and closes all services, within a few seconds: see `createCloser`. Never rejects. */
  close(): Promise<void>
}

/** The services that need a database. */
export interface DatabaseServices {
  /** The counting of views. */
  views: Views
  /** Logs problems of the database. */
  problems: ProblemLog
  /** Runs the background tasks of a server once: for schedules, where processes are suspended or end. */
  maintain: Maintain
}

/**
 * Opens the connections of an app, and creates its services.
 * @param settings the result of `checkOptions`.
 * @param hostRedis the client of the option `redis`.
 * @throws the error of the first service that cannot be created; those before it are closed.
 */
export async function createServices(settings: Settings, log: ErrorLogger, hostRedis?: HostRedis): Promise<Services> {
  const { redisPrefix: prefix, backgroundWork, databaseUrl, databasePassword } = settings
  const { add: onClose, close } = createCloser(log)

  try {
    const { schema, name, ready, start } = createSchemaFinder(settings, () => (databases as Databases).db, log)
    const databases = openDatabasesOf(settings, schema, log)
    onClose('connections', 'connections to PostgreSQL', async () => databases?.close())
    // A process that is suspended between requests would query the database before its first reply.
    if (databases !== undefined && settings.backgroundWork) await start()

    const opened = await openRedisOf(settings, log, hostRedis)
    onClose('connections', 'connections to Redis', async () => opened?.close())
    const redis = await unlessForeign(opened, settings, databases, ready, log)

    const events = createCacheEvents(log)
    const backend = createBackend({ prefix, backgroundWork, redis, observe: events.emit, log })
    onClose('connections', 'listeners of the client', async () => backend.close())
    await backend.connect()

    const { onListsChanged } = settings
    const changed = onListsChanged && createListsChanged({ notify: onListsChanged, events, log })
    onClose('work', 'onListsChanged', async () => changed?.close())

    const guard = createRowGuard(log)
    const whenReady: RowGuard = async (db, query) => {
      await ready()
      return guard(db, query)
    }
    const read = backgroundWork ? whenReady : withMigrationHint(whenReady, log)
    const siteTimeZone = databases && createSiteTimeZone({ db: databases.db, timeZone: settings.timeZone, log })
    const timeZone = siteTimeZone && (() => ready().then(siteTimeZone))
    const views =
      databases && timeZone && createViews({ ...databases, settings, timeZone, read, redis: backend.redis, log })
    onClose('views', 'counting of views', async (onProgress) => views?.close(onProgress))
    onClose('views', 'storing of sums', async () => views?.endSums())

    const countViews = async () => {
      // A load does not wait for a Redis that does not reply.
      if (!backend.state().isDown) await views?.flushBriefly()
    }
    const source = createLoaders(settings, databases?.db, countViews, databases?.listDb, timeZone, read)
    const announce =
      databases && ((mode: InvalidateMode) => ready().then(() => recordChangeIfPossible(databases.db, mode)))
    const own = createOwnCache({ ...settings, prefix: `${keyRoot(prefix)}:own`, redis, log, isSecond: true })
    onClose('connections', "listeners of the client of the app's own cache", async () => own.close())
    const lists = createLists(settings, source, backend, events, own.cache, announce)
    onClose('work', 'loads of lists', lists.idle)
    onClose('work', "loads of the app's own cache", own.idle)
    onClose('connections', 'timers of loads', async () => lists.releaseTimers())

    const endWaits = () => {
      lists.endWaits()
      own.endWaits()
    }
    const idle = async () => {
      await views?.idle()
      await own.idle()
      await lists.idle()
      await changed?.idle()
    }
    if (databases === undefined || views === undefined)
      return { lists, events, backend, redis, database: undefined, endWaits, idle, close }

    const { db } = databases
    const problems = createProblemLog({ db, log, clock: backgroundClock, read })
    onClose('work', 'check of the database', problems.close)

    if (backgroundWork) {
      const changes = invalidateOnChange({
        db,
        databaseUrl,
        password: databasePassword,
        schema: name,
        clock: backgroundClock,
        log,
        invalidate: lists.invalidateForChange,
        onHeard: (mode) => mode === 'hard' && views.verifyPosts(),
        onHardChange: problems.checkSoon,
      })
      onClose('work', 'search for changes', changes.close)
      // Lists are loaded only after this, so that no later change is missed.
      await changes.ready()
    }
    const run = createMaintenance({ prefix, db, lists, views, problems, redis: backend.redis })
    const maintain: Maintain = (request) => ready().then(() => run(request))
    return { lists, events, backend, redis, database: { views, problems, maintain }, endWaits, idle, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Opens the pools of `databaseUrl`, or uses the Kysely instance of the host, which stays open at `close`. */
function openDatabasesOf(settings: Settings, schema: OwnSchema, log: Logger): Databases | undefined {
  const { db, databaseUrl, databasePassword: password, loadTimeoutSeconds, backgroundWork } = settings
  if (db !== undefined) {
    const own = inOwnSchema(db, schema)
    return { db: own, listDb: own, flushDb: own, close: async () => {} }
  }
  if (databaseUrl === undefined) return undefined
  // A process that is suspended between requests handles one request at a time.
  const size = backgroundWork
    ? { max: 6, listMax: PROTOCOL.loads.max, idleMs: 10_000 }
    : { max: 1, listMax: 0, idleMs: 0 }
  return openDatabases({ databaseUrl, password, schema, statementSeconds: loadTimeoutSeconds, ...size }, log)
}

/**
 * Redis, unless its keys belong to another blog: then lists and views stay in the memory of this process.
 */
async function unlessForeign(
  redis: RedisConnections | undefined,
  { redisPrefix: prefix, backgroundWork, databaseUrl }: Settings,
  databases: Databases | undefined,
  ready: () => Promise<void>,
  log: Logger,
): Promise<RedisConnections | undefined> {
  if (redis === undefined || databases === undefined) return redis
  // A process that is suspended between requests starts often, and replies soon after.
  const place = backgroundWork ? undefined : databaseUrl
  if (await ownsPrefix(prefix, redis.client, databases.db, ready, place)) return redis
  const message =
    'another blog uses the same prefix in Redis, so this process does not use Redis: set another redisPrefix, or, if the other ' +
    'database is gone, delete the key "owner"'
  log.warn({ owner: `${keyRoot(prefix)}:owner` }, `popular posts: ${message}`)
  return undefined
}

async function openRedisOf(
  { redisUrl, redisCluster, redisPassword, backgroundWork }: Settings,
  log: Logger,
  hostRedis: HostRedis | undefined,
): Promise<RedisConnections | undefined> {
  if (hostRedis === undefined && redisUrl === undefined) return undefined
  // A process that is suspended may start more slowly: otherwise its first request would find no Redis.
  const bootBudgetMs = backgroundWork ? 500 : 2_000
  return openRedis({ client: hostRedis, redisUrl, isCluster: redisCluster, password: redisPassword, bootBudgetMs }, log)
}
