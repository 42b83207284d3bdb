import t from 'tap'
import { type ConfigError, readConfig, readLambdaConfig } from '../../service/config.ts'

t.test('without variables the configuration has the defaults, frozen', async (t) => {
  const config = readConfig({})
  t.same(config, {
    host: '127.0.0.1',
    port: 3000,
    logLevel: 'info',
    hasSite: true,
    hasDocs: true,
    hasMetrics: true,
    databaseUrl: undefined,
    databaseServiceUser: undefined,
    dataDir: './data',
    redisUrl: undefined,
    redisCluster: false,
    adminToken: undefined,
    backgroundWork: true,
    siteTimeZone: 'UTC',
    combineFilters: false,
    days: undefined,
    viewDedupSeconds: 900,
    readersPerAddress: 20,
    ignore: [],
    viewOrigins: [],
    loadTimeoutSeconds: 30,
    waitTimeoutSeconds: 5,
    iam: {},
    trustProxy: false,
    cloudFrontKey: undefined,
    corsOrigins: [],
    cache: { redisPrefix: 'blog:popular', ttlSeconds: 1800, staleSeconds: 3600, failSafeSeconds: 86_400 },
  })
  t.ok(Object.isFrozen(config) && Object.isFrozen(config.cache))
  t.type(readConfig().port, 'number', 'the process is the default source')
})

t.test('variables are read by their types; empty and unknown ones are ignored', async (t) => {
  const config = readConfig({
    PORT: '0',
    LOG_LEVEL: '',
    DATABASE_URL: 'postgresql://user:secret@db.example/blog',
    SITE_TIME_ZONE: 'Asia/Kolkata',
    CACHE_TTL_SECONDS: '900',
    REDIS_URL: 'rediss://a.example:7001, rediss://b.example:7002',
    REDIS_CLUSTER: 'true',
    TRUST_PROXY: 'loopback, 10.0.0.0/8, 192.0.2.1, 2001:db8::/32, fd00::1',
    CLOUDFRONT_KEY: '0123456789abcdef',
    CORS_ORIGIN: 'https://blog.example, http://localhost:8080',
    ADMIN_TOKEN: '0123456789abcdef',
    IGNORE: '203.0.113.7, 2001:db8::/48, user-agent: UptimeRobot',
    VIEW_ORIGINS: 'https://blog.example, http://localhost:8080',
    READERS_PER_ADDRESS: '0',
    DAYS: '1, 7,30,365 ,0',
    SOMETHING_ELSE: 'x',
  })
  t.match(config, {
    port: 0,
    logLevel: 'info',
    hasSite: true,
    hasDocs: true,
    hasMetrics: true,
    databaseUrl: 'postgresql://user:secret@db.example/blog',
    siteTimeZone: 'Asia/Kolkata',
    redisUrl: 'rediss://a.example:7001, rediss://b.example:7002',
    redisCluster: true,
    trustProxy: 'loopback, 10.0.0.0/8, 192.0.2.1, 2001:db8::/32, fd00::1',
    cloudFrontKey: '0123456789abcdef',
    corsOrigins: ['https://blog.example', 'http://localhost:8080'],
    ignore: ['203.0.113.7', '2001:db8::/48', 'user-agent: UptimeRobot'],
    viewOrigins: ['https://blog.example', 'http://localhost:8080'],
    readersPerAddress: 0,
    days: [1, 7, 30, 365, 0],
    adminToken: '0123456789abcdef',
    cache: { ttlSeconds: 900 },
  })
})

