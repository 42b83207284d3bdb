import fastifyRedis from '@fastify/redis'
import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import t from 'tap'
import popularPosts, { type PopularPostsOptions } from '../../index.ts'
import type { RedisConnections } from '../../lib/redis.ts'
import { servicesOf } from '../../plugins/popular-posts.ts'
import { redisUrl, startRedis } from '../helpers/redis.ts'
import { startRedisCluster } from '../helpers/redis-cluster.ts'
import { redisCommand } from '../helpers/redis-command.ts'
import { until } from '../helpers/services/until.ts'

function redisOf(app: FastifyInstance): RedisConnections {
  const { redis } = servicesOf(app)
  if (redis === undefined) throw new TypeError('Expected Redis.')
  return redis
}

let prefixes = 0
const load = async () => [{ slug: 'a' }]

function createApp(options: PopularPostsOptions) {
  const app = Fastify()
  prefixes += 1
  app.register(popularPosts, { redisPrefix: `connections-${process.pid}-${prefixes}`, load, ...options })
  return app
}

/** Reads until Redis replies within its 150 ms, which is little time where many tests share two cores. */
function isOnRedis(app: FastifyInstance): Promise<void> {
  return until(async () => {
    await app.popularPosts.read()
    return !app.popularPosts.stats().isStoreDown
  }, 'it is on Redis')
}

/** Far longer than a close takes. */
async function withinSeconds(seconds: number, work: PromiseLike<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, seconds * 1000, false)
  })
  const isDone = await Promise.race([work.then(() => true), tooLate])
  clearTimeout(timer)
  return isDone
}

t.test('an app starts while Redis is down, and uses Redis when it is there', async (t) => {
  const server = await startRedis()
  await server.stop()
  const app = createApp({ redisUrl: server.url })
  const startedAtMs = performance.now()
  await app.ready()
  // The start waits for half a second.
  t.ok(performance.now() - startedAtMs < 2_000)
  const how = async () => (await app.inject('/posts/popular')).headers['cache-status']
  t.equal(await how(), 'popular-posts; fwd=bypass; detail=redis-down')
  t.match(await how(), /^popular-posts; (?:hit; ttl=0|fwd=bypass); detail=redis-down$/)
  t.ok(app.popularPosts.stats().isStoreDown)
  await t.rejects(app.popularPosts.invalidate(), { code: 'PP_UNCONFIRMED', statusCode: 503 })

  const again = await startRedis({ port: server.port })
  t.teardown(() => again.stop())
  await isOnRedis(app)
  await app.popularPosts.invalidate()
  t.ok(await withinSeconds(5, app.close()))
})

t.test('each connection asks for a password, also that of the subscriber', async (t) => {
  const server = await startRedis()
  t.teardown(() => server.stop())
  await redisCommand(server.port, 'CONFIG', 'SET', 'requirepass', 'secret')
  let asked = 0
  const app = createApp({
    redisUrl: server.url,
    redisPassword() {
      asked += 1
      return 'secret'
    },
  })
  await app.ready()
  await isOnRedis(app)
  t.ok(asked >= 2)
  t.ok(await withinSeconds(5, app.close()))
})

t.test('an app starts while Redis is suspended', async (t) => {
  const server = await startRedis()
  t.teardown(() => server.stop())
  await server.kill('SIGSTOP')
  const app = createApp({ redisUrl: server.url })
  const startedAtMs = performance.now()
  await app.ready()
  t.ok(performance.now() - startedAtMs < 2_000)
  t.equal((await app.inject('/posts/popular')).statusCode, 200)
  t.ok(await withinSeconds(5, app.close()))
})

t.test('a process that was busy for longer than the deadline does not treat Redis as down', async (t) => {
  const server = await startRedis()
  t.teardown(() => server.stop())
  const app = createApp({ redisUrl: server.url })
  t.teardown(() => app.close())
  await app.ready()
  await isOnRedis(app)
  const before = app.popularPosts.stats().storeFailures
  for (const days of [1, 2, 3]) {
    const reading = app.popularPosts.read({ days })
    await new Promise((resolve) => setImmediate(resolve))
    const untilMs = performance.now() + 250
    while (performance.now() < untilMs);
    await reading
  }
  t.equal(app.popularPosts.stats().storeFailures, before)
})

