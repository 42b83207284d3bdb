import createError from '@fastify/error'
import type { Kysely } from 'kysely'
import { type TSchema, Type } from 'typebox'
import type { FilterSlugs } from '../db/filters.ts'
import type { Tables } from '../db/ranking.ts'
import { urlProblems } from '../lib/connection-urls.ts'
import type { HostRedis } from '../lib/host-redis.ts'
import type { LoadedPost } from './post-type.ts'
import { createValidator, type SettingsSchema, shown } from './validate.ts'

const InvalidOptions = createError<[string]>(
  'PP_INVALID_OPTIONS',
  'The options of fastify-popular-posts are not usable: %s.',
  500,
)

const DAY_SECONDS = 86_400
const seconds = (byDefault: number, minimum = 0) =>
  Type.Integer({ minimum, maximum: 365 * DAY_SECONDS, default: byDefault })

const schema = Type.Object(
  {
    ttlSeconds: seconds(1800, 1),
    staleSeconds: seconds(3600),
    failSafeSeconds: seconds(DAY_SECONDS),
    defaultLimit: Type.Integer({ minimum: 1, maximum: 1000, default: 10 }),
    maxLimit: Type.Integer({ minimum: 1, maximum: 1000, default: 50 }),
    defaultDays: Type.Integer({ minimum: 0, maximum: 3650, default: 30 }),
    maxDays: Type.Integer({ minimum: 1, maximum: 3650, default: 365 }),
    combineFilters: Type.Boolean({ default: false, expected: 'true or false' }),
    timeZone: Type.String({
      default: 'UTC',
      format: 'time-zone',
      expected: 'the name of an IANA time zone, such as Europe/Berlin',
    }),
    prefix: Type.String({
      default: 'blog:popular',
      pattern: '^[^{}\\s]{1,100}$',
      expected: '1 to 100 characters without spaces and braces',
    }),
    viewDedupSeconds: Type.Integer({ minimum: 1, maximum: DAY_SECONDS, default: 900 }),
    viewFlushSeconds: seconds(5),
    viewsPerMinute: Type.Integer({ minimum: 0, maximum: 1_000_000, default: 120 }),
    maxAgeSeconds: seconds(60),
    staleWhileRevalidateSeconds: seconds(300),
    backgroundWork: Type.Boolean({ default: true, expected: 'true or false' }),
    loadTimeoutSeconds: Type.Integer({ minimum: 1, maximum: 300, default: 30 }),
    routes: Type.Union([Type.Literal(false), Type.String({ pattern: '^(/[^/]+)*$' })], {
      default: '',
      expected: 'false or a prefix such as /api',
    }),
    databaseUrl: Type.Optional(
      Type.String({
        expected: 'a URL such as postgres://user:password@host:5432/name',
        isSecret: true,
      }),
    ),
    databasePassword: Type.Optional(Type.Unknown()),
    redisPassword: Type.Optional(Type.Unknown()),
    redis: Type.Optional(
      Type.Union([Type.String(), Type.Object({})], {
        expected: 'an ioredis client, or the namespace of a registered @fastify/redis',
        isSecret: true,
      }),
    ),
    redisUrl: Type.Optional(
      Type.String({
        expected: 'a URL such as redis://user:password@host:6379, or several with commas between them',
        isSecret: true,
      }),
    ),
    redisCluster: Type.Boolean({ default: false, expected: 'true or false' }),
    adminToken: Type.Optional(
      Type.String({
        pattern: '^[!-~][ -~]{14,}[!-~]$',
        expected: 'at least 16 printable ASCII characters, without white space at the ends',
        isSecret: true,
      }),
    ),
    db: Type.Optional(Type.Object({}, { expected: 'a Kysely instance', isSecret: true })),
    load: Type.Optional(Type.Unknown()),
    loadCategories: Type.Optional(Type.Unknown()),
    loadFilters: Type.Optional(Type.Unknown()),
  } satisfies Record<keyof PopularPostsOptions, TSchema>,
  { additionalProperties: false },
)
const validate = createValidator(schema as SettingsSchema)

