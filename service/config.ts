import { type Static, Type } from 'typebox'
import { urlProblems } from '../lib/connection-urls.ts'
import { StartupError } from '../lib/errors.ts'
import { REQUEST_RULE } from '../lib/request-rules.ts'
import { WINDOW } from '../settings/formats.ts'
import { optionsSchema } from '../settings/options.ts'
import { createValidator, type SettingsSchema } from '../settings/validate.ts'
import { type IamConfig, iamOf } from './iam-config.ts'

/** A variable that sets an option of the plugin is checked as the option, has its default, and its description. */
const option = optionsSchema.properties

const awsSecret = (description: string) => Type.Optional(Type.String({ description, expected: 'text', isSecret: true }))

const switchOf = (description: string) => Type.Boolean({ default: true, description, expected: 'true or false' })

const environment = Type.Object({
  HOST: Type.String({ default: '127.0.0.1', description: 'The address to listen on.' }),
  PORT: Type.Integer({
    minimum: 0,
    maximum: 65_535,
    default: 3000,
    description: 'The port to listen on; 0 takes a free one.',
  }),
  LOG_LEVEL: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
    default: 'info',
    description:
      'The lowest level that is logged: cache hits and requests are debug, loads and invalidations are info.',
    expected: 'fatal, error, warn, info, debug, trace or silent',
  }),
  SITE: switchOf('Whether the service has pages. Without them it still has the script of the element.'),
  DOCS: switchOf('Whether the service has `/docs` and `/openapi.json`.'),
  METRICS: switchOf('Whether the service has `/metrics`.'),
  DATABASE_URL: Type.Optional(
    Type.String({
      ...option.databaseUrl,
      description: 'The PostgreSQL server. Without it, the service starts an embedded one.',
    }),
  ),
  DATABASE_SCHEMA: Type.Optional(
    Type.String({
      ...option.schema,
      description:
        'The schema of the tables and views of this package. Default: that of the search_path, where it has the counters, else popular_posts.',
    }),
  ),
  DATABASE_SERVICE_USER: Type.Optional(
    Type.String({
      description:
        'The database user of the service, where it is not the one that migrates: `migrate` creates it, and grants its rights.',
    }),
  ),
  DATA_DIR: Type.String({ default: './data', description: 'The folder of the embedded database.' }),
  SITE_TIME_ZONE: option.timeZone,
  REDIS_URL: Type.Optional(
    Type.String({
      ...option.redisUrl,
      description:
        'The Redis or Valkey server that all processes share. Several URLs, separated by commas, are a Cluster.',
    }),
  ),
  REDIS_CLUSTER: Type.Boolean({
    ...option.redisCluster,
    description: 'Whether REDIS_URL with one URL names a Cluster.',
  }),
  REDIS_IAM_CACHE: Type.Optional(
    Type.String({
      pattern: '^[a-z][a-z0-9-]{0,62}$',
      description: 'The name of the ElastiCache cache in REDIS_URL, for sign-in with IAM as the user in that URL.',
      expected: 'the name of an ElastiCache cache or replication group, in lower case',
    }),
  ),
  REDIS_IAM_KIND: Type.Enum(['serverless', 'nodes'], {
    default: 'serverless',
    description: 'Whether that cache is ElastiCache Serverless or consists of nodes.',
    expected: 'serverless or nodes',
  }),
  DATABASE_IAM: Type.Boolean({
    default: false,
    description: 'Whether to sign in to DATABASE_URL (RDS or RDS Proxy) with IAM, as the user in that URL.',
    expected: 'true or false',
  }),
  AWS_REGION: Type.Optional(Type.String({ description: 'The region of the IAM tokens.' })),
  AWS_ACCESS_KEY_ID: awsSecret('The access key that signs IAM tokens. AWS Lambda sets it.'),
  AWS_SECRET_ACCESS_KEY: awsSecret('The secret of that access key.'),
  AWS_SESSION_TOKEN: awsSecret('The session token of that access key.'),
  ADMIN_TOKEN: option.adminToken,
  BACKGROUND_WORK: option.backgroundWork,
  CACHE_PREFIX: option.redisPrefix,
  CACHE_TTL_SECONDS: option.ttlSeconds,
  CACHE_STALE_SECONDS: option.staleSeconds,
  CACHE_FAIL_SAFE_SECONDS: option.failSafeSeconds,
  COMBINE_FILTERS: option.combineFilters,
  DAYS: Type.Optional(
    Type.String({
      format: 'windows',
      description: 'The windows in days that readers may request. Default: any: see the option `days`.',
      expected: `integers from 0 (all time) to ${WINDOW.longest}, with commas between them, none twice, ${WINDOW.byDefault} among them`,
    }),
  ),
  LOAD_TIMEOUT_SECONDS: option.loadTimeoutSeconds,
  WAIT_TIMEOUT_SECONDS: option.waitTimeoutSeconds,
  VIEW_DEDUP_SECONDS: option.viewDedupSeconds,
  READERS_PER_ADDRESS: option.readersPerAddress,
  IGNORE: Type.Optional(
    Type.String({
      format: 'request-rules',
      description: 'Requests whose views do not count, also those of logs: see the option `ignore`.',
      expected: `${REQUEST_RULE}, with commas between them`,
    }),
  ),
  VIEW_ORIGINS: Type.Optional(
    Type.String({
      pattern: '^https?://[^\\s,/]+(\\s*,\\s*https?://[^\\s,/]+)*$',
      description: 'The origins of the pages that may send views over HTTP. Without it, pages of any origin may.',
      expected: 'origins such as https://blog.example, with commas between them',
    }),
  ),
  TRUST_PROXY: Type.Optional(
    Type.String({
      format: 'trusted-proxies',
      description:
        'The addresses and networks of the proxies whose X-Forwarded-For is trusted, or without that header their Forwarded.',
      expected:
        'addresses and networks such as 10.0.0.0/8, or loopback, linklocal, uniquelocal, with commas between them',
    }),
  ),
  CLOUDFRONT_KEY: Type.Optional(
    Type.String({
      pattern: '^[!-~]{16,}$',
      description:
        'What CloudFront sends as X-CloudFront-Key, a header that you add to its origin. The reader of a request with it is the one in CloudFront-Viewer-Address.',
      expected: 'at least 16 printable ASCII characters, without spaces',
      isSecret: true,
    }),
  ),
  CORS_ORIGIN: Type.Optional(
    Type.String({
      pattern: '^(\\*|https?://[^\\s,/]+(\\s*,\\s*https?://[^\\s,/]+)*)$',
      description:
        'The origins whose pages may read the lists; * is any origin. Without it, only pages of the same origin may.',
      expected: 'origins such as https://blog.example, with commas between them, or *',
    }),
  ),
})

