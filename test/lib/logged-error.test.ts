import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { runInNewContext } from 'node:vm'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { NoResultError } from 'kysely'
import pg from 'pg'
import t, { type Test } from 'tap'
import popularPosts, { type PopularPostsOptions } from '../../index.ts'
import { loggedError } from '../../lib/logged-error.ts'
import { servicesOf } from '../../plugins/popular-posts.ts'
import { logEvent } from '../../telemetry/log-event.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { redisUrl, startRedis } from '../helpers/redis.ts'
import { redisCommand } from '../helpers/redis-command.ts'
import { until } from '../helpers/services/until.ts'

const SECRET = 'hunter2secret'

type Line = Record<string, unknown> & { msg: string; err?: { type: string; code?: string; message?: string } }

/** An app with the plugin, and its log at level trace. */
async function createHost(t: Test, options: PopularPostsOptions) {
  const lines: Line[] = []
  const app = Fastify({ logger: { level: 'trace', stream: { write: (line) => lines.push(JSON.parse(line)) } } })
  t.teardown(() => app.close())
  await app.register(popularPosts, options)
  return { app, lines, of: (event: string) => lines.filter(({ msg }) => msg === `popular posts: ${event}`) }
}

async function thrownBy(work: () => unknown): Promise<unknown> {
  try {
    await work()
  } catch (error) {
    return error
  }
  throw new Error('expected an error')
}

/** Listens on a port, which is returned, until the test ends. */
async function listen(t: Test, serve: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    t.teardown(() => void socket.destroy())
    socket.on('error', () => {})
    serve(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => void server.close())
  return (server.address() as AddressInfo).port
}

function fail(): never {
  throw new TypeError('not a list')
}

const { url, pool } = await createTestDatabase(t)
const sql = (text: string) => thrownBy(() => pool.query(text))

