import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import t from 'tap'
import type { RedisClient } from '../../cache/redis-client.ts'
import { createMemoryViewBuffer } from '../../views/memory-view-buffer.ts'
import { createRedisViewBuffer } from '../../views/redis-view-buffer.ts'
import { MAX_BATCHES, type ViewBuffer } from '../../views/view-buffer.ts'
import { redisUrl } from '../helpers/redis.ts'
import { until } from '../helpers/services/until.ts'

const DEDUP_SECONDS = 900
const QUARTER_MS = 900_000
const NOW_MS = 2_000_000 * QUARTER_MS

const client = new Redis(await redisUrl())
t.teardown(() => client.disconnect())

const buffers: Record<string, (dedupSeconds?: number) => ViewBuffer> = {
  memory: (dedupSeconds = DEDUP_SECONDS) => createMemoryViewBuffer({ dedupSeconds }),
  Redis: (dedupSeconds = DEDUP_SECONDS) =>
    createRedisViewBuffer({ client, prefix: `test:${randomUUID()}`, dedupSeconds }),
}

const add = (buffer: ViewBuffer, visitor: string, postId = '1', quarter = 0) =>
  buffer.add({
    visitors: [`${visitor} ${postId}`],
    ...{ postId, quarterMs: NOW_MS + quarter * QUARTER_MS, timeMs: NOW_MS },
  })
const sorted = async (buffer: ViewBuffer, id: string) =>
  (await buffer.read(id)).sort((a, b) => `${a.postId} ${a.quarterMs}`.localeCompare(`${b.postId} ${b.quarterMs}`))

for (const [name, createBuffer] of Object.entries(buffers)) {
  t.test(`${name}: a visitor counts once a post`, async (t) => {
    const buffer = createBuffer()
    t.equal(await add(buffer, 'ann'), true)
    t.equal(await add(buffer, 'ann'), false)
    t.equal(await add(buffer, 'ann', '2'), true)
    t.equal(await add(buffer, 'bob'), true)
    t.same(await buffer.take('first'), ['first'])
    t.same(await sorted(buffer, 'first'), [
      { postId: '1', quarterMs: NOW_MS, views: 2 },
      { postId: '2', quarterMs: NOW_MS, views: 1 },
    ])
    t.equal(await add(buffer, 'ann'), false, 'also when the views have been taken')
  })

  t.test(`${name}: of parallel views of one visitor one counts`, async (t) => {
    const buffer = createBuffer()
    const added = await Promise.all(Array.from({ length: 20 }, () => add(buffer, 'ann')))
    t.equal(added.filter(Boolean).length, 1)
  })

  t.test(`${name}: who is known by another name is a repeat`, async (t) => {
    const buffer = createBuffer()
    const view = { postId: '1', quarterMs: NOW_MS, timeMs: NOW_MS }
    await buffer.add({ ...view, visitors: ['yesterday'] })
    t.equal(await buffer.add({ ...view, visitors: ['today', 'yesterday'] }), false)
    t.equal(await buffer.add({ ...view, visitors: ['today', 'another'] }), true)
    t.equal(await buffer.add({ ...view, visitors: ['another'] }), true, 'only the first name is remembered')
  })

  t.test(`${name}: views are apart by post and quarter, whatever an id looks like`, async (t) => {
    const buffer = createBuffer()
    const uuid = randomUUID()
    for (const id of ['a b', uuid, 'ü\n1']) await add(buffer, 'ann', id)
    await add(buffer, 'bob', uuid, -1)
    await buffer.take('batch')
    t.same(await sorted(buffer, 'batch'), [
      ...[
        { postId: 'a b', quarterMs: NOW_MS, views: 1 },
        { postId: 'ü\n1', quarterMs: NOW_MS, views: 1 },
        { postId: uuid, quarterMs: NOW_MS - QUARTER_MS, views: 1 },
        { postId: uuid, quarterMs: NOW_MS, views: 1 },
      ].sort((a, b) => `${a.postId} ${a.quarterMs}`.localeCompare(`${b.postId} ${b.quarterMs}`)),
    ])
  })

  t.test(`${name}: a batch stays until it is dropped, by anyone`, async (t) => {
    const buffer = createBuffer()
    t.same(await buffer.take('none'), [], 'of nothing there is no batch')
    await add(buffer, 'ann')
    await buffer.take('first')
    await add(buffer, 'bob')
    t.same((await buffer.take('second')).sort(), ['first', 'second'])
    t.same(await buffer.read('second'), await buffer.read('first'))
    await buffer.drop('first')
    await buffer.drop('first')
    t.same(await buffer.take('third'), ['second'])
    t.same(await buffer.read('first'), [])
    await buffer.drop('second')
    t.same(await buffer.take('fourth'), [])
  })

  t.test(`${name}: when too many batches wait, the buffer grows on`, async (t) => {
    const buffer = createBuffer()
    for (let index = 0; index < MAX_BATCHES + 3; index += 1) {
      await add(buffer, `visitor ${index}`)
      await buffer.take(`batch ${index}`)
    }
    const ids = await buffer.take('more')
    t.equal(ids.length, MAX_BATCHES)
    for (const id of ids) await buffer.drop(id)
    t.same(await buffer.take('last'), ['last'])
    t.match(await buffer.read('last'), [{ views: 3 }])
  })

  t.test(`${name}: a day has one salt, and each day another`, async (t) => {
    const buffer = createBuffer()
    const salts = await Promise.all(['2026-01-01', '2026-01-01', '2026-01-02'].map((day) => buffer.salt(day)))
    t.equal(salts[0]?.length, 32)
    t.same(salts[0], salts[1])
    t.notSame(salts[0], salts[2])
    t.same(await buffer.salt('2026-01-01'), salts[0], 'the day before is still known')
  })
}

