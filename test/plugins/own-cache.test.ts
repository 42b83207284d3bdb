import { randomUUID } from 'node:crypto'
import { channel } from 'node:diagnostics_channel'
import { readFile } from 'node:fs/promises'
import { Redis } from 'ioredis'
import t from 'tap'
import type { CacheEvent } from '../../index.ts'
import popularPosts from '../../index.ts'
import { httpGet } from '../helpers/http-get.ts'
import { createLoggedApp, startLoggedApp } from '../helpers/logged-app.ts'
import { redisUrl, startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/services/until.ts'

const HOUR = { ttlSeconds: 3600 }
const never = () => Promise.reject(new Error('expected no load'))

for (const [where, options] of [
  ['in memory', {}],
  ['on Redis', { redisUrl: await redisUrl() }],
] as const) {
  t.test(`${where}: the lists and the cache of the app do not invalidate each other`, async (t) => {
    let version = 1
    const load = async () => [{ slug: `v${version}` }]
    const prefix = randomUUID()
    const { app } = await startLoggedApp(t, { ...options, redisPrefix: prefix, load })
    const { cache } = app.popularPosts
    t.equal(await cache.getOrSet('posts', () => 'own', HOUR), 'own')
    t.same(await app.popularPosts.get(), [{ slug: 'v1' }])
    version = 2
    await cache.invalidate('posts')
    await cache.invalidateAll()
    t.same(await app.popularPosts.get(), [{ slug: 'v1' }])
    t.equal(await cache.getOrSet('posts', () => 'new', HOUR), 'new')
    await app.popularPosts.invalidate()
    t.same(await app.popularPosts.get(), [{ slug: 'v2' }])
    t.equal(await cache.getOrSet('posts', never, HOUR), 'new')
    t.match(app.popularPosts.stats(), { loads: 2 }, 'the counts of lists are of lists only')
    t.match(cache.stats(), { loads: 2, invalidations: 2 })
  })
}

t.test(
  'two apps share values by their prefix; prefixes are apart, also one that has the name of the other',
  async (t) => {
    const url = await redisUrl()
    const prefix = randomUUID()
    const start = (redisPrefix: string) => startLoggedApp(t, { redisPrefix, redisUrl: url })
    const [one, same, other, nested] = [
      await start(prefix),
      await start(prefix),
      await start(`${prefix}:b`),
      await start(`${prefix}:own`),
    ]
    t.equal(await one.app.popularPosts.cache.getOrSet('a', () => 1, HOUR), 1)
    t.equal(await same.app.popularPosts.cache.getOrSet('a', never, HOUR), 1)
    for (const { app } of [other, nested]) t.equal(await app.popularPosts.cache.getOrSet('a', () => 2, HOUR), 2)
    const client = new Redis(url)
    t.teardown(() => client.disconnect())
    const keys = await client.keys(`*{${prefix}}:own*`)
    t.same(keys.sort(), [`{${prefix}}:own:gen`, `{${prefix}}:own:key:a`, `{${prefix}}:own:pace`])
    await one.app.popularPosts.cache.invalidate('a')
    for (const { app } of [other, nested]) t.equal(await app.popularPosts.cache.getOrSet('a', never, HOUR), 2)
  },
)

t.test('an outage of Redis is logged once for an app, and failures of loads each time', async (t) => {
  const server = await startRedis()
  t.teardown(() => server.stop())
  const { app, of } = await startLoggedApp(t, { redisUrl: server.url })
  const events: CacheEvent[] = []
  const listen = (event: unknown) => void events.push(event as CacheEvent)
  channel('fastify-popular-posts').subscribe(listen)
  t.teardown(async () => void channel('fastify-popular-posts').unsubscribe(listen))
  await server.kill()
  await app.popularPosts.get()
  t.equal(await app.popularPosts.cache.getOrSet('a', () => 1, HOUR), 1)
  t.equal(of('store-down').length, 1)
  const failing = app.popularPosts.cache.getOrSet('b', never, HOUR)
  await t.rejects(failing, { code: 'PP_LOAD_FAILED' })
  t.match(of('load-failed'), [{ level: 40, key: '{blog:popular}:own:key:b' }])
  t.equal(events.filter(({ type }) => type === 'store-down').length, 1)
  t.ok(events.some((event) => event.type === 'loaded' && event.key === '{blog:popular}:own:key:a'))
})

t.test('an app that closes ends the wait for a load that hangs', async (t) => {
  const { app, of } = createLoggedApp(t)
  await app.register(popularPosts, { load: async () => [] })
  let isLoading = false
  app.get('/', async () =>
    app.popularPosts.cache.getOrSet(
      'hangs',
      () => {
        isLoading = true
        return new Promise<string>(() => {})
      },
      HOUR,
    ),
  )
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const response = httpGet(address)
  await until(() => isLoading, 'it loads')
  await app.close()
  t.match(JSON.parse((await response).text), { code: 'PP_WAIT_TIMEOUT' })
  t.same(of('a part of the app did not close in time, and is dropped').length, 1)
})

t.test('without background work a stale value is refreshed before the reply', async (t) => {
  const { app } = await startLoggedApp(t, {
    backgroundWork: false,
    redisUrl: await redisUrl(),
    redisPrefix: randomUUID(),
  })
  const { cache } = app.popularPosts
  const short = { ttlSeconds: 0.05, staleSeconds: 60 }
  t.equal(await cache.getOrSet('a', () => 'old', short), 'old')
  await new Promise((resolve) => setTimeout(resolve, 100))
  t.equal(await cache.getOrSet('a', () => 'new', short), 'new')
})

t.test('the example of docs/own-lists.md works', async (t) => {
  const [, example = ''] = /```js\n([\s\S]+?)```/.exec(await readFile('docs/own-lists.md', 'utf8')) ?? []
  const { app } = createLoggedApp(t)
  await app.register(popularPosts, { load: async () => [] })
  let queries = 0
  const execute = async () => {
    queries += 1
    return [{ name: 'cats', count: queries }]
  }
  const db = { selectFrom: () => ({ select: () => ({ execute }) }) }
  const findRelated = async (slug: string) => [`after ${slug}`]
  const AsyncFunction = (async () => {}).constructor as new (...all: string[]) => (...all: unknown[]) => Promise<void>
  // The routes, and the invalidation after them.
  const [routes = '', invalidation = ''] = example.split('// After a change of the tags of a post:')
  await new AsyncFunction('app', 'db', 'findRelated', routes)(app, db, findRelated)
  for (let count = 0; count < 3; count += 1) t.same((await app.inject('/tags')).json(), [{ name: 'cats', count: 1 }])
  t.same((await app.inject('/posts/a/related')).json(), ['after a'])
  await new AsyncFunction('cache', 'slug', invalidation)(app.popularPosts.cache, 'a')
  t.same((await app.inject('/tags')).json(), [{ name: 'cats', count: 2 }])
})
