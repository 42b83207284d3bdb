import { randomUUID } from 'node:crypto'
import { Cluster } from 'ioredis'
import t, { type Test } from 'tap'
import { countBatch } from '../../db/count-views.ts'
import { systemClock } from '../../lib/clock.ts'
import { withinDeadline } from '../../lib/deadline.ts'
import type { HostRedis } from '../../lib/host-redis.ts'
import { nonce } from '../../lib/nonce.ts'
import { createFlusher } from '../../views/flusher.ts'
import { createRedisViewBuffer } from '../../views/redis-view-buffer.ts'
import type { ViewBuffer } from '../../views/view-buffer.ts'
import { originOf } from '../../views/visitor.ts'
import { fillBlog } from '../helpers/blog.ts'
import { startLoggedApp } from '../helpers/logged-app.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { startRedisCluster } from '../helpers/redis-cluster.ts'
import { until } from '../helpers/services/until.ts'

// In a Cluster the buffer of views has shards on several nodes.

const SHARDS = ['0', '1', '2', '3']
const cluster = await startRedisCluster()
t.teardown(() => cluster.stop())
const { db, pool, url: databaseUrl } = await createTestDatabase(t)
await fillBlog(db, 2)
const [postId = '', otherId = ''] = (await pool.query('select id::text from posts order by id')).rows.map(
  ({ id }) => id,
)

function connect(t: Test, options = {}): Cluster {
  const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
  const client = new Cluster(nodes, { redisOptions: options })
  client.on('error', () => undefined)
  t.teardown(() => client.disconnect())
  return client
}

async function setUp(t: Test, clientOptions = {}, refused: unknown[] = []) {
  const prefix = randomUUID()
  const client = connect(t, clientOptions)
  const askFlush = <T>(work: () => Promise<T>) => withinDeadline(systemClock, 1_000, work())
  const onRefused = (error: unknown) => refused.push(error)
  const options = { client, prefix, dedupSeconds: 900, ask: askFlush, askFlush, onRefused }
  const buffer = createRedisViewBuffer(options)
  await pool.query('truncate post_views_total, post_views_daily, post_views_hourly')
  const flusherOf = (buffer: ViewBuffer) =>
    createFlusher({
      buffer,
      nonce,
      count: (id, buckets) => countBatch(db, { id, timeZone: 'UTC', nowMs: Date.now(), buckets }),
    })
  return {
    prefix,
    client,
    buffer,
    /** The buffer of a version that knows no shards. */
    earlier: createRedisViewBuffer({ ...options, client: { callBuffer: client.callBuffer.bind(client) } }),
    flush: (from = buffer) => flusherOf(from).flush(),
    total: async () =>
      Number((await pool.query('select sum(views) as views from post_views_total')).rows[0].views ?? 0),
    /** The numbers that wait in each shard. */
    waiting: () => Promise.all(SHARDS.map((shard) => client.hlen(`{${prefix}:${shard}}:shard:views:buffer`))),
  }
}

/** The view of a reader in a network of its own. */
const viewOf = (reader: number, post = postId) => ({
  visitors: [`reader ${reader} of ${post}`] as const,
  postId: post,
  origin: originOf({ address: `10.${reader >> 8}.${reader & 255}.1`, userAgent: '' }),
  bucketStartMs: 0,
  timeMs: 0,
})

t.test('views of one post are on every node, repeats are found, and one flush counts all', async (t) => {
  const { prefix, buffer, flush, total, waiting } = await setUp(t)
  const results = await Promise.all(Array.from({ length: 200 }, (_none, reader) => buffer.add(viewOf(reader))))
  t.same(new Set(results), new Set(['counted']))
  const again = await Promise.all(Array.from({ length: 200 }, (_none, reader) => buffer.add(viewOf(reader))))
  t.same(new Set(again), new Set(['repeat']))
  t.equal(await buffer.add(viewOf(7, otherId)), 'counted', 'another post')
  const { origin: _unknown, ...view } = viewOf(8, otherId)
  t.equal(await buffer.add(view), 'counted')
  t.ok((await waiting()).every((numbers) => numbers > 0))
  const owners = await Promise.all(SHARDS.map((shard) => cluster.ownerOf(`{${prefix}:${shard}}`)))
  t.same(new Set(owners), new Set([0, 1, 2]))
  t.match(await flush(), { views: 202, batches: SHARDS.length, waiting: 0, error: undefined })
  t.equal(await total(), 202)
  t.match(await flush(), { views: 0, batches: 0, waiting: 0 })
})

t.test('the shards are one in each quarter of the slots, for any prefix', async (t) => {
  for (let index = 0; index < 20; index += 1) {
    const slots = await Promise.all(
      SHARDS.map((shard) => cluster.command('CLUSTER', 'KEYSLOT', `{${randomPrefix(index)}:${shard}}`)),
    )
    t.same(slots.map(([slot]) => Math.floor(Number(slot) / 4096)).sort(), [0, 1, 2, 3])
  }
})

const randomPrefix = (index: number) => `blog ${index * 7919}`