/** What each option must be, and its default: also for the environment variables that set it, and for docs/options.md. */
export const optionsSchema = schema

/** The argument of your own `load`: which posts a list has. */
export interface ListQuery {
  /** The order: by views in the window, or by views that fade with a half-life of one day (`trending`). */
  sort: 'views' | 'trending'
  /** The window in days; 0 is all time. */
  days: number
  /** The number of items to load: always `maxLimit`. Shorter lists are the first items of it. */
  limit: number
  /** The slug of the category of all posts; `undefined`: any. */
  category?: string
  /** The slug of the tag of all posts; `undefined`: any. */
  tag?: string
  /** The slug of the author of all posts; `undefined`: any. */
  author?: string
}

/**
 * A Kysely instance with any tables. It names no type of Kysely, because Kysely 0.28 declares its classes twice, for `import`
 * and for `require`.
 */
export interface AnyKysely {
  /** Whether the instance is a transaction. */
  readonly isTransaction: boolean
  /** Returns the executor of queries. */
  getExecutor(): object
}

/** Options of the plugin. Each has a default but the source of posts: one of `db`, `databaseUrl` and `load` is needed. */
export interface PopularPostsOptions {
  /** How long a list is fresh. Default 1800; 900 where freshness matters, 3600 a good balance, 86400 for viral traffic. */
  ttlSeconds?: number | undefined
  /** For how long after that it is still served at once, while one refresh runs. Default 3600. */
  staleSeconds?: number | undefined
  /** For how long after its expiry it is served when loading fails; also Cache-Control stale-if-error. Default 86400. */
  failSafeSeconds?: number | undefined
  /** How many posts a list has. Default 10. */
  defaultLimit?: number | undefined
  /** How many it has at most; more is cut to this. Default 50. */
  maxLimit?: number | undefined
  /** The window in days; 0 is all time. Default 30. */
  defaultDays?: number | undefined
  /** The longest window. Default 365. */
  maxDays?: number | undefined
  /**
   * Whether a list may be filtered by more than one of `category`, `tag` and `author`. Default false: a stranger could ask for as
   * many lists as there are combinations, and each costs a query.
   */
  combineFilters?: boolean | undefined
  /** The IANA time zone whose midnight ends a day of views. Default `UTC`. */
  timeZone?: string | undefined
  /** What the keys of the cache begin with. Default `blog:popular`. */
  prefix?: string
  /** A visitor counts once a post in this time; a day at most. Default 900. */
  viewDedupSeconds?: number | undefined
  /** How often the views that were recorded are counted in the database; 0: only when you call `flush`. Default 5. */
  viewFlushSeconds?: number | undefined
  /** How many views an address may send in a minute over HTTP, to each process; 0: any number. Default 120. */
  viewsPerMinute?: number | undefined
  /** Cache-Control max-age of a list, for browsers and CDNs. Default 60. */
  maxAgeSeconds?: number | undefined
  /** Cache-Control stale-while-revalidate of a list. Default 300. */
  staleWhileRevalidateSeconds?: number | undefined
  /**
   * Whether the process runs background tasks between requests. Default true. `false` for AWS Lambda, which suspends processes:
   * then no task runs after a reply (one request of the fleet refreshes a stale list before its reply), no timer counts views
   * (call `flush`), the process does not listen for changes in the database, and it verifies connections when it resumes.
   */
  backgroundWork?: boolean | undefined
  /** A load that takes longer has failed. Default 30. */
  loadTimeoutSeconds?: number | undefined
  /** Prefix of the routes, such as `/api`; `false` registers none. Default none: `/posts/popular` and `/categories`. */
  routes?: string | false | undefined
  /**
   * The Kysely instance to query. It stays yours: it is not closed with the app. It is asked every 5 seconds what has changed;
   * with a `databaseUrl` that is heard at once.
   */
  db?: AnyKysely | undefined
  /** The PostgreSQL server, where no `db` is given. The pool is ours, and closed with the app. */
  databaseUrl?: string | undefined
  /** Makes the password for each new connection to `databaseUrl`, in place of one in the URL: for tokens that run out. */
  databasePassword?: (() => string) | undefined
  /**
   * Where the lists are shared by all processes: an ioredis client or Cluster, or the namespace of a registered @fastify/redis
   * (`''` for the one without). It stays yours. Without `redis` and `redisUrl`, each process has its own.
   */
  redis?: HostRedis | string | undefined
  /** The Redis or Valkey server, where no `redis` is given; several URLs with commas between them are a Cluster. */
  redisUrl?: string | undefined
  /** Whether a `redisUrl` of one node is a Cluster. Default false. */
  redisCluster?: boolean | undefined
  /** Makes the password for each new connection to `redisUrl`, in place of one in the URL: for tokens that run out. */
  redisPassword?: (() => string) | undefined
  /** Bearer token for `POST /posts/popular/invalidate`; without it that route does not exist. */
  adminToken?: string | undefined
  /** Your own query for posts instead of ours. Items are sent as they are; `exclude` compares their `slug`. */
  load?: ((query: ListQuery) => Promise<readonly LoadedPost[]>) | undefined
  /** Your own query for the categories list. With `load` and without `db`, there is no list without it. */
  loadCategories?: ((query: { days: number }) => Promise<readonly object[]>) | undefined
  /**
   * The slugs that your `load` can filter by: readers can find out which they are, so leave out what is not public. Without it,
   * and without `db`, every filtered list is empty.
   */
  loadFilters?: (() => Promise<FilterSlugs>) | undefined
}