t.test('an app closes in every state of Redis', async (t) => {
  await t.test('Redis was never reached', async (t) => {
    const server = await startRedis()
    await server.stop()
    const app = createApp({ redisUrl: server.url })
    await app.ready()
    t.ok(await withinSeconds(5, app.close()))
  })
  for (const [name, signal] of Object.entries({ down: 'SIGKILL', frozen: 'SIGSTOP', up: 'SIGCONT' } as const)) {
    for (const isUsed of [false, true]) {
      await t.test(`Redis is ${name}${isUsed ? ', and was asked since' : ''}`, async (t) => {
        const server = await startRedis()
        t.teardown(() => server.stop())
        const app = createApp({ redisUrl: server.url })
        await app.ready()
        await app.popularPosts.read()
        await server.kill(signal)
        // Another key, so that the process asks Redis.
        if (isUsed) await app.popularPosts.read({ days: 1 })
        if (isUsed && name !== 'up') t.ok(app.popularPosts.stats().isStoreDown)
        t.ok(await withinSeconds(5, app.close()))
      })
    }
  }
  await t.test('reconnecting', async (t) => {
    const server = await startRedis()
    t.teardown(() => server.stop())
    const app = createApp({ redisUrl: server.url })
    await app.ready()
    await server.kill()
    const { client, subscriber } = redisOf(app)
    await until(() => client.status === 'reconnecting' && subscriber.status === 'reconnecting', 'both reconnect')
    t.ok(await withinSeconds(5, app.close()))
  })
  await t.test('a Cluster: up, and down', async (t) => {
    const cluster = await startRedisCluster()
    t.teardown(() => cluster.stop())
    const urls = cluster.nodes.map(({ url }) => url).join()
    const [up, down] = [createApp({ redisUrl: urls }), createApp({ redisUrl: urls })]
    for (const app of [up, down]) {
      await app.ready()
      await isOnRedis(app)
    }
    t.ok(await withinSeconds(5, up.close()))
    await cluster.stop()
    await down.popularPosts.read({ days: 1 })
    t.ok(await withinSeconds(5, down.close()))
  })
})

t.test("a host's own client is used, and left open", async (t) => {
  const client = new Redis(await redisUrl())
  t.teardown(() => client.quit())
  const app = createApp({ redis: client })
  await app.ready()
  await isOnRedis(app)
  const { client: used, subscriber } = redisOf(app)
  t.equal(used, client)
  await app.close()
  t.equal(await client.ping(), 'PONG')
  await until(() => subscriber.status === 'end', 'ours, which listened, is closed')
})

t.test('with @fastify/redis', async (t) => {
  const url = await redisUrl()
  for (const namespace of ['', 'lists']) {
    await t.test(namespace === '' ? 'without a namespace' : 'by its namespace', async (t) => {
      const app = Fastify()
      await app.register(fastifyRedis, { url, closeClient: true, ...(namespace === '' ? {} : { namespace }) })
      await app.register(popularPosts, { redisPrefix: `registered-${process.pid}${namespace}`, load, redis: namespace })
      await app.ready()
      await app.popularPosts.read()
      t.match((await app.inject('/posts/popular')).headers['cache-status'], /^popular-posts; hit; /)
      await app.popularPosts.invalidate('hard')
      t.ok(await withinSeconds(5, app.close()))
    })
  }

  await t.test('that is not there, or not by this name, is refused', async (t) => {
    for (const redis of ['lists', '']) {
      const app = createApp({ redis })
      await t.rejects(async () => app.ready(), { code: 'PP_NO_SUCH_REDIS' }, `"${redis}", none registered`)
    }
    for (const redis of ['lists', '', 'constructor', 'get']) {
      const app = Fastify()
      t.teardown(() => app.close())
      await app.register(fastifyRedis, { url, closeClient: true, namespace: 'sessions' })
      await t.rejects(
        async () => app.register(popularPosts, { load, redis }),
        { code: 'PP_NO_SUCH_REDIS' },
        `"${redis}"`,
      )
    }
    await t.rejects(async () => createApp({ redis: {} as Redis }).ready(), { code: 'PP_NO_SUCH_REDIS' })
    for (const redis of ['lists', 'options', 'get']) {
      const app = Fastify()
      t.teardown(() => app.close())
      await app.register(fastifyRedis, { url, closeClient: true })
      await t.rejects(
        async () => app.register(popularPosts, { load, redis }),
        { code: 'PP_NO_SUCH_REDIS' },
        `"${redis}", one without`,
      )
    }
  })
})
