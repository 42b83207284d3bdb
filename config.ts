import { type Static, Type } from 'typebox'
import { createValidator, type SettingsSchema } from './validate.ts'

const seconds = (byDefault: number, description: string, minimum = 0) =>
  Type.Integer({ minimum, maximum: 31_536_000, default: byDefault, description })

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
      pattern: '^postgres(ql)?://',
      description: 'The PostgreSQL server; without it, an embedded one is started.',
      expected: 'a URL that begins with postgres:// or postgresql://',
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
      pattern: '^rediss?://[^,]+(,\\s*rediss?://[^,]+)*$',
      description:
        'The Redis or Valkey server that all processes share; several URLs with commas between them are a Cluster.',
      expected: 'a URL that begins with redis:// or rediss://, or several with commas between them',
      isSecret: true,
    }),
  ),
  REDIS_CLUSTER: Type.Boolean({
    default: false,
    description: 'Whether one URL is a Cluster.',
    expected: 'true or false',
  }),
  ADMIN_TOKEN: Type.Optional(
    Type.String({
      minLength: 16,
      description: 'Bearer token for POST /posts/popular/invalidate; without it that route does not exist.',
      expected: 'at least 16 characters',
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
  VIEW_DEDUP_SECONDS: Type.Integer({
    minimum: 1,
    maximum: 86_400,
    default: 900,
    description: 'A visitor counts once a post in this time.',
  }),
  TRUST_PROXY: Type.Optional(
    Type.String({
      format: 'trusted-proxies',
      description:
        'The proxies whose X-Forwarded-For is believed: how many there are, or their addresses and networks.',
      expected:
        'addresses and networks such as 10.0.0.0/8, or loopback, linklocal, uniquelocal, with commas between them',
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
  /** As Fastify's `trustProxy`: whose `X-Forwarded-For` is believed. */
  readonly trustProxy: string | false
  readonly cache: {
    readonly prefix: string
    readonly ttlSeconds: number
    readonly staleSeconds: number
    readonly failSafeSeconds: number
  }
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
      .map(([name, value]) => [name, typed(name, String(value))]),
  )
  const problems = validate(settings)
  const checked = settings as Static<typeof environment>
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
    trustProxy: checked.TRUST_PROXY ?? false,
    cache: Object.freeze({
      prefix: checked.CACHE_PREFIX,
      ttlSeconds: checked.CACHE_TTL_SECONDS,
      staleSeconds: checked.CACHE_STALE_SECONDS,
      failSafeSeconds: checked.CACHE_FAIL_SAFE_SECONDS,
    }),
  })
}

/** Digits become a number where one is expected, and true and false what they say; everything else is left for the check. */
function typed(name: string, value: string): string | number | boolean {
  const schema = (environment.properties as Record<string, { type?: string }>)[name]
  if (schema?.type === 'boolean' && (value === 'true' || value === 'false')) return value === 'true'
  return schema?.type === 'integer' && /^[0-9]{1,15}$/.test(value) ? Number(value) : value
}
