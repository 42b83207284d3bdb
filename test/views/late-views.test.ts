import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import { Cluster, Redis } from 'ioredis'
import t, { type Test } from 'tap'
import popularPosts, { type PopularPostsOptions } from '../../index.ts'
import { keepLateViews } from '../../views/late-views.ts'
import { createMemoryViewBuffer } from '../../views/memory-view-buffer.ts'
import type { PendingView } from '../../views/view-buffer.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { startRedis } from '../helpers/redis.ts'
import { startRedisCluster } from '../helpers/redis-cluster.ts'
import { redisCommand } from '../helpers/redis-command.ts'
import { until } from '../helpers/services/until.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

/** An app on a blog with one post, `a-post`. */
async function setUp(t: Test, options: PopularPostsOptions) {
  const { pool, url: databaseUrl } = await createTestDatabase(t)
  await pool.query("insert into posts (slug, title, url, published_at) values ('a-post', 'A post', '/a-post', now())")
  const warnings: { msg: string; views?: number }[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line) => warnings.push(JSON.parse(line)) } } })
  t.teardown(() => app.close())
  await app.register(popularPosts, { databaseUrl, viewFlushSeconds: 0, ...options })
  await app.ready()
  return {
    app,
    /** The view of the reader with a number. */
    view: (reader: number) =>
      app.postViews.record({
        slug: 'a-post',
        request: { method: 'GET', ip: `203.0.113.${reader}`, headers: { 'user-agent': FIREFOX } },
      }),
    total: async () => Number((await pool.query('select sum(views) as views from post_views_total')).rows[0].views),
    saying: (part: string) => warnings.filter(({ msg }) => msg.includes(part)),
  }
}

const isFlushed = (flush: Promise<unknown>) =>
  flush.then(
    () => true,
    () => false,
  )

/** Flushes until there are so many views, and once more. */
async function flushUntil({ app, total }: Awaited<ReturnType<typeof setUp>>, views: number): Promise<number> {
  await until(async () => (await isFlushed(app.postViews.flush())) && (await total()) >= views, 'all are counted')
  await app.postViews.flush()
  return total()
}

t.test('while Redis hangs or restarts, views are kept, and then each counts once', async (t) => {
  const redis = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
  t.teardown(() => redis.stop())
  const blog = await setUp(t, { redisUrl: redis.url })
  const { app, view, saying } = blog
  t.equal(await view(1), 'counted')
  await redis.kill('SIGSTOP')
  // Redis executes the first of them when it resumes, although they are sent again too.
  t.same(await Promise.all([view(1), view(2), view(3)]), ['counted', 'counted', 'counted'])
  t.equal(await view(4), 'counted')
  await t.rejects(app.postViews.flush())
  t.equal(saying('Redis takes no views, this process keeps them').length, 1)
  await redis.kill('SIGCONT')
  t.equal(await flushUntil(blog, 4), 4)
  await until(async () => (await view(4)) === 'repeat', 'Redis takes views again')

  await redis.kill()
  t.equal(await view(5), 'counted')
  t.equal(saying('Redis takes no views, this process keeps them').length, 2, 'a new outage is told')
  const again = await startRedis({ port: redis.port, directory: redis.directory, args: ['--appendonly', 'yes'] })
  t.teardown(() => again.stop())
  t.equal(await flushUntil(blog, 5), 5)
  t.match(app.postViews.stats(), { dropped: 0 })
})

t.test('views that Redis does not take until the app closes are dropped, and the log has their number', async (t) => {
  const redis = await startRedis()
  const { app, view, saying } = await setUp(t, { redisUrl: redis.url })
  t.equal(await view(1), 'counted')
  await redis.stop()
  t.equal(await view(2), 'counted')
  await app.close()
  t.match(saying('views are dropped'), [{ views: 1 }])
  t.equal(app.postViews.stats().dropped, 1)
})

t.test('a process without background work keeps no views: it may never flush again', async (t) => {
  const redis = await startRedis()
  const { view } = await setUp(t, { redisUrl: redis.url, backgroundWork: false })
  t.equal(await view(1), 'counted')
  await redis.stop()
  t.equal(await view(2), 'dropped')
})

