import { randomUUID } from 'node:crypto'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { type PopularPostsOptions, popularPosts } from '../../index.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { startRedis } from '../helpers/redis.ts'
import { startRedisCluster } from '../helpers/redis-cluster.ts'
import { redisCommand } from '../helpers/redis-command.ts'
import { until } from '../helpers/services/until.ts'

// The limits of readers of an address and a network hold for all processes together.

const { db, url: databaseUrl } = await createTestDatabase(t)
await fillBlog(db, 2)

const servers: Record<string, (t: Test) => Promise<() => PopularPostsOptions>> = {
  async 'a single Redis'(t) {
    const server = await startRedis()
    t.teardown(() => server.stop())
    return () => ({ redisUrl: server.url })
  },
  async 'a Cluster'(t) {
    const cluster = await startRedisCluster()
    t.teardown(() => cluster.stop())
    return () => ({ redisUrl: cluster.nodes.map(({ url }) => url).join() })
  },
  async Sentinel(t) {
    const [server, sentinel] = [await startRedis(), await startRedis({ isSentinel: true })]
    t.teardown(() => Promise.all([server.stop(), sentinel.stop()]))
    await redisCommand(sentinel.port, 'SENTINEL', 'MONITOR', 'blog', '127.0.0.1', String(server.port), '1')
    const isWatched = async () =>
      (await redisCommand(sentinel.port, 'INFO', 'sentinel')).includes(`status=ok,address=127.0.0.1:${server.port}`)
    await until(isWatched, 'the Sentinel watches the master')
    return () => {
      const redis = new Redis({ sentinels: [{ host: '127.0.0.1', port: sentinel.port }], name: 'blog' })
      redis.on('error', () => undefined)
      t.teardown(async () => redis.disconnect())
      return { redis }
    }
  },
}

for (const [name, start] of Object.entries(servers)) {
  t.test(
    `${name}: three processes count readersPerAddress readers of an address, five times as many of its network`,
    async (t) => {
      const optionsOf = await start(t)
      const redisPrefix = randomUUID()
      const apps = await Promise.all(
        [1, 2, 3].map(async () => {
          const app = Fastify()
          t.teardown(() => app.close())
          const options = { databaseUrl, redisPrefix, viewFlushSeconds: 0, readersPerAddress: 4, ...optionsOf() }
          await app.register(popularPosts, options)
          await until(() => !app.popularPosts.backend().isDown, 'Redis is there')
          return app
        }),
      )
      let browser = 0
      const viewsFrom = async (ips: string[], slug = 'post-1') => {
        const outcomes = await Promise.all(
          ips.map((ip, index) => {
            browser += 1
            const headers = {
              'user-agent': `Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/${browser}.0`,
            }
            return apps[index % 3]?.postViews.record({ slug, request: { method: 'POST', ip, headers } })
          }),
        )
        return Object.fromEntries(
          ['counted', 'limited'].map((outcome) => [outcome, outcomes.filter((one) => one === outcome).length]),
        )
      }
      t.same(await viewsFrom(Array(30).fill('203.0.113.9')), { counted: 4, limited: 26 }, 'an address')
      const network = Array.from({ length: 60 }, (_none, host) => `203.0.113.${host + 20}`)
      t.same(await viewsFrom(network), { counted: 16, limited: 44 }, 'the rest of its network')
      t.same(await viewsFrom(Array(6).fill('2001:db8::1')), { counted: 4, limited: 2 }, 'IPv6')
      t.same(await viewsFrom(['198.51.100.1', '203.0.114.9']), { counted: 2, limited: 0 }, 'other networks')
      t.same(await viewsFrom(['203.0.113.9'], 'post-2'), { counted: 1, limited: 0 }, 'another post')
      t.equal((await apps[0]?.postViews.flush())?.views, 4 + 16 + 4 + 2 + 1)
    },
  )
}