const validate = createValidator(environment as SettingsSchema)

/** The environment variables that the service and the command line read: names, types, defaults, descriptions. */
export const environmentSchema = environment

/** The checked environment. */
export interface Config {
  readonly host: string
  readonly port: number
  readonly logLevel: string
  /** Whether the service has pages. */
  readonly hasSite: boolean
  /** Whether the service has the document of its API. */
  readonly hasDocs: boolean
  readonly hasMetrics: boolean
  /** `undefined`: an embedded database in `dataDir`. */
  readonly databaseUrl: string | undefined
  /** `undefined`: it is looked up, see `composition/own-schema.ts`. */
  readonly databaseSchema: string | undefined
  readonly databaseServiceUser: string | undefined
  readonly dataDir: string
  /** `undefined`: each process has its own cache. */
  readonly redisUrl: string | undefined
  readonly redisCluster: boolean
  /** `undefined`: no route invalidates over HTTP. */
  readonly adminToken: string | undefined
  /** As of the plugin. On AWS Lambda it is always false. */
  readonly backgroundWork: boolean
  readonly siteTimeZone: string
  readonly viewDedupSeconds: number
  readonly readersPerAddress: number
  readonly ignore: readonly string[]
  /** The origins of the pages that may send views; empty: any. */
  readonly viewOrigins: readonly string[]
  readonly loadTimeoutSeconds: number
  readonly waitTimeoutSeconds: number
  readonly combineFilters: boolean
  /** The windows that readers may request; `undefined`: any. */
  readonly days: readonly number[] | undefined
  /** How to sign in with IAM; empty: with the passwords in the URLs. */
  readonly iam: IamConfig
  /** The proxies whose `X-Forwarded-For` or `Forwarded` is trusted, with commas between them. */
  readonly trustProxy: string | false
  /** `undefined`: no request names its reader in `CloudFront-Viewer-Address`. */
  readonly cloudFrontKey: string | undefined
  /** The origins whose pages may read the lists; `*`: any. */
  readonly corsOrigins: readonly string[]
  readonly cache: {
    readonly redisPrefix: string
    readonly ttlSeconds: number
    readonly staleSeconds: number
    readonly failSafeSeconds: number
  }
}

