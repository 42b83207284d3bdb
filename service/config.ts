import { type Static, Type } from 'typebox'
import { urlProblems } from '../lib/connection-urls.ts'
import { createValidator, type SettingsSchema } from '../settings/validate.ts'

const seconds = (byDefault: number, description: string, minimum = 0) =>
  Type.Integer({ minimum, maximum: 31_536_000, default: byDefault, description })

const awsSecret = (description: string) => Type.Optional(Type.String({ description, expected: 'text', isSecret: true }))

const environment = Type.Object({
  HOST: Type.String({ default: '127.0.0.1', description: 'Address to listen on.' }),
  PORT: Type.Integer({
    minimum: 0,
    maximum: 65_535,
    default: 3000,
    description: 'Port to listen on; 0 takes a free one.',
  }),
  LOG_LEVEL: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
    default: 'info',
    description: 'How much is logged: cache hits and requests at debug, loads and invalidations at info.',
    expected: 'fatal, error, warn, info, debug, trace or silent',
  }),
  DATABASE_URL: Type.Optional(
    Type.String({
      description: 'The PostgreSQL server; without it, an embedded one is started.',
      expected: 'a URL such as postgres://user:password@host:5432/name',
      isSecret: true,
    }),
  ),
  DATA_DIR: Type.String({ default: './data', description: "The embedded database's folder." }),
  SITE_TIME_ZONE: Type.String({
    default: 'UTC',
    format: 'time-zone',
    description: 'The IANA time zone whose midnight ends a day of views.',
    expected: 'the name of an IANA time zone, such as Europe/Berlin',
  }),
  REDIS_URL: Type.Optional(
    Type.String({
      description:
        'The Redis or Valkey server that all processes share; several URLs with commas between them are a Cluster.',
      expected: 'a URL such as redis://user:password@host:6379, or several with commas between them',
      isSecret: true,
    }),
  ),
  REDIS_CLUSTER: Type.Boolean({
    default: false,
    description: 'Whether one URL is a Cluster.',
    expected: 'true or false',
  }),
  REDIS_IAM_CACHE: Type.Optional(
    Type.String({
      pattern: '^[a-z][a-z0-9-]{0,62}$',
      description: 'The name of the ElastiCache cache behind REDIS_URL, to sign in to as its user with IAM.',
      expected: 'the name of an ElastiCache cache or replication group, in lower case',
    }),
  ),
  REDIS_IAM_KIND: Type.Enum(['serverless', 'nodes'], {
    default: 'serverless',
    description: 'Whether that is an ElastiCache Serverless cache or one of nodes.',
    expected: 'serverless or nodes',
  }),
  DATABASE_IAM: Type.Boolean({
    default: false,
    description: 'Whether to sign in to DATABASE_URL, RDS or RDS Proxy, as its user with IAM.',
    expected: 'true or false',
  }),
  AWS_REGION: Type.Optional(Type.String({ description: 'The region that IAM tokens are for.' })),
  AWS_ACCESS_KEY_ID: awsSecret('The identity that IAM tokens are signed by: AWS Lambda sets these.'),
  AWS_SECRET_ACCESS_KEY: awsSecret('Its key.'),
  AWS_SESSION_TOKEN: awsSecret('Its session.'),
  ADMIN_TOKEN: Type.Optional(
    Type.String({
      pattern: '^[!-~][ -~]{14,}[!-~]$',
      description: 'Bearer token for POST /posts/popular/invalidate; without it that route does not exist.',
      expected: 'at least 16 printable ASCII characters, without white space at the ends',
      isSecret: true,
    }),
  ),
  CACHE_PREFIX: Type.String({
    default: 'blog:popular',
    pattern: '^[^{}\\s]{1,100}$',
    description: 'What the keys of the cache begin with.',
    expected: '1 to 100 characters without spaces and braces',
  }),
  CACHE_TTL_SECONDS: seconds(1800, 'How long a list is fresh.', 1),
  CACHE_STALE_SECONDS: seconds(3600, 'For how long after that it is still served at once, while one refresh runs.'),
  CACHE_FAIL_SAFE_SECONDS: seconds(86_400, 'For how long after its expiry it is served when the database fails.'),
  COMBINE_FILTERS: Type.Boolean({
    default: false,
    description: 'Whether a list may be filtered by more than one of category, tag and author.',
    expected: 'true or false',
  }),
  LOAD_TIMEOUT_SECONDS: Type.Integer({
    minimum: 1,
    maximum: 300,
    default: 30,
    description: 'A query that takes longer is given up.',
  }),
  VIEW_DEDUP_SECONDS: Type.Integer({
    minimum: 1,
    maximum: 86_400,
    default: 900,
    description: 'A visitor counts once a post in this time.',
  }),
  TRUST_PROXY: Type.Optional(
    Type.String({
      format: 'trusted-proxies',
      description: 'The proxies whose X-Forwarded-For is believed: their addresses and networks.',
      expected:
        'addresses and networks such as 10.0.0.0/8, or loopback, linklocal, uniquelocal, with commas between them',
    }),
  ),
  CORS_ORIGIN: Type.Optional(
    Type.String({
      pattern: '^(\\*|https?://[^\\s,/]+(\\s*,\\s*https?://[^\\s,/]+)*)$',
      description: 'The origins whose pages may read the lists; * is any. Without it, only pages of the same origin.',
      expected: 'origins such as https://blog.example, with commas between them, or *',
    }),
  ),
})

