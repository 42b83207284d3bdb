import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inspect } from 'node:util'
import Fastify from 'fastify'
import t from 'tap'
import { popularPosts } from '../../index.ts'
import { createRedisClient } from '../../lib/redis.ts'
import { readConfig, readLambdaConfig } from '../../service/config.ts'
import { makeCertificate } from '../helpers/certificate.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { runProgram } from '../helpers/program.ts'
import { temporaryDirectory } from '../helpers/temporary-directory.ts'

const S = 'hunter2secret'
const directory = await temporaryDirectory(t)
const { certFile, keyFile } = await makeCertificate(t)
const noCertificate = join(directory, 'no-certificate.pem')
await writeFile(noCertificate, S)

const ENCODE = /^a URL (?:such as scheme:\/\/user:password@host:port\/name, )?with @ as %40, .* # as %23, /
const ONE_HOST = /^a URL with one host/
const PORT = /^a URL with a port from 1 to 65535/

/** URLs of PostgreSQL, and the expected error; none: the service starts. */
const DATABASE: [url: string, expected?: RegExp][] = [
  ['postgres://localhost'],
  ['postgresql://u:p@localhost:5433/db'],
  [`postgres://u:${S}@[::1]:5432/db`],
  [`postgres://u:p@ss:${S}@h/db`],
  [`postgres://u:%40%2F%3F%23%25${S}@h/db`],
  ['postgres:///db?host=/var/run'],
  ['postgres://u@/db?host=/var/run/postgresql&port=5433'],
  ['postgres://%2Fvar%2Frun/db'],
  ['postgres://u:p@/db'],
  ['postgres://u@münchen.example/db'],
  ['postgres://h/db?application_name=blog&user=me'],
  ['postgres://u@h/db?options=me@here'],
  [`postgres://u:p@h/db?sslmode=verify-full&sslrootcert=${certFile}&sslcert=${certFile}&sslkey=${keyFile}`],
  ['postgres://u:p@h/db?sslmode=no-verify'],
  ['postgres://u:p@h/db?sslmode=&sslrootcert='],
  ['postgres://u:p@h/db?ssl=true'],
  [`${S}`, /^a URL that begins with postgres:\/\//],
  [`mysql://u:${S}@h/db`, /^a URL that begins with postgres:\/\//],
  [` postgres://u:${S}@h/db`, /^a URL that begins/],
  [`postgres:u:${S}@h/db`, /^a URL that begins/],
  [`postgres://u:${S}@host:99999/db`, ENCODE],
  [`postgres://u:${S}@host:0/db`, PORT],
  [`postgres://u:${S}@host:abc/db`, ENCODE],
  [`postgres://u:${S}@host/db?port=abc`, PORT],
  [`postgres://u:${S}@host/db?port=70000`, PORT],
  [`postgres://u:a%zz${S}@127.0.0.1:1/db`, ENCODE],
  [`postgres://u%:${S}@127.0.0.1:1/db`, ENCODE],
  [`postgres://u:${S}%ff@127.0.0.1:1/db`, ENCODE],
  [`postgres://u:${S}@h%zz/db`, ENCODE],
  [`postgres://u:${S}@127.0.0.1:1/db?host=%zz`, ENCODE],
  [`postgres://u:${S}@ho st/db`, ENCODE],
  [`postgres://u:a ${S}@h/db`, ENCODE],
  [`postgres://u:${S}@h/db\n`, ENCODE],
  [`postgres://u:${S}@h/db `, ENCODE],
  [`postgres://u:${S}@h%20x/db`, ONE_HOST],
  [`postgres://u:${S}@h/db?host=a%40b`, ONE_HOST],
  [`postgres://u:${S}@h1,h2/db`, ONE_HOST],
  [`postgres://u:${S}@h1:1,h2:2/db`, ENCODE],
  [`postgres://u:${S}#x@h/db`, ENCODE],
  [`postgres://u:12#${S}@h/db`, ENCODE],
  [`postgres://u:12/${S}@h/db`, ENCODE],
  [`postgres://u:12?${S}@h/db`, ENCODE],
  [`postgres://u@x:12/${S}@h/db`, ENCODE],
  [`postgres://u:${S}@[::1/db`, ENCODE],
  [`postgres://u:${S}@:5432/db`, ENCODE],
  ['postgres://u@h/db?options=-csearch_path%3Dblog&application_name=me&connect_timeout=5&pgbouncer=true'],
  ['postgres://u@h/db?schema=public'],
  ...['schema', 'search_path', 'currentSchema'].map((name): [string, RegExp] => [
    `postgres://u:${S}@h/db?${name}=${S}`,
    new RegExp(
      `^a URL without ${name}=, which has no effect: name the schema .* in the option schema \\(DATABASE_SCHEMA\\)`,
    ),
  ]),
  [`postgres://u:${S}@h/db?sslmode=bogus`, /^a URL with an sslmode of disable,prefer,require,/],
  [`postgres://u:${S}@h/db?sslmode=allow`, /sslmode/],
  [`postgres://u:${S}@h/db?ssl=false`, /^a URL with ssl=true, 1, 0 or no-verify/],
  [`postgres://u:${S}@h/db?sslnegotiation=${S}`, ENCODE],
  ...['sslrootcert', 'sslcert', 'sslkey'].flatMap((name): [string, RegExp][] => [
    [
      `postgres://u:${S}@h/db?${name}=/nope/${S}`,
      new RegExp(`^a URL whose ${name} is a file that this process may read`),
    ],
    [`postgres://u:${S}@h/db?${name}=${directory}`, new RegExp(`^a URL whose ${name} is a file`)],
    [
      `postgres://u:${S}@h/db?${name}=${noCertificate}`,
      /^a URL whose sslrootcert, sslcert and sslkey are certificates/,
    ],
  ]),
]

const SENTINELS = /^a URL of Redis itself: for Sentinels, pass a client as the option redis, new Redis\(\{ sentinels: /
const DB_INDEX = /^a URL whose path is a database index/
const SAME = /^the same user, password and TLS \(rediss:\/\/\) in each URL of a Cluster/
const HOST = /^a URL with a host, such as/
const SCHEME = /^a URL that begins with redis:\/\/ or rediss:\/\/, or several .* %2C\)/

/** The same for Redis. */
const REDIS: [urls: string, expected?: RegExp][] = [
  ['redis://localhost'],
  ['redis://localhost/'],
  [`rediss://u:${S}@cache.example:6380/2`],
  [`redis://:p@ss:${S}@h`],
  [`redis://:%40%2F%3F%23%25%2C${S}@h`],
  [`redis://:${S}@[::1]:6379`],
  [`redis://:${S}@a:1, redis://:${S}@b:2`],
  [`http://:${S}@h`, SCHEME],
  [`redis:${S}`, SCHEME],
  [S, SCHEME],
  [`redis://:a,${S}@h`, ENCODE],
  [`redis://h,${S}@h`, SCHEME],
  [`redis://a:1,`, SCHEME],
  [`redis://:${S}@host:99999`, ENCODE],
  [`redis://:${S}@host:0`, PORT],
  [`redis://:${S}@host:x`, ENCODE],
  [`redis://user:${S}@ho st`, ENCODE],
  [`redis://:a ${S}@h`, ENCODE],
  [`redis://:a%zz${S}@127.0.0.1:1`, ENCODE],
  [`redis://a%:${S}@127.0.0.1:1`, ENCODE],
  [`redis://:%ff${S}@127.0.0.1:1`, ENCODE],
  [`redis://:${S}@h%41`, HOST],
  [`redis://:${S}#x@127.0.0.1:1`, ENCODE],
  [`redis://u:12#${S}@h`, ENCODE],
  [`redis://u:12/${S}@h`, ENCODE],
  [`redis://u:12?${S}@h`, ENCODE],
  [`redis://:${S}@[::1`, ENCODE],
  [`redis://:${S}@:6379`, ENCODE],
  [`redis:///${S}`, HOST],
  ['redis://', HOST],
  [`redis://:${S}@127.0.0.1:1/abc`, DB_INDEX],
  [`redis://:${S}@127.0.0.1:1/-1`, DB_INDEX],
  [`redis://:${S}@127.0.0.1:1/1/2`, DB_INDEX],
  [
    `redis://:${S}@127.0.0.1:1/0?db=2`,
    /^a URL without parameters: a database index is the path, such as \/1; for Sent/,
  ],
  [`redis://:${S}@127.0.0.1:1?sentinelMasterId=m`, /^a URL without parameters: .*; for Sentinels, pass a client as/],
  [`redis+sentinel://:${S}@a:26379,b:26379/m`, SENTINELS],
  [`redis-sentinel://:${S}@a:26379,b:26379/0#m`, SENTINELS],
  [`rediss+sentinel://a:26379?master=${S}`, SENTINELS],
  [`sentinel://:${S}@a:26379`, SENTINELS],
  [`redis://a:26379,redis+sentinel://:${S}@b:26379`, SENTINELS],
  [`redis://:${S}@127.0.0.1:1/mymaster`, DB_INDEX],
  [`redis://:${S}@127.0.0.1:1/1.5`, DB_INDEX],
  [`redis://:${S}@127.0.0.1:1/%31`, DB_INDEX],
  [`rediss://:${S}@[::1]:6379/1`],
  [`rediss://:${S}@127.0.0.1:6379`],
  [`redis://:${S}@[::1]`],
  [`redis://:${S}@::1:6379`, ENCODE],
  [`redis://127.0.0.1:1,redis://:${S}@h:99999`, ENCODE],
  [`redis://a:1,redis://:${S}@b:2`, SAME],
  [`redis://:${S}@a:1,redis://b:2`, SAME],
  [`redis://ann:${S}@a:1,redis://bob:${S}@b:2`, SAME],
  [`redis://:${S}@a:1,rediss://:${S}@b:2`, SAME],
  [`redis://:${S}@a:1,redis://:${S}@b:2/1`, /^no database index in a URL of a Cluster/],
]

const TABLES = { databaseUrl: ['DATABASE_URL', DATABASE], redisUrl: ['REDIS_URL', REDIS] } as const
const load = async () => []

for (const [option, [variable, rows]] of Object.entries(TABLES)) {
  for (const [url, expected] of rows) {
    t.test(
      `${option} ${JSON.stringify(url.replaceAll(directory, '…'))}: ${expected ? 'refused' : 'taken'}`,
      async (t) => {
        const lines: string[] = []
        const app = Fastify({ logger: { level: 'trace', stream: { write: (line) => lines.push(line) } } })
        // Nothing connects before the app is ready; other tests check connections.
        const registering = Promise.resolve(
          app.register(popularPosts, { load, [option]: url, routes: false, backgroundWork: false }),
        )
        const error: unknown = await registering.then(
          () => undefined,
          (error: unknown) => error,
        )
        const configuring = () => readConfig({ [variable]: url })
        if (expected === undefined) {
          t.equal(error, undefined)
          t.doesNotThrow(configuring)
          await app.close()
          return
        }
        app.log.error(error)
        t.match(error, { code: 'PP_INVALID_OPTIONS', message: `are not usable: ${option}: expected ` })
        t.match(String((error as Error).message).split(': expected ')[1], expected)
        t.match((error as Error).message, /, got something else\.$/)
        t.notMatch(inspect(error, { depth: 9, showHidden: true }) + lines.join(), S)
        try {
          configuring()
          t.fail('expected a refusal')
        } catch (error) {
          t.equal((error as Error).name, 'ConfigError')
          t.match((error as Error).message.split(`  ${variable}: expected `)[1], expected)
          t.notMatch(inspect(error, { depth: 9, showHidden: true }), S)
        }
      },
    )
  }
}

t.test('a single node of a Cluster has no database index either', async (t) => {
  t.throws(() => readConfig({ REDIS_URL: 'redis://a:1/1', REDIS_CLUSTER: 'true' }), { message: /no database index/ })
  t.throws(() => createRedisClient(`redis://:${S}@a:1/1`, true), { name: 'WrongUrl', message: /no database index/ })
})

t.test('a wrong URL and another wrong value are named together', async (t) => {
  t.throws(() => readConfig({ PORT: 'x', DATABASE_URL: 'x', REDIS_URL: 'x' }), {
    message: /PORT: expected .*\n.*DATABASE_URL: expected .*\n.*REDIS_URL: expected /,
  })
  t.throws(() => readLambdaConfig({ DATABASE_URL: `postgres://u:${S}@h:99999`, REDIS_URL: 'redis://h' }), {
    message: /DATABASE_URL: expected/,
  })
})

t.test('the command line names the wrong settings, and does not show their values', async (t) => {
  for (const env of [{ DATABASE_URL: `postgres://u:${S}@h:99999/db` }, { REDIS_URL: `redis://:${S}@h:99999` }]) {
    const program = runProgram(t, 'bin/popular-posts.ts', { args: ['invalidate'], env })
    t.equal(await program.ended(), 1)
    t.match(program.stderr(), `${Object.keys(env)[0]}: expected a URL`)
    t.notMatch(program.stderr() + program.stdout(), S)
  }
})

t.test('an accepted URL is used: the server of the tests', async (t) => {
  const { url } = await createTestDatabase(t)
  t.equal(readConfig({ DATABASE_URL: url }).databaseUrl, url)
})