/** Errors of `load`, and their text in the log. */
const REJECTIONS: Record<string, [error: unknown, logged: Record<string, unknown>]> = {
  'a TypeError of the loader': [
    await thrownBy(() => (undefined as unknown as { id: string }).id),
    { type: 'TypeError', message: /^Cannot read properties of undefined/, stack: /logged-error\.test/ },
  ],
  'a string': [`down`, { type: 'string', message: 'down' }],
  undefined: [undefined, { type: 'undefined', message: 'undefined' }],
  null: [null, { type: 'object', message: 'null' }],
  'an object': [{ status: 502 }, { type: 'object', message: '{ status: 502 }' }],
  'an object with a message': [
    { name: 'Odd', message: 'odd' },
    { type: 'Object', message: 'odd' },
  ],
  'an error of another realm': [runInNewContext('new RangeError("far")'), { type: 'RangeError', message: 'far' }],
  'an error with a code': [Object.assign(new Error('slow'), { code: 'ESLOW' }), { code: 'ESLOW', message: 'slow' }],
  'a file that is not there': [
    Object.assign(new Error("ENOENT: no such file, open '/posts.json'"), { code: 'ENOENT', syscall: 'open' }),
    { code: 'ENOENT', message: /posts\.json/ },
  ],
  'an AggregateError': [
    new AggregateError([new Error('one'), await sql(`select '${SECRET}'::int`)], 'both failed'),
    {
      type: 'AggregateError',
      message: 'both failed',
      aggregateErrors: [{ message: 'one' }, { type: 'DatabaseError', code: '22P02', message: undefined }],
    },
  ],
  'an error with causes': [
    new Error('outer', { cause: new RangeError('middle', { cause: 'inner' }) }),
    { type: 'Error', message: 'outer: middle: inner', stack: /caused by: RangeError: middle/ },
  ],
  'an error whose cause is an error of PostgreSQL': [
    new Error('the shop is closed', { cause: await sql(`select '${SECRET}'::int`) }),
    { message: 'the shop is closed', cause: { type: 'DatabaseError', code: '22P02', message: undefined } },
  ],
  'an error that repeats the message of its cause': [
    await sql(`select '${SECRET}'::int`).then((cause) => new Error(`failed: ${(cause as Error).message}`, { cause })),
    { message: 'failed: (not shown)', stack: /failed: \(not shown\)/ },
  ],
  "Kysely's NoResultError": [new NoResultError({ kind: 'SelectQueryNode' } as never), { message: 'no result' }],
  'an error of PostgreSQL': [
    await sql(`select * from ${SECRET}`),
    { type: 'DatabaseError', code: '42P01', message: undefined, stack: undefined },
  ],
  'a statement that a library quotes': [
    Object.assign(new Error(`Failed query: select ${SECRET}`), { query: `select ${SECRET}`, params: [SECRET] }),
    { type: 'Error', message: undefined },
  ],
  'an error of MySQL': [
    Object.assign(new Error(`Access denied for '${SECRET}'`), { code: 'ER_ACCESS_DENIED', sqlState: '28000' }),
    { code: 'ER_ACCESS_DENIED', message: undefined },
  ],
  'an error of SQLite': [
    Object.assign(new Error(`no such table: ${SECRET}`), { code: 'SQLITE_ERROR' }),
    { code: 'SQLITE_ERROR', message: undefined },
  ],
  'an error of Sequelize': [
    Object.assign(new Error(`relation ${SECRET}`), { sql: `select ${SECRET}` }),
    { type: 'Error', message: undefined },
  ],
  'an error of Redis': [
    await redisUrl().then(async (at) => {
      const redis = new Redis(at)
      const error = await thrownBy(() => redis.call('NO-SUCH-COMMAND', SECRET))
      redis.disconnect()
      return error
    }),
    { type: 'SimpleError', code: 'ERR', message: undefined, stack: undefined },
  ],
  // Copied from Redis 6.0.16.
  ...Object.fromEntries(
    [
      ['OOM', "@user_script:1: @user_script: 1: -OOM command not allowed when used memory > 'maxmemory'."],
      ['WRONGTYPE', '@user_script:1: WRONGTYPE Operation against a key holding the wrong kind of value'],
      ['ERR', '@user_script:1: @user_script: 1: This Redis command is not allowed from scripts'],
    ].map(([code, reply]) => [
      `${code} in a script, as Redis 6 reports it`,
      [
        Object.assign(new Error(`ERR Error running script (call to f_${SECRET}): ${reply}`), {
          command: { name: 'evalsha', args: [SECRET] },
        }),
        { type: 'Error', code, message: undefined, stack: undefined },
      ] as [unknown, Record<string, unknown>],
    ]),
  ),
  'an error of Redis without a code': [
    Object.assign(new Error(`what is ${SECRET}?`), { command: { name: 'get', args: [SECRET] } }),
    { type: 'Error', code: undefined, message: undefined, stack: undefined },
  ],
  'a host name that is unknown': [
    Object.assign(new Error(`getaddrinfo ENOTFOUND ${SECRET}`), { code: 'ENOTFOUND', syscall: 'getaddrinfo' }),
    { type: 'Error', code: 'ENOTFOUND', message: undefined },
  ],
  'an error whose properties throw': [
    Object.defineProperties(new Error('x'), { message: { get: fail }, code: { get: fail }, cause: { get: fail } }),
    { type: 'Error', message: '(the message cannot be read)' },
  ],
  'an object without a class': [
    Object.assign(Object.create(null) as object, { message: 'bare' }),
    { type: 'Error', message: 'bare' },
  ],
  'a class without a name': [new (class extends Error {})('nameless'), { type: 'Error', message: 'nameless' }],
}

for (const [name, [error, logged]] of Object.entries(REJECTIONS)) {
  t.test(`a load that rejects with ${name}: the log names the cause, and no secret`, async (t) => {
    const { app, lines, of } = await createHost(t, { load: () => Promise.reject(error) })
    const response = await app.inject('/posts/popular')
    t.match(response.json(), {
      statusCode: 503,
      code: 'PP_LOAD_FAILED',
      message: 'Expected the list to load, but loading it failed.',
    })
    t.match(of('load-failed'), [{ level: 40, why: 'load', err: logged }])
    t.notMatch(JSON.stringify(lines), SECRET)
  })
}

t.test('an error that cannot be read is logged as unknown', async (t) => {
  const { proxy, revoke } = Proxy.revocable([], {})
  revoke()
  t.same(loggedError(Object.assign(new Error('x'), { errors: proxy })), { type: 'unknown' })
  const circular = new Error('round')
  circular.cause = circular
  t.equal(JSON.stringify(loggedError(circular)).match(/"round"/g)?.length, 6, 'causes are followed some steps')
  t.equal(loggedError(new Error('x'.repeat(20_000))).message?.length, 10_000)
})

