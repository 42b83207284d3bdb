import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import t from 'tap'
import type { RedisClient } from '../../lib/redis-scripts-runner.ts'
import { createMemoryViewBuffer } from '../../views/memory-view-buffer.ts'
import { createRedisViewBuffer } from '../../views/redis-view-buffer.ts'
import { MAX_ASIDE, MAX_BATCH_COUNTS, MAX_BATCHES, type ViewBuffer } from '../../views/view-buffer.ts'
import { redisUrl, startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/services/until.ts'

const DEDUP_SECONDS = 900
const QUARTER_MS = 900_000
const NOW_MS = 2_000_000 * QUARTER_MS

const client = new Redis(await redisUrl())
t.teardown(() => client.disconnect())

/** The buffer, with the names of the caller for its batches: a buffer in Redis makes ids of its own. */
function withNames(buffer: ViewBuffer): ViewBuffer {
  const names = new Map<string, string>()
  const idOf = (name: string) => [...names].find(([, other]) => other === name)?.[0] ?? name
  const nameOf = (id: string) => names.get(id) ?? id
  return {
    ...buffer,
    async take(name) {
      const { made, ids, aside, left } = await buffer.take(name)
      for (const id of made) names.set(id, name)
      return { made: made.map(nameOf), ids: ids.map(nameOf), aside: aside.map(nameOf), left }
    },
    read: (name) => buffer.read(idOf(name)),
    drop: (name) => buffer.drop(idOf(name)),
    setAside: (name, delayMs) => buffer.setAside(idOf(name), delayMs),
  }
}

const buffers: Record<string, (dedupSeconds?: number) => ViewBuffer> = {
  memory: (dedupSeconds = DEDUP_SECONDS) => createMemoryViewBuffer({ dedupSeconds }),
  Redis: (dedupSeconds = DEDUP_SECONDS) =>
    withNames(createRedisViewBuffer({ client, prefix: `test:${randomUUID()}`, dedupSeconds })),
}

const add = (buffer: ViewBuffer, visitor: string, postId = '1', quarter = 0) =>
  buffer.add({
    visitors: [`${visitor} ${postId}`],
    postId,
    bucketStartMs: NOW_MS + quarter * QUARTER_MS,
    timeMs: NOW_MS,
  })
const sorted = async (buffer: ViewBuffer, id: string) =>
  (await buffer.read(id)).sort((a, b) =>
    `${a.postId} ${a.bucketStartMs}`.localeCompare(`${b.postId} ${b.bucketStartMs}`),
  )

/** A view of each of `count` posts. */
const addMany = (buffer: ViewBuffer, visitor: string, posts: number) =>
  Promise.all(Array.from({ length: posts }, (_none, index) => add(buffer, visitor, `post ${index}`)))

for (const [name, createBuffer] of Object.entries(buffers)) {
  t.test(`${name}: a visitor counts once a post`, async (t) => {
    const buffer = createBuffer()
    t.equal(await add(buffer, 'ann'), 'counted')
    t.equal(await add(buffer, 'ann'), 'repeat')
    t.equal(await add(buffer, 'ann', '2'), 'counted')
    t.equal(await add(buffer, 'bob'), 'counted')
    t.same(await buffer.take('first'), { made: ['first'], ids: ['first'], aside: [], left: 0 })
    t.same(await sorted(buffer, 'first'), [
      { postId: '1', bucketStartMs: NOW_MS, views: 2 },
      { postId: '2', bucketStartMs: NOW_MS, views: 1 },
    ])
    t.equal(await add(buffer, 'ann'), 'repeat', 'also when the views have been taken')
  })

  t.test(`${name}: parallel views of one visitor count once`, async (t) => {
    const buffer = createBuffer()
    const added = await Promise.all(Array.from({ length: 20 }, () => add(buffer, 'ann')))
    t.equal(added.filter((result) => result === 'counted').length, 1)
  })

  t.test(`${name}: a visitor with another known pseudonym is a repeat`, async (t) => {
    const buffer = createBuffer()
    const view = { postId: '1', bucketStartMs: NOW_MS, timeMs: NOW_MS }
    await buffer.add({ ...view, visitors: ['yesterday'] })
    t.equal(await buffer.add({ ...view, visitors: ['today', 'yesterday'] }), 'repeat')
    t.equal(await buffer.add({ ...view, visitors: ['today', 'another'] }), 'counted')
    t.equal(await buffer.add({ ...view, visitors: ['another'] }), 'counted', 'only the first name is remembered')
  })

  t.test(`${name}: readers of one address and of one network are limited`, async (t) => {
    const buffer = createBuffer(1)
    let reader = 0
    const from = (address: string, network = 'network', timeMs = NOW_MS) => {
      reader += 1
      const place = { address, network, maxOfAddress: 2, maxOfNetwork: 5 }
      return buffer.add({ visitors: [`reader ${reader}`], postId: '1', place, bucketStartMs: NOW_MS, timeMs })
    }
    const all = async (...results: Promise<string>[]) => (await Promise.all(results)).join(' ')
    t.equal(await all(from('a'), from('a'), from('a')), 'counted counted limited', 'in one command, too')
    t.equal(await all(from('b'), from('c'), from('b')), 'counted counted counted')
    t.equal(await all(from('b'), from('c'), from('d')), 'limited limited limited', 'the network has five')
    t.equal(await all(from('a', 'another'), from('d', 'another')), 'counted counted')
    reader = 0
    t.equal(await from('a'), 'repeat', 'a reader who has been counted')
    const view = { postId: '1', bucketStartMs: NOW_MS, timeMs: NOW_MS }
    t.equal(await buffer.add({ ...view, visitors: ['without a place'] }), 'counted')
    const place = { address: 'a', network: 'network', maxOfAddress: 2, maxOfNetwork: 5 }
    const mixed = [
      { visitors: ['x', 'y'] as const, place },
      { visitors: ['z'] as const },
      { visitors: ['w', 'v'] as const },
    ]
    t.equal(await all(...mixed.map((one) => buffer.add({ ...view, ...one }))), 'limited counted counted')
    reader = 100
    await until(async () => (await from('e', 'network', NOW_MS + 1_000)) === 'counted', 'the window has passed')
    await buffer.take('batch')
    t.match(await buffer.read('batch'), [{ postId: '1', views: 11 }])
  })

  t.test(`${name}: views are counted by post and quarter, for ids of any form`, async (t) => {
    const buffer = createBuffer()
    const uuid = randomUUID()
    for (const id of ['a b', uuid, 'ü\n1']) await add(buffer, 'ann', id)
    await add(buffer, 'bob', uuid, -1)
    await buffer.take('batch')
    t.same(await sorted(buffer, 'batch'), [
      ...[
        { postId: 'a b', bucketStartMs: NOW_MS, views: 1 },
        { postId: 'ü\n1', bucketStartMs: NOW_MS, views: 1 },
        { postId: uuid, bucketStartMs: NOW_MS - QUARTER_MS, views: 1 },
        { postId: uuid, bucketStartMs: NOW_MS, views: 1 },
      ].sort((a, b) => `${a.postId} ${a.bucketStartMs}`.localeCompare(`${b.postId} ${b.bucketStartMs}`)),
    ])
  })

  t.test(`${name}: a batch stays until a process drops it`, async (t) => {
    const buffer = createBuffer()
    t.same((await buffer.take('none')).ids, [], 'of nothing there is no batch')
    await add(buffer, 'ann')
    await buffer.take('first')
    await add(buffer, 'bob')
    t.same((await buffer.take('second')).ids.sort(), ['first', 'second'])
    t.same(await buffer.read('second'), await buffer.read('first'))
    await buffer.drop('first')
    await buffer.drop('first')
    t.same((await buffer.take('third')).ids, ['second'])
    t.same(await buffer.read('first'), [])
    await buffer.drop('second')
    t.same((await buffer.take('fourth')).ids, [])
  })

  t.test(`${name}: when too many batches wait, the buffer grows`, async (t) => {
    const buffer = createBuffer()
    for (let index = 0; index < MAX_BATCHES + 3; index += 1) {
      await add(buffer, `visitor ${index}`)
      await buffer.take(`batch ${index}`)
    }
    const { ids } = await buffer.take('more')
    t.equal(ids.length, MAX_BATCHES)
    for (const id of ids) await buffer.drop(id)
    t.same((await buffer.take('last')).ids, ['last'])
    t.match(await buffer.read('last'), [{ views: 3 }])
  })

  t.test(`${name}: a large buffer is taken in parts, with the views that are added between them`, async (t) => {
    const buffer = createBuffer()
    const posts = 3 * MAX_BATCH_COUNTS + 100
    await addMany(buffer, 'ann', posts)
    const found = new Map<string, number>()
    const sizes: number[] = []
    let added = posts
    for (let left = posts, part = 0; left > 0; part += 1) {
      const id = `part ${part}`
      const taken = await buffer.take(id)
      const batch = await buffer.read(id)
      await buffer.drop(id)
      for (const { postId, views } of batch) found.set(postId, (found.get(postId) ?? 0) + views)
      t.same(taken.ids, [id])
      sizes.push(batch.length)
      left = taken.left
      if (part > 2) continue
      // Views of taken posts, of waiting posts, and of a new post.
      added += 301
      await add(buffer, `visitor ${part}`, `another ${part}`)
      await addMany(buffer, `visitor ${part}`, 300)
    }
    t.ok(Math.max(...sizes) <= MAX_BATCH_COUNTS, sizes.join())
    t.equal(found.size, posts + 3)
    t.equal(
      [...found.values()].reduce((sum, views) => sum + views, 0),
      added,
    )
    t.same(await buffer.take('nothing'), { made: [], ids: [], aside: [], left: 0 })
  })

  t.test(`${name}: a batch that is set aside does not block others, and is due again after its delay`, async (t) => {
    const buffer = createBuffer()
    for (let index = 0; index < MAX_BATCHES; index += 1) {
      await add(buffer, `visitor ${index}`)
      await buffer.take(`batch ${index}`)
    }
    t.equal(await buffer.setAside('batch 0', 60_000), true)
    t.equal(await buffer.setAside('batch 1', 0), true)
    await add(buffer, 'ann')
    const { ids, aside, left } = await buffer.take('new')
    t.same(aside, ['batch 0'])
    t.same(left, 0)
    t.ok(ids.includes('new'), 'they leave their places to others')
    t.ok(ids.includes('batch 1'), 'it is due')
    t.notOk(ids.includes('batch 0'))
    t.match(await buffer.read('batch 0'), [{ postId: '1', views: 1 }])
    await buffer.drop('batch 0')
    await buffer.drop('batch 1')
    t.equal(await buffer.setAside('batch 1', 0), true, 'also where another process has dropped it')
    t.same((await buffer.take('none')).aside, [])
    t.equal((await buffer.take('none')).ids.length, MAX_BATCHES - 1)
  })

  t.test(`${name}: when too many batches are set aside, further ones wait`, async (t) => {
    const buffer = createBuffer()
    for (let index = 0; index <= MAX_ASIDE; index += 1) {
      await add(buffer, `visitor ${index}`)
      await buffer.take(`batch ${index}`)
      t.equal(await buffer.setAside(`batch ${index}`, 60_000), index < MAX_ASIDE)
    }
    t.equal(await buffer.setAside('batch 0', 0), true, 'one that is aside stays so')
    t.same((await buffer.take('none')).ids.sort(), ['batch 0', `batch ${MAX_ASIDE}`])
  })

  t.test(`${name}: each day has its own salt`, async (t) => {
    const buffer = createBuffer()
    const salts = await Promise.all(['2026-01-01', '2026-01-01', '2026-01-02'].map((day) => buffer.salt(day)))
    t.equal(salts[0]?.length, 32)
    t.same(salts[0], salts[1])
    t.notSame(salts[0], salts[2])
    t.same(await buffer.salt('2026-01-01'), salts[0], 'the day before is still known')
  })
}

t.test('memory: a visitor counts again after dedupSeconds, and the oldest visitors are removed first', async (t) => {
  const buffer = createMemoryViewBuffer({ dedupSeconds: 900, maxVisitors: 3 })
  const at = (visitor: string, seconds: number) =>
    buffer.add({ visitors: [visitor], postId: '1', bucketStartMs: NOW_MS, timeMs: NOW_MS + seconds * 1000 })
  t.equal(await at('ann', 0), 'counted')
  t.equal(await at('ann', 899), 'repeat')
  t.equal(await at('ann', -899), 'repeat', 'clocks may go back')
  t.equal(await at('eve', 1100), 'counted')
  t.equal(await at('ann', 400), 'repeat', 'also when somebody has been there since')
  t.equal(await at('ann', 900), 'counted')
  t.equal(await at('ann', 1799), 'repeat', 'a repeat makes it no longer')
  for (const visitor of ['bob', 'cleo', 'dan']) t.equal(await at(visitor, 1000), 'counted')
  t.equal(await at('bob', 1000), 'repeat')
  t.equal(await at('ann', 1000), 'counted', 'only three are remembered')
})

t.test('memory: the salts of three days are kept', async (t) => {
  const buffer = createMemoryViewBuffer({ dedupSeconds: 900 })
  const [first, second] = [await buffer.salt('2026-01-01'), await buffer.salt('2026-01-02')]
  await buffer.salt('2026-01-03')
  t.same(await buffer.salt('2026-01-01'), first)
  await buffer.salt('2026-01-04')
  t.same(await buffer.salt('2026-01-02'), second)
  t.notSame(await buffer.salt('2026-01-01'), first)
})

t.test('Redis: pseudonyms expire, and a salt expires soon after its day', async (t) => {
  const prefix = `test:${randomUUID()}`
  const buffer = createRedisViewBuffer({ client, prefix, dedupSeconds: 1 })
  await add(buffer, 'ann')
  await buffer.salt('2026-01-01')
  const saltSeconds = await client.ttl(`{${prefix}}:views:salt:2026-01-01`)
  t.ok(saltSeconds > 2 * 86_400 && saltSeconds <= 3 * 86_400)
  await until(async () => (await client.exists(`{${prefix}}:views:seen:ann 1`)) === 0, 'ann is forgotten')
  t.equal(await add(buffer, 'ann'), 'counted')
})

t.test('Redis: the client resends a command whose reply was lost, and no view is lost', async (t) => {
  const cases: [string, { isCountedMeanwhile: boolean; posts: number }][] = [
    ['the batch waits', { isCountedMeanwhile: false, posts: 0 }],
    ['it is counted', { isCountedMeanwhile: true, posts: 0 }],
    ['a part of the buffer waits', { isCountedMeanwhile: false, posts: MAX_BATCH_COUNTS + 500 }],
    ['a part of the buffer is counted', { isCountedMeanwhile: true, posts: MAX_BATCH_COUNTS + 500 }],
  ]
  for (const [what, { isCountedMeanwhile, posts }] of cases) {
    const prefix = `test:${randomUUID()}`
    const buffer = createRedisViewBuffer({ client, prefix, dedupSeconds: DEDUP_SECONDS })
    let visitors = posts
    await addMany(buffer, 'ann', posts)
    const view = async () => {
      visitors += 1
      await add(buffer, `visitor ${visitors}`)
    }
    const ledger = new Map<string, number>()
    const count = async (id: string) => {
      const views = (await buffer.read(id)).reduce((sum, part) => sum + part.views, 0)
      if (!ledger.has(id)) ledger.set(id, views)
      await buffer.drop(id)
    }
    // ioredis does this when a connection breaks: see its option `autoResendUnfulfilledCommands`.
    const resending: RedisClient = {
      async callBuffer(...command) {
        const taken = (await client.callBuffer(...command)) as unknown
        const [, , first] = Array.isArray(taken) ? taken.map(String) : []
        if (isCountedMeanwhile && first !== undefined) await count(first)
        await view()
        return client.callBuffer(...command)
      },
    }
    await view()
    const taking = createRedisViewBuffer({ client: resending, prefix, dedupSeconds: DEDUP_SECONDS })
    for (const id of (await taking.take('first')).ids) await count(id)
    for (const id of (await buffer.take('second')).ids) await count(id)
    for (const id of (await buffer.take('third')).ids) await count(id)
    t.ok(ledger.size >= 2, what)
    t.equal(
      [...ledger.values()].reduce((sum, views) => sum + views, 0),
      visitors,
      what,
    )
  }
})

t.test('Redis: invalid counts of another program are left out, and reported', async (t) => {
  const prefix = `test:${randomUUID()}`
  const told: number[] = []
  const onUnreadable = (numbers: number) => told.push(numbers)
  const buffer = withNames(createRedisViewBuffer({ client, prefix, dedupSeconds: DEDUP_SECONDS, onUnreadable }))
  await add(buffer, 'ann')
  const strange = { x: 1, ' 7': 1, '5 ': 1, '1e99 7': 1, '-5 7': 1, 'NaN 7': 1, '900000 a\0b': 1 }
  const numbers = {
    '900000 1': 'x',
    '900000 2': '1.5',
    '900000 3': '0',
    '900000 4': '-1',
    '900000 5': '9223372036854775807',
  }
  await client.hset(`{${prefix}}:views:buffer`, { ...strange, ...numbers })
  await buffer.take('batch')
  t.same(await buffer.read('batch'), [{ postId: '1', bucketStartMs: NOW_MS, views: 1 }])
  t.same(told, [12])
})

t.test('Redis: a part is taken when memory is full, and from large compact hashes', async (t) => {
  const redis = await startRedis({ args: ['--hash-max-listpack-entries', '100000'] })
  t.teardown(redis.stop)
  const ours = new Redis(redis.url)
  t.teardown(() => ours.disconnect())
  const buffer = withNames(createRedisViewBuffer({ client: ours, prefix: 'full', dedupSeconds: DEDUP_SECONDS }))
  await addMany(buffer, 'ann', 2 * MAX_BATCH_COUNTS)
  await ours.config('SET', 'maxmemory', '1')
  await t.rejects(add(buffer, 'bob'), /OOM/)
  t.match(await buffer.take('first'), { ids: ['first'], left: MAX_BATCH_COUNTS })
  t.equal((await buffer.read('first')).length, MAX_BATCH_COUNTS)
  t.equal(await buffer.setAside('first', 60_000), true)
  t.match(await buffer.take('second'), { ids: ['second'], aside: ['first'], left: 0 })
  t.equal((await buffer.read('second')).length, MAX_BATCH_COUNTS)
})

t.test('Redis: what is taken again, after a restart from a snapshot, has the same ids', async (t) => {
  const first = await startRedis()
  t.teardown(first.stop)
  const ours = new Redis(first.url, { retryStrategy: () => 10 })
  ours.on('error', () => undefined)
  t.teardown(() => ours.disconnect())
  const buffer = createRedisViewBuffer({ client: ours, prefix: 'blog', dedupSeconds: DEDUP_SECONDS })
  const ledger = new Map<string, number>()
  const countAll = async () => {
    for (;;) {
      const { ids, left } = await buffer.take(randomUUID())
      for (const id of ids) {
        const views = (await buffer.read(id)).reduce((sum, part) => sum + part.views, 0)
        if (!ledger.has(id)) ledger.set(id, views)
        await buffer.drop(id)
      }
      if (left === 0) return
    }
  }
  const total = () => [...ledger.values()].reduce((sum, views) => sum + views, 0)
  let server = first
  const restart = async () => {
    await server.kill()
    server = await startRedis({ port: first.port, directory: first.directory })
    t.teardown(server.stop)
  }

  await addMany(buffer, 'ann', 100)
  await ours.save()
  await add(buffer, 'bob')
  await countAll()
  t.equal(total(), 101)
  await restart()
  t.equal(await ours.hlen('{blog}:views:buffer'), 100, 'the views are back')
  await add(buffer, 'carl')
  await add(buffer, 'dora')
  await countAll()
  t.equal(total(), 103, 'they are not counted again, and the views since the restart are')

  await addMany(buffer, 'eve', 10)
  await ours.save()
  await add(buffer, 'lost')
  await restart()
  await restart()
  await add(buffer, 'fred')
  await restart()
  await countAll()
  t.equal(total(), 113, 'views of the snapshot that were not counted are counted; later ones went with Redis')

  // A backlog, of which a part was taken since the snapshot.
  await addMany(buffer, 'gus', 3 * MAX_BATCH_COUNTS)
  await ours.save()
  const { ids } = await buffer.take(randomUUID())
  for (const id of ids) ledger.set(id, MAX_BATCH_COUNTS)
  await restart()
  await countAll()
  t.equal(total(), 113 + 3 * MAX_BATCH_COUNTS)
})

t.test('Redis: when its clock goes back, no visitor is remembered for longer than before', async (t) => {
  const prefix = `test:${randomUUID()}`
  const buffer = createRedisViewBuffer({ client, prefix, dedupSeconds: 1 })
  const seen = `{${prefix}}:views:seen:ann 1`
  await add(buffer, 'ann')
  // As Redis has it after its clock went back by an hour.
  await client.pexpire(seen, 3_601_000)
  t.equal(await add(buffer, 'ann'), 'repeat')
  t.ok((await client.pttl(seen)) <= 1000)

  await buffer.take(randomUUID())
  const [id = ''] = (await buffer.take(randomUUID())).ids
  await buffer.setAside(id, 600_000)
  t.same((await buffer.take(randomUUID())).aside, [id])
  await client.zincrby(`{${prefix}}:views:aside`, 3_600_000, id)
  t.match(await buffer.take(randomUUID()), { ids: [id], aside: [] }, 'it is due')
})
