import createError from '@fastify/error'
import type { Kysely } from 'kysely'
import { type TSchema, Type } from 'typebox'
import type { FilterSlugs } from '../db/filters.ts'
import type { Tables } from '../db/ranking.ts'
import { urlProblems } from '../lib/connection-urls.ts'
import type { HostRedis } from '../lib/host-redis.ts'
import { REQUEST_RULE } from '../lib/request-rules.ts'
import { databaseProblem } from './host-database.ts'
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
      expected: 'the name of an IANA time zone, such as Europe/Berlin, or UTC',
    }),
    prefix: Type.String({
      default: 'blog:popular',
      pattern: '^(?=.{1,100}$)(?:[^{}\\s]+|[^{}\\s]*\\{[^{}\\s]+\\})$',
      expected: '1 to 100 characters without spaces, with one pair of braces at the end or none',
    }),
    version: Type.String({
      default: '',
      pattern: '^[\\w.-]{0,50}$',
      expected: 'up to 50 letters, digits, _, - and dots',
    }),
    viewDedupSeconds: Type.Integer({ minimum: 1, maximum: DAY_SECONDS, default: 900 }),
    viewFlushSeconds: Type.Integer({ minimum: 0, maximum: DAY_SECONDS, default: 5 }),
    viewsPerMinute: Type.Integer({ minimum: 0, maximum: 1_000_000, default: 120 }),
    readersPerAddress: Type.Integer({ minimum: 0, maximum: 1_000_000, default: 20 }),
    ignore: Type.Array(Type.String({ format: 'request-rule' }), { default: [], expected: `a list of ${REQUEST_RULE}` }),
    viewOrigins: Type.Array(Type.String({ pattern: '^https?://[^\\s,/]+$' }), {
      default: [],
      expected: 'a list of origins such as https://blog.example',
    }),
    maxAgeSeconds: seconds(60),
    staleWhileRevalidateSeconds: seconds(300),
    backgroundWork: Type.Boolean({ default: true, expected: 'true or false' }),
    loadTimeoutSeconds: Type.Integer({ minimum: 1, maximum: 300, default: 30 }),
    waitTimeoutSeconds: Type.Integer({ minimum: 1, maximum: 300, default: 5 }),
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
    schema: Type.Optional(
      Type.String({
        format: 'schema',
        expected: 'the name of a schema, as PostgreSQL lists it: up to 63 bytes, without quotes around it, not pg_…',
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
  /** The number of items to load: `maxLimit`, or 50 more for `exclude`. Shorter lists are the first items of it. */
  limit: number
  /** The slug of the category of all posts; `undefined`: any. It is one of `loadFilters`, as those of the other filters. */
  category?: string
  /** The slug of the tag of all posts; `undefined`: any. */
  tag?: string
  /** The slug of the author of all posts; `undefined`: any. */
  author?: string
  /** The language of all posts, as a BCP 47 tag in lower case, such as `pt-br`; `en` is for `en-gb`, too. `undefined`: any. */
  language?: string
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

/** Options of the plugin. Each has a default, except the source of posts: one of `db`, `databaseUrl` and `load` is required. */
export interface PopularPostsOptions {
  /**
   * The seconds for which a list is fresh. Default 1800. Use 900 where freshness matters, 3600 for a good balance, 86400 for viral
   * traffic.
   */
  ttlSeconds?: number | undefined
  /** The seconds after that in which a stale list is still served at once, while one refresh runs. Default 3600. */
  staleSeconds?: number | undefined
  /**
   * The seconds after its expiry in which a list is served if loading fails; also the `stale-if-error` of Cache-Control. Default
   * 86400.
   */
  failSafeSeconds?: number | undefined
  /** The number of posts in a list. Default 10. */
  defaultLimit?: number | undefined
  /** The largest number of posts in a list. A request for more gets this many. Default 50. */
  maxLimit?: number | undefined
  /** The window in days in which views count; 0 is all time. Default 30. */
  defaultDays?: number | undefined
  /** The longest window in days. Default 365. */
  maxDays?: number | undefined
  /**
   * Whether one list may be filtered by more than one of `category`, `tag`, `author` and `excludeCategory`, with up to 5 slugs
   * each. Default false: a client could request a list for each combination, and each list costs a query.
   */
  combineFilters?: boolean | undefined
  /** The IANA time zone of the site: a day of views ends at its midnight. Default `UTC`. */
  timeZone?: string | undefined
  /**
   * The prefix of all keys in Redis. The keys have it in braces, a Cluster's hash tag; with braces of its own, such as
   * `app:{blog}`, it is used as it is. Default `blog:popular`.
   */
  prefix?: string
  /**
   * The version of what your `load` returns. Set another one when the shape of the items changes: then old and new processes of
   * a deploy have lists of their own in Redis. Views and invalidations are shared. Default none.
   */
  version?: string | undefined
  /** The seconds in which views of one post by one visitor count once; at most a day. Default 900. */
  viewDedupSeconds?: number | undefined
  /**
   * The seconds between two flushes of recorded views to the database, at most a day; 0: only when you call `flush`. Default 5.
   */
  viewFlushSeconds?: number | undefined
  /** The views that one address may send over HTTP in a minute, to each process; 0: any number. Default 120. */
  viewsPerMinute?: number | undefined
  /**
   * The readers of one post that count from one address in `viewDedupSeconds`, without those that have a `userId`; five times as
   * many count from its network (/24 of IPv4, /48 of IPv6). 0: any number. Default 20.
   */
  readersPerAddress?: number | undefined
  /**
   * Requests whose views do not count: addresses, networks, and headers with a text in them (`*`: any), such as `203.0.113.7`,
   * `2001:db8::/48`, `user-agent: UptimeRobot`, `cookie: staff=`. Letter case is ignored. Default none.
   */
  ignore?: readonly string[] | undefined
  /**
   * The origins of the pages that may send views over HTTP; the server's own may always. Others get 403. Default none: pages of
   * any origin may.
   */
  viewOrigins?: readonly string[] | undefined
  /** The `max-age` of Cache-Control of a list, in seconds: for browsers and CDNs. Default 60. */
  maxAgeSeconds?: number | undefined
  /** The `stale-while-revalidate` of Cache-Control of a list, in seconds. Default 300. */
  staleWhileRevalidateSeconds?: number | undefined
  /**
   * Whether the process runs background tasks between requests. Default true. `false` for AWS Lambda, which suspends processes:
   * then no task runs after a reply (one request of the fleet refreshes a stale list before its reply), no timer counts views
   * (call `flush`), the process does not listen for changes in the database, and it verifies connections when it resumes.
   */
  backgroundWork?: boolean | undefined
  /** The timeout of a load, in seconds. Default 30. */
  loadTimeoutSeconds?: number | undefined
  /**
   * How long a reader waits for the load of a list, in seconds, if there is no list to serve. After that it gets 503 with
   * `Retry-After`, and the load goes on. Default 5. Without `backgroundWork` the reader that runs the load waits for its end.
   */
  waitTimeoutSeconds?: number | undefined
  /** The prefix of the routes, such as `/api`; `false` adds no routes. Default none: `/posts/popular` and `/categories`. */
  routes?: string | false | undefined
  /**
   * A Kysely instance for all queries. It stays yours: the app does not close it. The process compares the database every 5
   * seconds to find changes; with a `databaseUrl` PostgreSQL notifies it at once.
   */
  db?: AnyKysely | undefined
  /** The URL of a PostgreSQL server, instead of `db`. The plugin opens connections, and closes them with the app. */
  databaseUrl?: string | undefined
  /**
   * The schema of PostgreSQL that has the tables and views of this package. Default: that of the `search_path`, where it has
   * the counters, else `popular_posts`, in which `migrate --adopt` puts them.
   */
  schema?: string | undefined
  /** A function that returns the password of each new connection to `databaseUrl`: for tokens that expire. */
  databasePassword?: (() => string) | undefined
  /**
   * The Redis or Valkey that all processes share: a client or a Cluster of ioredis, or the namespace of a registered
   * @fastify/redis (`''`: the one without a namespace). It stays yours. Without `redis` and `redisUrl`, each process has its own
   * lists.
   */
  redis?: HostRedis | string | undefined
  /** The URL of a Redis or Valkey server, instead of `redis`. Several URLs, separated by commas, are a Cluster. */
  redisUrl?: string | undefined
  /** Whether a `redisUrl` with one URL names a Cluster. Default false. */
  redisCluster?: boolean | undefined
  /** A function that returns the password of each new connection to `redisUrl`: for tokens that expire. */
  redisPassword?: (() => string) | undefined
  /** The bearer token for `POST /posts/popular/invalidate`. Without it that route does not exist. */
  adminToken?: string | undefined
  /**
   * A query of your own for the posts of a list, instead of the query of this package. Views are counted only with a database
   * (`db` or `databaseUrl`), which has the counters, and posts with the slugs that readers view. The items are sent as they are;
   * `exclude` compares their `slug`.
   */
  load?: ((query: ListQuery) => Promise<readonly LoadedPost[]>) | undefined
  /** A query of your own for the list of categories. With `load` and without `db`, there is no such list without it. */
  loadCategories?: ((query: { days: number }) => Promise<readonly object[]>) | undefined
  /**
   * A query of your own for the slugs by which `load` can filter. Clients can find out these slugs, so leave out what is not
   * public. Without it and without `db`, each filtered list is empty.
   */
  loadFilters?: (() => Promise<FilterSlugs>) | undefined
}

/** Options without a default. */
type Bare = 'load' | 'loadCategories' | 'loadFilters' | 'adminToken' | Connections
type Connections = 'databaseUrl' | 'schema' | 'databasePassword' | 'redis' | 'redisUrl' | 'redisPassword'
type Checked = {
  [Name in keyof Omit<PopularPostsOptions, Bare | 'db'>]-?: Exclude<PopularPostsOptions[Name], undefined>
}

/** The checked options, with the defaults filled in. */
export interface Settings extends Checked, Pick<PopularPostsOptions, Bare> {
  db?: Kysely<Tables>
}

/**
 * Checks the options, and fills in the defaults. The object of the caller is not changed.
 * @throws `PP_INVALID_OPTIONS`, which lists every invalid option with what was expected and what came.
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
  const { defaultLimit, maxLimit, defaultDays, maxDays, db, databaseUrl, schema, load } = settings
  for (const name of ['load', 'loadCategories', 'loadFilters', 'databasePassword', 'redisPassword'] as const) {
    const value: unknown = settings[name]
    if (value !== undefined && typeof value !== 'function')
      problems.push(`${name}: expected a function, got ${shown(value)}`)
  }
  const problem = db && databaseProblem(db, schema)
  if (problem !== undefined) problems.push(`db: ${problem}`)
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