/** Options without a default. */
type Bare = 'load' | 'loadCategories' | 'loadFilters' | 'adminToken' | Connections
type Connections = 'databaseUrl' | 'databasePassword' | 'redis' | 'redisUrl' | 'redisPassword'
type Checked = {
  [Name in keyof Omit<PopularPostsOptions, Bare | 'db'>]-?: Exclude<PopularPostsOptions[Name], undefined>
}

/** The options as the plugin works with them: checked, and filled in with the defaults. */
export interface Settings extends Checked, Pick<PopularPostsOptions, Bare> {
  db?: Kysely<Tables>
}

/**
 * Checks the options and fills in the defaults; what was passed is not changed.
 * @throws `PP_INVALID_OPTIONS` that lists every option that is wrong, what was expected and what came.
 */
export function checkOptions(options: PopularPostsOptions): Settings {
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  const settings = Object.fromEntries(given) as unknown as Settings
  const names = { databaseUrl: 'databaseUrl', redisUrl: 'redisUrl', redisCluster: 'redisCluster' }
  const problems = [...validate(settings), ...urlProblems(settings, names)]
  if (problems.length === 0) problems.push(...contradictions(settings))
  if (problems.length > 0) throw new InvalidOptions(problems.join('; '))
  return settings
}

function contradictions(settings: Settings): string[] {
  const problems: string[] = []
  const { defaultLimit, maxLimit, defaultDays, maxDays, db, databaseUrl, load } = settings
  for (const name of ['load', 'loadCategories', 'loadFilters', 'databasePassword', 'redisPassword'] as const) {
    const value: unknown = settings[name]
    if (value !== undefined && typeof value !== 'function')
      problems.push(`${name}: expected a function, got ${shown(value)}`)
  }
  if (db !== undefined && typeof db.getExecutor !== 'function')
    problems.push('db: expected a Kysely instance, got something else')
  if (db !== undefined && databaseUrl !== undefined) problems.push('databaseUrl: expected none beside db, got both')
  if (settings.redis !== undefined && settings.redisUrl !== undefined)
    problems.push('redisUrl: expected none beside redis, got both')
  if (db === undefined && databaseUrl === undefined && load === undefined) {
    problems.push('db: expected a Kysely instance, or a databaseUrl, or a load function, got none of them')
  }
  if (defaultLimit > maxLimit)
    problems.push(`defaultLimit: expected at most maxLimit (${maxLimit}), got ${defaultLimit}`)
  if (defaultDays > maxDays) problems.push(`defaultDays: expected at most maxDays (${maxDays}), got ${defaultDays}`)
  return problems
}
