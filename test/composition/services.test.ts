import { Redis } from 'ioredis'
import { pino } from 'pino'
import t from 'tap'
import { createServices } from '../../composition/services.ts'
import { servicesOf } from '../../plugins/popular-posts.ts'
import { checkOptions } from '../../settings/check-options.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/services/until.ts'

const log = pino({ level: 'silent' })

t.test('services without an app serve a list, record a view, and count it on close', async (t) => {
  const { db, pool, url: databaseUrl } = await createTestDatabase(t)
  await fillBlog(db, 3)
  const counted = async () =>
    (await pool.query<{ views: number }>('select coalesce(sum(views), 0)::int as views from post_views_total')).rows[0]
      ?.views
  const before = Number(await counted())
  const services = await createServices(checkOptions({ databaseUrl, viewFlushSeconds: 0 }), log)
  t.equal((await services.lists.popularPosts.get()).length, 3)
  const request = { method: 'GET', ip: '192.0.2.1', headers: { 'user-agent': 'Mozilla/5.0 Firefox/144.0' } }
  t.equal(await services.database?.views.postViews.record({ slug: 'post-2', request }), 'counted')
  await services.close()
  t.equal(await counted(), before + 1)
  const others = "datname = current_database() and application_name like 'popular-posts%'"
  await until(
    async () => (await pool.query(`select from pg_stat_activity where ${others}`)).rowCount === 0,
    'each connection is closed',
  )
})

t.test('when a service cannot be created, the services before it are closed', async (t) => {
  const server = await startRedis()
  t.teardown(() => server.stop())
  const admin = new Redis(server.url)
  t.teardown(() => admin.quit())
  const { load: _none, ...settings } = checkOptions({ load: async () => [], redisUrl: server.url })
  await t.rejects(createServices(settings, log), TypeError)
  await until(
    async () =>
      String(await admin.client('LIST'))
        .trim()
        .split('\n').length === 1,
    'the connections to Redis are closed',
  )
})

t.test('an app without the plugin has no services', async (t) => {
  t.throws(() => servicesOf({ popularPosts: {} as never }), TypeError)
})