t.test('each wrong value is refused by name', async (t) => {
  const wrong: [string, string, RegExp][] = [
    ['PORT', '1e3', /PORT: expected an integer from 0 to 65535, got "1e3"/],
    ['PORT', '65536', /PORT: expected an integer from 0 to 65535, got 65536/],
    ['PORT', ' 7', /got " 7"/],
    ['LOG_LEVEL', 'loud', /LOG_LEVEL: expected fatal, error, warn, info, debug, trace or silent, got "loud"/],
    ['SITE_TIME_ZONE', 'Mars/Olympus', /SITE_TIME_ZONE: expected the name of an IANA time zone/],
    ['SITE_TIME_ZONE', '+05:30', /IANA/],
    ['TRUST_PROXY', 'true', /TRUST_PROXY: expected addresses and networks .* got "true"/],
    ['TRUST_PROXY', '1', /expected addresses/],
    ['TRUST_PROXY', '127.1', /expected addresses/],
    ['TRUST_PROXY', '10.0.0.0/8,', /expected addresses/],
    ['TRUST_PROXY', '0.0.0.0/0', /expected addresses/],
    ['TRUST_PROXY', 'loopback, ::/0', /expected addresses/],
    [
      'CLOUDFRONT_KEY',
      'short',
      /CLOUDFRONT_KEY: expected at least 16 printable ASCII characters, .*, got something else/,
    ],
    ['CLOUDFRONT_KEY', '0123456789 abcdef', /CLOUDFRONT_KEY: expected/],
    ['IGNORE', 'UptimeRobot', /IGNORE: expected addresses and networks such as .*, with commas between them, got "Upt/],
    ['IGNORE', '10.0.0.0/33', /IGNORE/],
    ['IGNORE', '10.0.0.1,', /IGNORE/],
    ['READERS_PER_ADDRESS', '-1', /READERS_PER_ADDRESS/],
    ['VIEW_ORIGINS', 'https://blog.example/', /VIEW_ORIGINS: expected origins such as/],
    ['CORS_ORIGIN', 'blog.example', /CORS_ORIGIN: expected origins such as https:\/\/blog\.example, .*, or \*, got/],
    ['CORS_ORIGIN', 'https://blog.example/', /CORS_ORIGIN/],
    ['CORS_ORIGIN', '*, https://blog.example', /CORS_ORIGIN/],
    ['VIEW_DEDUP_SECONDS', '86401', /an integer from 1 to 86400/],
    ['CACHE_PREFIX', 'a{b', /CACHE_PREFIX: expected 1 to 100 characters without spaces, with one pair of braces/],
    ['CACHE_TTL_SECONDS', '0', /CACHE_TTL_SECONDS: expected an integer from 1 to 31536000, got 0/],
    ['CACHE_STALE_SECONDS', '-1', /CACHE_STALE_SECONDS/],
    ['VIEW_DEDUP_SECONDS', '15m', /VIEW_DEDUP_SECONDS/],
    ['REDIS_URL', 'http://a', /REDIS_URL: expected a URL that begins with redis:.*, got something else/],
    [
      'DAYS',
      '7,30,30',
      /DAYS: expected integers from 0 \(all time\) to 365, .*, none twice, 30 among them, got "7,30,30"/,
    ],
    ['DAYS', '1,7', /DAYS: expected .* 30 among them, got "1,7"/],
    ['DAYS', '30,366', /DAYS/],
    ['DAYS', '30,-1', /DAYS/],
    ['DAYS', '30,7.5', /DAYS/],
    ['DAYS', '30,', /DAYS/],
    ['DAYS', ',', /DAYS/],
    ['DAYS', '[7,30]', /DAYS/],
    ['DAYS', '7;30', /DAYS/],
    ['DAYS', '30,007', /DAYS/],
    ['COMBINE_FILTERS', '1', /COMBINE_FILTERS: expected true or false, got "1"/],
    ['REDIS_CLUSTER', 'yes', /REDIS_CLUSTER: expected true or false, got "yes"/],
    ['ADMIN_TOKEN', 'short', /ADMIN_TOKEN: expected at least 16 printable ASCII characters, .*, got something else/],
    ['ADMIN_TOKEN', ' '.repeat(20), /ADMIN_TOKEN: expected/],
    ['ADMIN_TOKEN', ' 0123456789abcdef', /ADMIN_TOKEN: expected/],
    ['ADMIN_TOKEN', '0123456789abcdef\n', /ADMIN_TOKEN: expected/],
    ['ADMIN_TOKEN', '\t0123456789abcdef', /ADMIN_TOKEN: expected/],
    ['ADMIN_TOKEN', '\u00a0'.repeat(20), /ADMIN_TOKEN: expected/],
    ['ADMIN_TOKEN', '0123456789\nabcdef', /ADMIN_TOKEN: expected/],
    ['ADMIN_TOKEN', 'schlüsselschlüssel', /ADMIN_TOKEN: expected/],
  ]
  for (const [name, value, message] of wrong) {
    t.throws(() => readConfig({ [name]: value }), { name: 'ConfigError', message }, `${name}=${value}`)
  }
})

t.test('one error names all wrong variables, without secrets', async (t) => {
  try {
    readConfig({
      PORT: 'x',
      LOG_LEVEL: 'y',
      DATABASE_URL: 'mysql://user:secret@host/db',
      CACHE_PREFIX: 'p'.repeat(101),
    })
    t.fail('expected a refusal')
  } catch (error) {
    const { message } = error as ConfigError
    t.equal(message.split('\n').length, 5)
    t.match(message, /DATABASE_URL: expected a URL that begins with postgres:\/\/ or postgresql:\/\//)
    t.notMatch(message, /secret|host\/db/)
    t.match(message, /"p{59}…/, 'long values are cut')
  }
})

const aws = { AWS_REGION: 'eu-central-1', AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'hidden' }

t.test('with IAM no password is needed', async (t) => {
  t.same(readConfig({ ...aws, DATABASE_URL: 'postgres://ann@db.example/blog' }).iam, {}, 'where it is wanted')
  const { iam } = readConfig({
    ...aws,
    AWS_SESSION_TOKEN: 'session',
    DATABASE_URL: 'postgres://ann%40x@db.example:5433/blog',
    DATABASE_IAM: 'true',
    REDIS_URL: 'rediss://bob@a.example:6379,rediss://bob@b.example',
    REDIS_IAM_CACHE: 'lists',
    REDIS_IAM_KIND: 'nodes',
  })
  const signer = {
    region: 'eu-central-1',
    accessKeyId: 'AKIDEXAMPLE',
    secretAccessKey: 'hidden',
    sessionToken: 'session',
  }
  t.same(iam, {
    database: { signer, host: 'db.example', port: 5433, user: 'ann@x' },
    redis: { signer, cache: 'lists', isServerless: false, user: 'bob' },
  })
  const defaults = readConfig({ ...aws, DATABASE_URL: 'postgres://ann@db.example/blog', DATABASE_IAM: 'true' })
  t.equal(defaults.iam.database?.port, 5432)
})

t.test('IAM with conflicting settings is refused, without secrets in the error', async (t) => {
  const rediss = { REDIS_URL: 'rediss://bob@a.example', REDIS_IAM_CACHE: 'lists' }
  const wrong: [NodeJS.ProcessEnv, RegExp][] = [
    [
      { DATABASE_IAM: 'true', DATABASE_URL: 'postgres://ann@db.example/blog' },
      /AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET/,
    ],
    [{ ...aws, DATABASE_IAM: 'true' }, /DATABASE_URL: expected a user, a host and no password with DATABASE_IAM/],
    [
      { ...aws, DATABASE_IAM: 'true', DATABASE_URL: 'postgres://ann:hidden@db.example/blog' },
      /DATABASE_URL: expected a user/,
    ],
    [
      { ...aws, DATABASE_IAM: 'true', DATABASE_URL: 'postgres://ann@/blog?host=/var/run' },
      /DATABASE_URL: expected a user, a host/,
    ],
    [
      { ...aws, REDIS_IAM_CACHE: 'lists' },
      /REDIS_URL: expected rediss:\/\/, a user and no password with REDIS_IAM_CACHE/,
    ],
    [{ ...aws, ...rediss, REDIS_URL: 'redis://bob@a.example' }, /REDIS_URL: expected rediss/],
    [{ ...aws, ...rediss, REDIS_URL: 'rediss://a.example' }, /REDIS_URL: expected rediss/],
    [{ ...aws, ...rediss, REDIS_URL: 'rediss://bob:hidden@a.example' }, /REDIS_URL: expected rediss/],
    [{ ...aws, ...rediss, REDIS_IAM_CACHE: 'Lists' }, /REDIS_IAM_CACHE: expected the name of an ElastiCache cache/],
    [{ ...aws, ...rediss, REDIS_IAM_KIND: 'cluster' }, /REDIS_IAM_KIND: expected serverless or nodes/],
  ]
  for (const [variables, message] of wrong) {
    try {
      readConfig(variables)
      t.fail(`expected a refusal: ${message}`)
    } catch (error) {
      t.match((error as ConfigError).message, message)
      t.notMatch((error as ConfigError).message, /hidden/)
    }
  }
})

t.test('AWS Lambda requires a database URL and a Redis URL', async (t) => {
  const [DATABASE_URL, REDIS_URL] = ['postgres://db.example/blog', 'redis://a.example']
  for (const variables of [{}, { DATABASE_URL }, { REDIS_URL }])
    t.throws(() => readLambdaConfig(variables), { name: 'ConfigError', message: /set DATABASE_URL and REDIS_URL/ })
  t.equal(readLambdaConfig({ DATABASE_URL, REDIS_URL }).databaseUrl, DATABASE_URL)
  t.same(readLambdaConfig({ DATABASE_URL, REDIS_URL, DAYS: '7,30' }).days, [7, 30])
})
