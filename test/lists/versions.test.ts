import Fastify from 'fastify'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { popularPosts } from '../../index.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { redisUrl } from '../helpers/redis.ts'

t.test('two versions of a host run side by side: lists are apart, views and invalidations are shared', async (t) => {
  const { db, url: databaseUrl } = await createTestDatabase(t)
  await fillBlog(db, 3)
  const prefix = `versions:${process.pid}`
  const client = new Redis(await redisUrl())
  t.teardown(() => client.disconnect())
  async function start(t: Test, version: string | undefined, author: unknown) {
    const app = Fastify()
    t.teardown(() => app.close())
    let loads = 0
    const load = async () => {
      loads += 1
      return [{ slug: 'a', author }]
    }
    await app.register(popularPosts, {
      databaseUrl,
      redis: client,
      redisPrefix: prefix,
      version,
      load,
      viewFlushSeconds: 0,
    })
    return { app, loads: () => loads, author: async () => (await app.popularPosts.get())[0]?.['author'] }
  }
  const old = await start(t, undefined, 'Ann')
  const older = await start(t, undefined, 'Ann')
  t.equal(await old.author(), 'Ann')
  const renewed = await start(t, '2', { name: 'Ann' })
  t.same(await renewed.author(), { name: 'Ann' })
  t.equal(await older.author(), 'Ann')
  t.same([old.loads(), older.loads(), renewed.loads()], [1, 0, 1], 'each version loads once')

  await renewed.app.popularPosts.invalidate()
  t.equal(await old.author(), 'Ann')
  t.same(await renewed.author(), { name: 'Ann' })
  t.same([old.loads(), renewed.loads()], [2, 2], 'an invalidation is for both')

  const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' }
  const view = { slug: 'post-1', request: { method: 'POST', ip: '10.0.0.1', headers } }
  t.equal(await old.app.postViews.record(view), 'counted')
  t.equal(await renewed.app.postViews.record(view), 'repeat', 'a reader counts once')
  t.match(await renewed.app.postViews.flush(), { views: 1 })

  const keys = await client.keys(`{${prefix}}:v*`)
  t.same(keys.filter((key) => !key.includes('views')).sort(), [`{${prefix}}:v2-2:50:30`, `{${prefix}}:v2:50:30`])
})

t.test('a version that is no part of a key is refused', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const register = async () => void (await app.register(popularPosts, { load: async () => [], version: 'a b' }))
  await t.rejects(register(), /version.*letters/)
})