/** The environment is invalid. The message names every wrong variable, and no secret. */
export class ConfigError extends StartupError {
  override readonly name = 'ConfigError'
}

/**
 * Reads the configuration from environment variables. An empty variable counts as not set.
 * @param flags variables that flags of the command line set.
 * @throws ConfigError that lists every problem.
 */
export function readConfig(variables: NodeJS.ProcessEnv = process.env, flags: NodeJS.ProcessEnv = {}): Config {
  const names = Object.keys(environment.properties)
  const settings = Object.fromEntries(
    Object.entries({ ...variables, ...flags })
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
    hasSite: checked.SITE,
    hasDocs: checked.DOCS,
    hasMetrics: checked.METRICS,
    databaseUrl: checked.DATABASE_URL,
    databaseSchema: checked.DATABASE_SCHEMA,
    databaseServiceUser: checked.DATABASE_SERVICE_USER,
    dataDir: checked.DATA_DIR,
    redisUrl: checked.REDIS_URL,
    redisCluster: checked.REDIS_CLUSTER,
    adminToken: checked.ADMIN_TOKEN,
    backgroundWork: checked.BACKGROUND_WORK,
    siteTimeZone: checked.SITE_TIME_ZONE,
    viewDedupSeconds: checked.VIEW_DEDUP_SECONDS,
    readersPerAddress: checked.READERS_PER_ADDRESS,
    ignore: listOf(checked.IGNORE),
    viewOrigins: listOf(checked.VIEW_ORIGINS),
    loadTimeoutSeconds: checked.LOAD_TIMEOUT_SECONDS,
    waitTimeoutSeconds: checked.WAIT_TIMEOUT_SECONDS,
    combineFilters: checked.COMBINE_FILTERS,
    days: checked.DAYS?.split(',').map(Number),
    iam,
    trustProxy: checked.TRUST_PROXY ?? false,
    cloudFrontKey: checked.CLOUDFRONT_KEY,
    corsOrigins: listOf(checked.CORS_ORIGIN),
    cache: Object.freeze({
      redisPrefix: checked.CACHE_PREFIX,
      ttlSeconds: checked.CACHE_TTL_SECONDS,
      staleSeconds: checked.CACHE_STALE_SECONDS,
      failSafeSeconds: checked.CACHE_FAIL_SAFE_SECONDS,
    }),
  })
}

/**
 * Like `readConfig`, for AWS Lambda, where a process has neither a database nor a cache of its own.
 * @throws ConfigError also if DATABASE_URL or REDIS_URL is not set.
 */
export function readLambdaConfig(variables?: NodeJS.ProcessEnv): Config & { databaseUrl: string } {
  const config = readConfig(variables)
  const { databaseUrl, redisUrl } = config
  if (databaseUrl === undefined || redisUrl === undefined)
    throw new ConfigError('AWS Lambda keeps no data in a process: set DATABASE_URL and REDIS_URL.')
  return { ...config, databaseUrl, backgroundWork: false }
}

/** The items of a text with commas between them. */
function listOf(text: string | undefined): readonly string[] {
  return text?.split(',').map((item) => item.trim()) ?? []
}

/**
 * Converts digits to a number and `true` and `false` to a boolean where the schema expects them. Other text is left to
 * the validator.
 */
function coerce(name: string, value: string): string | number | boolean {
  const schema = (environment.properties as Record<string, { type?: string }>)[name]
  if (schema?.type === 'boolean' && (value === 'true' || value === 'false')) return value === 'true'
  return schema?.type === 'integer' && /^[0-9]{1,15}$/.test(value) ? Number(value) : value
}
