import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import t, { type Test } from 'tap'
import { createCloser } from '../../composition/closer.ts'
import { freePort } from '../../db/embedded/server.ts'
import { migrateToLatest } from '../../db/migrate.ts'
import { openDatabase } from '../../db/open-database.ts'
import type { Database } from '../../db/schema.ts'
import { type PopularPostsOptions, popularPosts } from '../../index.ts'
import { fillBlog } from '../helpers/blog.ts'
import { type PrivatePostgres, startPostgres } from '../helpers/private-postgres.ts'
import { runProgram } from '../helpers/program.ts'
import { type RedisServer, redisUrl, startRedis } from '../helpers/redis.ts'
import { startProxy } from '../helpers/tcp-proxy.ts'

/** A close takes 3.3 s at most; the machine may be slow. Before, it took 10 s, 30 s, or for ever. */
const ENDS_MS = 9_000
const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/144.0' }
const load = async () => [{ slug: 'a' }]

async function startApp(options: PopularPostsOptions) {
  const warnings: string[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line) => void warnings.push(line) } } })
  await app.register(popularPosts, options)
  await app.ready()
  return { app, warnings }
}

async function closes(t: Test, app: FastifyInstance): Promise<void> {
  const startedAtMs = performance.now()
  await app.close()
  const tookMs = Math.round(performance.now() - startedAtMs)
  t.ok(tookMs < ENDS_MS, `close() ends after ${tookMs} ms`)
}

t.test('a load that hangs', async (t) => {
  let loads = 0
  const hangs = () => (loads++ === 0 ? load() : new Promise<never>(() => {}))
  const { app, warnings } = await startApp({ load: hangs, ttlSeconds: 1 })
  await app.inject('/posts/popular')
  await new Promise((resolve) => setTimeout(resolve, 1_300))
  await app.inject('/posts/popular')
  t.equal(loads, 2, 'a refresh hangs in the background')
  await closes(t, app)
  t.match(warnings.join(), /"part":"loads of lists".*did not close in time/)
})

t.test('a load that hangs, in memory and on Redis: nothing keeps the process alive after close()', async (t) => {
  for (const isRefresh of [false, true])
    for (const where of ['memory', 'own client', "host's client"]) {
      const redis = where === 'memory' ? {} : { redisUrl: await redisUrl() }
      const program = runProgram(t, 'test/fixtures/hanging-load.ts', {
        args: [JSON.stringify({ isRefresh, isOwnClient: where === 'own client', ...redis })],
        isCovered: false,
      })
      await program.says(/closed/, 60_000)
      const startedAtMs = performance.now()
      t.equal(await program.ended(), 0)
      const tookMs = Math.round(performance.now() - startedAtMs)
      t.ok(tookMs < ENDS_MS, `${isRefresh ? 'a refresh' : 'a first load'}, ${where}: it ends after ${tookMs} ms`)
    }
})

t.test('Redis does not reply', async (t) => {
  const how: Record<string, (server: RedisServer, wire: Awaited<ReturnType<typeof startProxy>>) => unknown> = {
    frozen: (server) => server.kill('SIGSTOP'),
    killed: (server) => server.kill(),
    'half-open': (_server, wire) => wire.cut('half-open'),
    silent: (_server, wire) => wire.silence(),
  }
  for (const [name, breakIt] of Object.entries(how)) {
    for (const isOwn of [true, false]) {
      const server = await startRedis()
      const wire = await startProxy(t, server.port)
      const client = new Redis(wire.port, { maxRetriesPerRequest: null }).on('error', () => {})
      const redis = isOwn ? { redisUrl: `redis://127.0.0.1:${wire.port}` } : { redis: client }
      const { app } = await startApp({ load, ...redis })
      t.equal((await app.inject('/posts/popular')).statusCode, 200)
      await breakIt(server, wire)
      await t.test(`${name}, ${isOwn ? 'own' : "host's"} client`, (t) => closes(t, app))
      client.disconnect()
      await server.stop()
    }
  }
})