t.test('an error of each loader is logged, in each kind of refresh', async (t) => {
  const logged = { level: 40, err: { type: 'TypeError', message: 'not a list' } }
  await t.test('loadCategories', async (t) => {
    const { app, of } = await createHost(t, { load: async () => [], loadCategories: async () => fail() })
    t.equal((await app.inject('/categories')).statusCode, 503)
    t.match(of('load-failed'), [logged])
  })
  await t.test('loadFilters', async (t) => {
    const { app, of } = await createHost(t, { load: async () => [], loadFilters: async () => fail() })
    t.equal((await app.inject('/posts/popular?tag=a')).statusCode, 503)
    t.match(of('load-failed'), [logged])
  })
  await t.test('load, in a soft refresh', async (t) => {
    let isFailing = false
    const { app, of } = await createHost(t, { load: async () => (isFailing ? fail() : [{ slug: 'a' }]) })
    await app.popularPosts.get()
    isFailing = true
    await app.popularPosts.invalidate('soft')
    t.equal((await app.inject('/posts/popular')).statusCode, 200)
    await servicesOf(app).idle()
    t.match(of('load-failed'), [{ ...logged, why: 'refresh', isServedStale: true }])
  })
  await t.test('load, in the maintenance', async (t) => {
    const { app, of } = await createHost(t, { load: async () => fail(), databaseUrl: url, backgroundWork: false })
    await t.rejects(servicesOf(app).database?.maintain({ categories: [] }) as Promise<unknown>, {
      name: 'AggregateError',
    })
    t.match(of('load-failed'), [logged])
  })
  await t.test('databasePassword', async (t) => {
    // This server requires a password, unlike the server of the tests.
    const port = await listen(t, (socket) => {
      socket.once('data', () => socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3])))
      socket.on('end', () => socket.destroy())
    })
    const { app, lines, of } = await createHost(t, {
      databaseUrl: `postgres://ann@127.0.0.1:${port}/db`,
      databasePassword: fail,
    })
    t.equal((await app.inject('/posts/popular')).statusCode, 503)
    t.match(of('load-failed'), [logged])
    t.match(
      lines.find(({ msg }) => msg === 'popular posts: the database could not be polled for changes, retrying'),
      logged,
    )
  })
})

t.test('a redisPassword that throws is logged once, and Redis is used when it works again', async (t) => {
  const server = await startRedis()
  t.teardown(() => server.stop())
  await redisCommand(server.port, 'CONFIG', 'SET', 'requirepass', SECRET)
  let isFailing = true
  const { app, lines, of } = await createHost(t, {
    load: async () => [{ slug: 'a' }],
    redisUrl: server.url,
    redisPassword() {
      if (isFailing) fail()
      return SECRET
    },
  })
  t.equal((await app.inject('/posts/popular')).statusCode, 200)
  t.match(of('redisPassword failed'), [{ level: 40, err: { type: 'TypeError', message: 'not a list' } }])
  isFailing = false
  await until(async () => {
    await app.inject('/posts/popular')
    return !app.popularPosts.stats().isStoreDown
  }, 'Redis is used')
  t.equal(of('redisPassword failed').length, 1)
  t.notMatch(JSON.stringify(lines), SECRET)
})

t.test('real connections that fail: no address, user or statement in the log', async (t) => {
  const port = await listen(t, (socket) => socket.destroy())
  const { user, password, host, port: own } = new pg.Client({ connectionString: url })
  const urls = {
    'a port that nothing listens on': `postgres://${SECRET}:${SECRET}@127.0.0.1:9/${SECRET}`,
    'a server that hangs up': `postgres://${SECRET}:${SECRET}@127.0.0.1:${port}/${SECRET}`,
    'a host that is unknown': `postgres://${SECRET}@${SECRET}.invalid/db`,
    'a database that is unknown': `postgres://${user}:${password ?? ''}@${host}:${own}/${SECRET}`,
  }
  for (const [name, databaseUrl] of Object.entries(urls)) {
    await t.test(name, async (t) => {
      const { app, lines, of } = await createHost(t, { databaseUrl })
      const response = await app.inject('/posts/popular')
      t.equal(response.statusCode, 503)
      t.match(of('load-failed'), [{ err: { type: String } }])
      t.notMatch(JSON.stringify(lines) + response.body, SECRET)
    })
  }
})

t.test('errors of background tasks are logged', async (t) => {
  const logged: unknown[] = []
  const level = (name: string) => (details: object, message: string) => logged.push([name, message, details])
  const log = { debug: level('debug'), info: level('info'), warn: level('warn') }
  logEvent(log, { type: 'takeover', key: 'a' })
  logEvent(log, { type: 'background-failed', error: new TypeError('a bug') })
  t.match(logged, [
    ['info', 'popular posts: takeover', { key: 'a' }],
    ['warn', 'popular posts: background-failed', { err: { type: 'TypeError', message: 'a bug' } }],
  ])
})