t.test('while a slot of a Cluster moves to another node, views are kept, and then each counts once', async (t) => {
  const cluster = await startRedisCluster({ masters: 2 })
  t.teardown(() => cluster.stop())
  const prefix = randomUUID()
  const client = new Cluster(cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })))
  t.teardown(() => client.disconnect())
  if (client.status !== 'ready') await once(client, 'ready')
  const blog = await setUp(t, { redis: client, redisPrefix: prefix })
  const { app, view } = blog
  t.equal(await view(1), 'counted')

  const keys = await Promise.all(client.nodes('master').map((node) => node.keys(`{${prefix}:?}:shard:views:buffer`)))
  const [buffer = ''] = keys.flat()
  const from = await cluster.ownerOf(buffer)
  const [source, target] = [cluster.nodes[from], cluster.nodes[1 - from]]
  if (source === undefined || target === undefined) throw new Error('expected two nodes')
  const [sourceId, targetId] = [
    await redisCommand(source.port, 'CLUSTER', 'MYID'),
    await redisCommand(target.port, 'CLUSTER', 'MYID'),
  ]
  const slot = await redisCommand(source.port, 'CLUSTER', 'KEYSLOT', buffer)
  await redisCommand(target.port, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', sourceId)
  await redisCommand(source.port, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', targetId)
  // Keys of one slot are on both nodes now, which a command for all of them cannot reach.
  const admin = new Redis(source.url)
  t.teardown(() => admin.disconnect())
  const move = async (count: string) => {
    const keys = (await admin.call('CLUSTER', 'GETKEYSINSLOT', slot, count)) as string[]
    await admin.call('MIGRATE', '127.0.0.1', target.port, '', 0, 5_000, 'KEYS', ...keys)
  }
  await move('1')
  t.same(await Promise.all([view(1), view(2), view(3)]), ['counted', 'counted', 'counted'])
  t.equal(await view(3), 'counted')
  t.notOk(await isFlushed(app.postViews.flush()))
  await move('1000')
  for (const { port } of [target, source]) await redisCommand(port, 'CLUSTER', 'SETSLOT', slot, 'NODE', targetId)
  t.equal(await flushUntil(blog, 3), 3)
  t.match(app.postViews.stats(), { dropped: 0 })
})

t.test('a process keeps 10,000 views, for as long as a repeat is recognized', async (t) => {
  const state = { isDown: true, nowMs: 1_000_000, lost: 0, kept: 0 }
  const memory = createMemoryViewBuffer({ dedupSeconds: 900 })
  const add = async (view: PendingView) => {
    if (state.isDown) throw new Error('down')
    return memory.add(view)
  }
  const buffer = keepLateViews({
    buffer: { ...memory, add },
    addAgain: add,
    dedupSeconds: 900,
    now: () => state.nowMs,
    onKept: () => {
      state.kept += 1
    },
    onLost: (views) => {
      state.lost += views
    },
  })
  const view = (visitor: string): PendingView => ({
    visitors: [visitor],
    postId: '1',
    bucketStartMs: 0,
    timeMs: state.nowMs,
  })
  for (let visitor = 0; visitor < 5_000; visitor += 1) await buffer.add(view(`${visitor}`))
  state.nowMs += 450_000
  for (let visitor = 5_000; visitor < 10_000; visitor += 1) await buffer.add(view(`${visitor}`))
  await t.rejects(buffer.add(view('one more')), { message: 'down' })
  await buffer.take('while it is down')
  t.same(state, { isDown: true, nowMs: 1_450_000, lost: 0, kept: 20_000 })
  state.nowMs += 450_000
  state.isDown = false
  const { made } = await buffer.take('batch')
  t.equal(state.lost, 5_000)
  t.match(await buffer.read(`${made}`), [{ views: 5_000 }])
  buffer.end()
  t.equal(state.lost, 5_000)
})

t.test('views that lose their place while they are added again are counted as lost', async (t) => {
  const lost: number[] = []
  const memory = createMemoryViewBuffer({ dedupSeconds: 900 })
  const fail = async () => {
    throw new Error('down')
  }
  const buffer = keepLateViews({
    buffer: { ...memory, add: fail },
    // A request fails at once during an outage, a flush after its deadline.
    addAgain: () => sleep(50).then(fail),
    dedupSeconds: 900,
    now: () => 0,
    onKept() {},
    onLost: (views) => lost.push(views),
  })
  const view: PendingView = { visitors: ['ann'], postId: '1', bucketStartMs: 0, timeMs: 0 }
  for (let count = 0; count < 3; count += 1) await buffer.add(view)
  const taking = buffer.take('batch')
  for (let count = 0; count < 9_999; count += 1) await buffer.add(view)
  await taking
  t.same(lost, [2], 'one of the three has room')
})