t.test("Redis was never there: a host's client that retries for ever", async (t) => {
  const client = new Redis(await freePort(), { maxRetriesPerRequest: null }).on('error', () => {})
  t.teardown(() => client.disconnect())
  const { app } = await startApp({ load, redis: client })
  await app.inject('/posts/popular')
  await closes(t, app)
})

t.test('PostgreSQL does not reply', async (t) => {
  const server = await startPostgres()
  t.teardown(() => server.remove())
  const db = openDatabase(server.url, () => {})
  await migrateToLatest(db)
  await fillBlog(db, 3)
  await db.destroy()

  const how: Record<string, (server: PrivatePostgres, wire: Awaited<ReturnType<typeof startProxy>>) => unknown> = {
    frozen: (server) => server.kill('SIGSTOP'),
    'half-open': (_server, wire) => wire.cut('half-open'),
    silent: (_server, wire) => wire.silence(),
    reset: (_server, wire) => wire.cut('reset'),
  }
  for (const [name, breakIt] of Object.entries(how)) {
    for (const isOwn of [true, false]) {
      const wire = await startProxy(t, server.port)
      const url = `postgres://postgres@127.0.0.1:${wire.port}/postgres`
      const pool = new pg.Pool({ connectionString: url })
      pool.on('error', () => {})
      pool.on('connect', (client) => void client.on('error', () => {}))
      const hostDb = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
      const { app, warnings } = await startApp({
        ...(isOwn ? { databaseUrl: url } : { db: hostDb }),
        viewFlushSeconds: 0,
      })
      t.equal((await app.inject('/posts/popular')).statusCode, 200)
      await app.inject({ method: 'POST', url: '/posts/post-1/views', headers })
      await breakIt(server, wire)
      // A view that waits, a list that is being loaded, a slug that is being looked up.
      for (const slug of ['post-1', 'post-2'])
        app.inject({ method: 'POST', url: `/posts/${slug}/views`, headers }).catch(() => {})
      app.inject('/posts/popular?days=8').catch(() => {})
      await new Promise((resolve) => setTimeout(resolve, 50))
      await t.test(`${name}, ${isOwn ? 'databaseUrl' : "the host's db"}`, async (t) => {
        await closes(t, app)
        if (name === 'frozen' || name === 'silent') t.match(warnings.join(), /did not close in time/)
      })
      if (name === 'frozen') await server.kill('SIGCONT')
      await wire.stop()
      void pool.end()
    }
  }
})

t.test('PostgreSQL is not there, or silent, from the start', async (t) => {
  const refused = await startApp({ databaseUrl: `postgres://postgres@127.0.0.1:${await freePort()}/postgres` })
  await refused.app.inject('/posts/popular')
  await closes(t, refused.app)
  const wire = await startProxy(t, await freePort())
  wire.silence()
  const silent = await startApp({ databaseUrl: `postgres://postgres@127.0.0.1:${wire.port}/postgres` })
  await closes(t, silent.app)
})

t.test('parts close in stages; one that fails or hangs stops no other; progress gives more time', async (t) => {
  const warnings: unknown[] = []
  const done: string[] = []
  const { add, close } = createCloser({ warn: (details) => void warnings.push(details) })
  const part = (name: string) => async () => void done.push(name)
  add('connections', 'connection', part('connection'))
  add('views', 'views', async (onProgress) => {
    for (let batch = 0; batch < 4; batch += 1) {
      await new Promise((resolve) => setTimeout(resolve, 500))
      onProgress()
    }
    done.push('views')
  })
  add('work', 'hangs', () => new Promise(() => {}))
  add('work', 'fails', async () => {
    throw new Error('on purpose')
  })
  add('work', 'work', part('work'))
  await close()
  t.same(done, ['work', 'views', 'connection'])
  t.match(warnings, [
    { part: 'fails', err: { message: 'on purpose' } },
    { part: 'hangs', afterMs: 1_000 },
  ])
})