const validate = createValidator(environment as SettingsSchema)

/** The environment variables that the service and the command line read: names, types, defaults, descriptions. */
export const environmentSchema = environment

export interface Config {
  readonly host: string
  readonly port: number
  readonly logLevel: string
  /** Without it, an embedded database in `dataDir`. */
  readonly databaseUrl: string | undefined
  readonly dataDir: string
  /** Without it, each process has its own cache. */
  readonly redisUrl: string | undefined
  readonly redisCluster: boolean
  /** Without it, nobody can invalidate over HTTP. */
  readonly adminToken: string | undefined
  readonly siteTimeZone: string
  readonly viewDedupSeconds: number
  readonly loadTimeoutSeconds: number
  readonly combineFilters: boolean
  /** How to sign in with IAM, where that is wanted. */
  readonly iam: IamConfig
  /** As Fastify's `trustProxy`: whose `X-Forwarded-For` is believed. */
  readonly trustProxy: string | false
  /** The origins whose pages may read; `*`: any. */
  readonly corsOrigins: readonly string[]
  readonly cache: {
    readonly prefix: string
    readonly ttlSeconds: number
    readonly staleSeconds: number
    readonly failSafeSeconds: number
  }
}

interface Signer {
  region: string
  accessKeyId: string
  secretAccessKey: string
  sessionToken: string | undefined
}

/** What IAM tokens are made of: see `aws/tokens.ts`. */
export interface IamConfig {
  database?: { signer: Signer; host: string; port: number; user: string }
  redis?: { signer: Signer; cache: string; isServerless: boolean; user: string }
}

/** The environment cannot be used; the message names every variable that is wrong, and no secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/**
 * Reads the configuration from environment variables. Empty ones count as not set.
 * @throws ConfigError that lists all that is wrong.
 */