t.test('memory: a visitor is new again after the time, and the longest known are forgotten first', async (t) => {
  const buffer = createMemoryViewBuffer({ dedupSeconds: 900, maxVisitors: 3 })
  const at = (visitor: string, seconds: number) =>
    buffer.add({ visitors: [visitor], postId: '1', quarterMs: NOW_MS, timeMs: NOW_MS + seconds * 1000 })
  t.equal(await at('ann', 0), true)
  t.equal(await at('ann', 899), false)
  t.equal(await at('ann', -899), false, 'clocks may go back')
  t.equal(await at('eve', 1100), true)
  t.equal(await at('ann', 400), false, 'also when somebody has been there since')
  t.equal(await at('ann', 900), true)
  t.equal(await at('ann', 1799), false, 'a repeat makes it no longer')
  for (const visitor of ['bob', 'cleo', 'dan']) t.equal(await at(visitor, 1000), true)
  t.equal(await at('bob', 1000), false)
  t.equal(await at('ann', 1000), true, 'only three are remembered')
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

t.test('Redis: what is remembered of a visitor goes by itself, and the salt soon after its day', async (t) => {
  const prefix = `test:${randomUUID()}`
  const buffer = createRedisViewBuffer({ client, prefix, dedupSeconds: 1 })
  await add(buffer, 'ann')
  await buffer.salt('2026-01-01')
  const saltSeconds = await client.ttl(`{${prefix}}:views:salt:2026-01-01`)
  t.ok(saltSeconds > 2 * 86_400 && saltSeconds <= 3 * 86_400)
  await until(async () => (await client.exists(`{${prefix}}:views:seen:ann 1`)) === 0, 'ann is forgotten')
  t.equal(await add(buffer, 'ann'), true)
})

t.test('Redis: a command whose answer was lost is sent again by the client, and no view is lost', async (t) => {
  for (const [what, isCountedMeanwhile] of Object.entries({ 'the batch waits': false, 'it is counted': true })) {
    const prefix = `test:${randomUUID()}`
    const buffer = createRedisViewBuffer({ client, prefix, dedupSeconds: DEDUP_SECONDS })
    let visitors = 0
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
    // As ioredis does when a connection breaks: see its `autoResendUnfulfilledCommands`.
    const resending: RedisClient = {
      async callBuffer(...command) {
        const [taken] = (await client.callBuffer(...command)) as Buffer[]
        if (isCountedMeanwhile && String(taken) === 'first') await count('first')
        await view()
        return client.callBuffer(...command)
      },
    }
    await view()
    const taking = createRedisViewBuffer({ client: resending, prefix, dedupSeconds: DEDUP_SECONDS })
    for (const id of await taking.take('first')) await count(id)
    for (const id of await buffer.take('second')) await count(id)
    t.same([...ledger.keys()], ['first', 'second'], what)
    t.equal(
      [...ledger.values()].reduce((sum, views) => sum + views, 0),
      visitors,
      what,
    )
  }
})
