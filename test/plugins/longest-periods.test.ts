import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import t from 'tap'
import popularPosts, { type PopularPostsOptions } from '../../index.ts'
import { optionsSchema } from '../../settings/options.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { redisUrl } from '../helpers/redis.ts'

const READER = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/129.0' }

/** Every option that is an integer, at its greatest value. */
const GREATEST = Object.fromEntries(
  Object.entries(optionsSchema.properties).flatMap(([name, property]) =>
    'maximum' in property ? [[name, property.maximum]] : [],
  ),
) as Pick<PopularPostsOptions, 'viewFlushSeconds' | 'ttlSeconds' | 'loadTimeoutSeconds'>

t.test('with every option at its greatest value, no timer fires at once', async (t) => {
  const { db, url: databaseUrl, countStatements } = await createTestDatabase(t)
  await fillBlog(db, 3)
  t.ok(Object.keys(GREATEST).length >= 10, Object.keys(GREATEST).join())
  const overflows: string[] = []
  const onWarning = ({ name, message }: Error) => void (name === 'TimeoutOverflowWarning' && overflows.push(message))
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  const redis = { redisUrl: await redisUrl(), redisPrefix: `test:${randomUUID()}` }
  const load = () => sleep(100, [{ slug: 'a' }])
  for (const source of [
    { load },
    { databaseUrl },
    { databaseUrl, ...redis },
    { load, ...redis, redisPrefix: 'longest' },
  ]) {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(popularPosts, { ...GREATEST, ...source })
    const name = Object.keys(source).join()
    for (const outcome of ['a load', 'a hit']) {
      const list = await app.inject('/posts/popular')
      t.equal(list.statusCode, 200, `${name}: ${outcome}`)
      t.match(list.headers['cache-control'], /max-age=3153\d{4}/)
    }
    if ('databaseUrl' in source)
      t.equal((await app.inject({ method: 'POST', url: '/posts/post-1/views', headers: READER })).statusCode, 204)
    await sleep(500)
    t.same(overflows, [], name)
    await app.close()
  }
  // A flush before each of two loads, and one at each of two ends.
  const flushes = await countStatements(/where not exists \(select from post_views_batch/)
  t.ok(flushes < 20, `${flushes} flushes`)
})

t.test('a period that no timer can wait for is refused', async (t) => {
  for (const viewFlushSeconds of [86_401, 30 * 86_400, 31_536_000])
    await t.rejects(async () => Fastify().register(popularPosts, { load: async () => [], viewFlushSeconds }), {
      code: 'PP_INVALID_OPTIONS',
      message: `viewFlushSeconds: expected an integer from 0 to 86400, got ${viewFlushSeconds}`,
    })
})