export function readConfig(variables: NodeJS.ProcessEnv = process.env): Config {
  const names = Object.keys(environment.properties)
  const settings = Object.fromEntries(
    Object.entries(variables)
      .filter(([name, value]) => names.includes(name) && value !== undefined && value !== '')
      .map(([name, value]) => [name, coerce(name, String(value))]),
  )
  const urls = { databaseUrl: 'DATABASE_URL', redisUrl: 'REDIS_URL', redisCluster: 'REDIS_CLUSTER' }
  const problems = [...validate(settings), ...urlProblems(settings, urls)]
  const checked = settings as Static<typeof environment>
  const iam = problems.length > 0 ? {} : iamOf(checked, problems)
  if (problems.length > 0) throw new ConfigError(`The environment is not usable:\n  ${problems.join('\n  ')}`)
  return Object.freeze({
    host: checked.HOST,
    port: checked.PORT,
    logLevel: checked.LOG_LEVEL,
    databaseUrl: checked.DATABASE_URL,
    dataDir: checked.DATA_DIR,
    redisUrl: checked.REDIS_URL,
    redisCluster: checked.REDIS_CLUSTER,
    adminToken: checked.ADMIN_TOKEN,
    siteTimeZone: checked.SITE_TIME_ZONE,
    viewDedupSeconds: checked.VIEW_DEDUP_SECONDS,
    loadTimeoutSeconds: checked.LOAD_TIMEOUT_SECONDS,
    combineFilters: checked.COMBINE_FILTERS,
    iam,
    trustProxy: checked.TRUST_PROXY ?? false,
    corsOrigins: checked.CORS_ORIGIN?.split(',').map((origin) => origin.trim()) ?? [],
    cache: Object.freeze({
      prefix: checked.CACHE_PREFIX,
      ttlSeconds: checked.CACHE_TTL_SECONDS,
      staleSeconds: checked.CACHE_STALE_SECONDS,
      failSafeSeconds: checked.CACHE_FAIL_SAFE_SECONDS,
    }),
  })
}

/**
 * As `readConfig`, where no process has a database and a cache of its own.
 * @throws ConfigError
 */
export function readLambdaConfig(variables?: NodeJS.ProcessEnv): Config & { databaseUrl: string } {
  const config = readConfig(variables)
  const { databaseUrl, redisUrl } = config
  if (databaseUrl === undefined || redisUrl === undefined)
    throw new ConfigError('AWS Lambda keeps nothing: set DATABASE_URL and REDIS_URL.')
  return { ...config, databaseUrl }
}

/** Tells of what does not go together, too. */
function iamOf(checked: Static<typeof environment>, problems: string[]): IamConfig {
  const { DATABASE_IAM, REDIS_IAM_CACHE, DATABASE_URL, REDIS_URL } = checked
  if (!DATABASE_IAM && REDIS_IAM_CACHE === undefined) return {}
  const { AWS_REGION: region, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = checked
  if (region === undefined || accessKeyId === undefined || secretAccessKey === undefined) {
    problems.push('AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: expected all of them, to sign IAM tokens')
    return {}
  }
  const signer = { region, accessKeyId, secretAccessKey, sessionToken: checked.AWS_SESSION_TOKEN }
  const iam: IamConfig = {}
  if (DATABASE_IAM) {
    // A token names a server and its port: a URL of a Unix socket, which has none, may be none for this parser.
    const url = DATABASE_URL !== undefined && URL.canParse(DATABASE_URL) ? DATABASE_URL : 'postgres://'
    const { username, password, hostname, port } = new URL(url)
    if (username === '' || password !== '' || hostname === '')
      problems.push('DATABASE_URL: expected a user, a host and no password with DATABASE_IAM, got something else')
    iam.database = { signer, host: hostname, port: Number(port || 5432), user: decodeURIComponent(username) }
  }
  if (REDIS_IAM_CACHE !== undefined) {
    const { username, password, protocol } = new URL(REDIS_URL?.replace(/,.*/s, '') ?? 'redis://')
    // A token is a password for a quarter of an hour: not for the open network.
    if (username === '' || password !== '' || protocol !== 'rediss:')
      problems.push('REDIS_URL: expected rediss://, a user and no password with REDIS_IAM_CACHE, got something else')
    const isServerless = checked.REDIS_IAM_KIND === 'serverless'
    iam.redis = { signer, cache: REDIS_IAM_CACHE, isServerless, user: decodeURIComponent(username) }
  }
  return iam
}

/** Digits become a number where one is expected, and true and false what they say; everything else is left for the check. */
function coerce(name: string, value: string): string | number | boolean {
  const schema = (environment.properties as Record<string, { type?: string }>)[name]
  if (schema?.type === 'boolean' && (value === 'true' || value === 'false')) return value === 'true'
  return schema?.type === 'integer' && /^[0-9]{1,15}$/.test(value) ? Number(value) : value
}
