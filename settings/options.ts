import type { Kysely } from 'kysely'
import { type TSchema, Type } from 'typebox'
import type { FilterSlugs } from '../db/filters.ts'
import type { Tables } from '../db/ranking.ts'
import type { HostRedis } from '../lib/host-redis.ts'
import { REQUEST_RULE } from '../lib/request-rules.ts'
import { WINDOW } from './formats.ts'
import type { AnyKysely } from './host-database.ts'
import type { ListQuery, ListsChange } from './list-query.ts'
import type { LoadedPost } from './post-type.ts'
import type { RouteHooks, ViewRateLimit } from './route-options.ts'

const DAY_SECONDS = 86_400
const seconds = (byDefault: number, minimum = 0) =>
  Type.Integer({ minimum, maximum: 365 * DAY_SECONDS, default: byDefault })
const secret = (expected: string) => Type.Optional(Type.String({ expected, isSecret: true }))

const schema = Type.Object(
  {
    ttlSeconds: seconds(1800, 1),
    staleSeconds: seconds(3600),
    failSafeSeconds: seconds(DAY_SECONDS),
    defaultLimit: Type.Integer({ minimum: 1, maximum: 1000, default: 10 }),
    maxLimit: Type.Integer({ minimum: 1, maximum: 1000, default: 50 }),
    defaultDays: Type.Integer({ minimum: 0, maximum: 3650, default: WINDOW.byDefault }),
    maxDays: Type.Integer({ minimum: 1, maximum: 3650, default: WINDOW.longest }),
    days: Type.Optional(
      Type.Array(Type.Integer({ minimum: 0, maximum: 3650 }), {
        minItems: 1,
        uniqueItems: true,
        expected: 'a list of windows in days, each an integer from 0 (all time) to 3650, none twice',
      }),
    ),
    combineFilters: Type.Boolean({ default: false, expected: 'true or false' }),
    timeZone: Type.String({
      default: 'UTC',
      format: 'time-zone',
      expected: 'the name of an IANA time zone, such as Europe/Berlin, or UTC',
    }),
    redisPrefix: Type.String({
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
    databaseUrl: secret('a URL such as postgres://user:password@host:5432/name'),
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
    redisUrl: secret('a URL such as redis://user:password@host:6379, or several with commas between them'),
    redisCluster: Type.Boolean({ default: false, expected: 'true or false' }),
    openapi: Type.Boolean({ default: true, expected: 'true or false' }),
    hooks: Type.Optional(Type.Object({}, { expected: 'an object of hooks of Fastify, by their names' })),
    viewRateLimit: Type.Optional(Type.Object({}, { expected: 'an object of options of @fastify/rate-limit' })),
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
    onListsChanged: Type.Optional(Type.Unknown()),
  } satisfies Record<keyof PopularPostsOptions, TSchema>,
  { additionalProperties: false },
)

/** What each option must be, and its default: also for the environment variables that set it, and for docs/options.md. */
export const optionsSchema = schema

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
   * The windows in days that readers may request, such as `[1, 7, 30, 365, 0]`; others get 400. `defaultDays` must be one of
   * them. Default none: any window up to `maxDays`. Each window is a list of its own, which a client can make the server load.
   */
  days?: readonly number[] | undefined
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
  redisPrefix?: string | undefined
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
  /** The views that one address may send over HTTP in a minute: with Redis to all processes, else to each; 0: any number. Default 120. */
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
   * Whether the process runs background tasks between requests. Default true. `false` where processes are suspended or end
   * between requests, as on AWS Lambda and in containers that scale to zero: then no task runs after a reply (one request of the
   * fleet refreshes a stale list before its reply), no timer counts views, the process does not listen for changes in the
   * database, and it verifies connections when it resumes. A schedule calls `POST /posts/popular/maintain`, which needs an
   * `adminToken`.
   */
  backgroundWork?: boolean | undefined
  /** The timeout of a load, in seconds. Default 30. */
  loadTimeoutSeconds?: number | undefined
  /**
   * How long a reader waits for the load of a list, in seconds, if there is no list to serve. After that it gets 503 with
   * `Retry-After`, and the load goes on. Default 5. Without `backgroundWork` the reader that runs the load waits for its end.
   */
  waitTimeoutSeconds?: number | undefined
  /**
   * The prefix of the routes, such as `/api`, below that of the scope and the `prefix` of `register`; `false` adds no routes.
   * Default none: `/posts/popular` and `/categories`.
   */
  routes?: string | false | undefined
  /**
   * Whether the routes are in the OpenAPI document that @fastify/swagger makes of your app. Default true. Its `transform` is not
   * called for them.
   */
  openapi?: boolean | undefined
  /**
   * Hooks of Fastify for the routes of this package, such as the access control of your app: each a function or a list of
   * functions. They run after the hooks of your app. `request.routeOptions.config.popularPosts` is the name of the route.
   */
  hooks?: RouteHooks | undefined
  /**
   * Options of @fastify/rate-limit for the routes that record views, in place of ours: `redis`, `keyGenerator`, `allowList`,
   * `max` and more. The time window stays a minute. `viewsPerMinute: 0` switches this limit off.
   * Without its own `redis` or `store`, each process counts for itself.
   */
  viewRateLimit?: ViewRateLimit | undefined
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
  /**
   * The bearer token for `POST /posts/popular/invalidate`, and, without `backgroundWork`, for `POST /posts/popular/maintain`.
   * Without it these routes do not exist.
   */
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
  /**
   * A function that is called when older lists than those of the cache may be in a CDN, to purge it: after each invalidation,
   * by a change in the database or by `invalidate`, and after a stale list was loaded again. Over Redis one process of the fleet
   * calls it. It is called a second after the change, and at most once a second. An error is logged.
   */
  onListsChanged?: ((change: ListsChange) => unknown) | undefined
}

/** Options without a default. */
type Bare =
  | 'days'
  | 'load'
  | 'loadCategories'
  | 'loadFilters'
  | 'onListsChanged'
  | 'adminToken'
  | HostRoutes
  | Connections
type HostRoutes = 'hooks' | 'viewRateLimit'
type Connections = 'databaseUrl' | 'schema' | 'databasePassword' | 'redis' | 'redisUrl' | 'redisPassword'
type Checked = {
  [Name in keyof Omit<PopularPostsOptions, Bare | 'db'>]-?: Exclude<PopularPostsOptions[Name], undefined>
}

/** The checked options, with the defaults filled in. */
export interface Settings extends Checked, Pick<PopularPostsOptions, Bare> {
  db?: Kysely<Tables>
}