t.test('a user, and the readers of a network, have one shard from any address, on any day', async (t) => {
  const of = (address: string, userId?: unknown) => originOf({ address, userAgent: 'any', userId })
  t.equal(of('192.0.2.1', 5), of('2001:db8::1', '5'))
  t.equal(of('192.0.2.1'), of('192.0.2.200'))
  t.equal(of('2001:db8:1:2::3'), of('2001:db8:1:4::5'))
  t.not(of('192.0.2.1'), of('192.0.3.1'))
})

t.test('each batch is counted once: the process dies before it counts, or before it drops', async (t) => {
  const { buffer, flush, total } = await setUp(t)
  await Promise.all(Array.from({ length: 100 }, (_none, reader) => buffer.add(viewOf(reader))))
  const { made } = await buffer.take(nonce())
  t.equal(made.length, SHARDS.length)
  const count = (id: string) =>
    countBatch(db, { id, timeZone: 'UTC', nowMs: Date.now(), buckets: () => buffer.read(id) })
  t.equal(await count(String(made[0])), 'counted', 'it dies before the drop')
  await Promise.all(Array.from({ length: 100 }, (_none, reader) => buffer.add(viewOf(reader, otherId))))
  const [one, other] = await Promise.all([flush(), flush()])
  t.equal(one.error ?? other.error, undefined)
  t.equal(await total(), 200)
  t.equal(await count(String(made[1])), 'before', 'a process that was suspended before it counts')
  t.match(await buffer.take(nonce()), { made: [], ids: [], aside: [], left: 0 })
})

t.test('a batch of a shard is set aside, and is due again', async (t) => {
  const { buffer, flush, total } = await setUp(t)
  await buffer.add(viewOf(1))
  const [id = ''] = (await buffer.take(nonce())).made
  t.equal(await buffer.setAside(id, 60_000), true)
  t.match(await flush(), { views: 0, aside: 1 })
  t.equal(await buffer.setAside(id, 0), true)
  t.match(await flush(), { views: 1, aside: 0 })
  t.equal(await total(), 1)
})

t.test('during an upgrade each view is counted once, whoever recorded it', async (t) => {
  const { buffer, earlier, flush, total } = await setUp(t)
  await earlier.add(viewOf(1))
  await earlier.take('by the earlier version')
  await earlier.add(viewOf(2))
  t.same(await buffer.salt('2026-11-27'), await earlier.salt('2026-11-27'), 'pseudonyms are the same')
  await buffer.add(viewOf(3))
  await Promise.all([flush(), flush(earlier)])
  t.match(await flush(), { waiting: 0, error: undefined })
  t.equal(await total(), 3)
})

t.test('while a node hangs, the views of the others are counted, and later its own', async (t) => {
  const { prefix, buffer, flush, total, waiting } = await setUp(t)
  await Promise.all(Array.from({ length: 100 }, (_none, reader) => buffer.add(viewOf(reader))))
  const hanging = await cluster.ownerOf(`{${prefix}:0}`)
  await cluster.nodes[hanging]?.kill('SIGSTOP')
  const report = await flush()
  await cluster.nodes[hanging]?.kill('SIGCONT')
  t.match(report, { error: { code: 'ETIMEDOUT' } })
  t.ok(report.views > 0 && report.views < 100, `${report.views} of 100`)
  await cluster.whole()
  await until(async () => (await flush()).error === undefined && (await total()) >= 100, 'all are counted')
  t.equal(await total(), 100)
  t.same(await waiting(), [0, 0, 0, 0])
})

t.test('a user with the rights of an earlier version uses the one slot of the prefix', async (t) => {
  const refused: unknown[] = []
  const { prefix, buffer, flush, total, client } = await setUp(t, { username: 'ann', password: 'secret' }, refused)
  const allow = (keys: string) => cluster.command('ACL', 'SETUSER', 'ann', 'reset', 'on', '>secret', '+@all', keys)
  await allow(`~{${prefix}}:*`)
  for (const result of ['counted', 'repeat']) t.equal(await buffer.add(viewOf(1)), result)
  t.equal(await client.hlen(`{${prefix}}:views:buffer`), 1)
  t.match(await flush(), { views: 1, error: undefined })
  t.equal(await total(), 1)
  t.match(refused, [{ message: /NOPERM/ }], 'that is told')
  const untold = createRedisViewBuffer({ client, prefix, dedupSeconds: 900 })
  t.match(await untold.take(nonce()), { made: [], left: 0, error: undefined })
  const options = { redis: client as HostRedis, redisPrefix: prefix, databaseUrl, viewFlushSeconds: 0 }
  const { app, warnings } = await startLoggedApp(t, options)
  for (let flushes = 0; flushes < 2; flushes += 1) await app.postViews.flush()
  const told = warnings().filter((text) =>
    text.startsWith('popular posts: Redis refuses this user the keys of the shards'),
  )
  t.equal(told.length, 1, 'told once')
  await allow('~other:*')
  await t.rejects(buffer.add(viewOf(2)), /NOPERM/)
  t.match(await flush(), { views: 0, error: { message: /NOPERM/ } })
})
