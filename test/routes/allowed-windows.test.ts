import { randomUUID } from 'node:crypto'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import t from 'tap'
import popularPosts from '../../index.ts'
import { servicesOf } from '../../plugins/popular-posts.ts'
import { createService, fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { redisUrl } from '../helpers/redis.ts'

const ADMIN_TOKEN = 'a token for the tests'
const DAYS = '1, 7,30,365,0'
const ALLOWED = [1, 7, 30, 365, 0]
const FORBIDDEN = [2, 29, 31, 364]
const expected = (days: number) => `Expected days to be one of 1, 7, 30, 365, 0 (days; 0 is all time), got ${days}.`

t.test('with DAYS only these windows can be requested', async (t) => {
  const { db, url, countStatements } = await createTestDatabase(t)
  await fillBlog(db, 3)
  const redis = new Redis(await redisUrl())
  t.teardown(() => redis.disconnect())
  const prefix = `windows-${randomUUID()}`
  const variables = { DAYS, ADMIN_TOKEN, REDIS_URL: await redisUrl(), CACHE_PREFIX: prefix }
  const app = await createService(t, url, variables)

  await t.test('a request for another window is a 400 that names the allowed ones', async (t) => {
    for (const days of ALLOWED)
      for (const path of ['/posts/popular?', '/posts/popular?sort=trending&', '/categories?'])
        t.equal((await app.inject(`${path}days=${days}`)).statusCode, 200, `${path}days=${days}`)
    t.equal((await app.inject('/posts/popular')).statusCode, 200, 'the default window')
    const before = await countStatements(/^with/)
    for (const days of FORBIDDEN) {
      const message = expected(days)
      for (const path of [
        '/posts/popular?',
        '/posts/popular?category=odd&',
        '/posts/popular?sort=trending&',
        '/categories?',
      ])
        t.match(
          (await app.inject(`${path}days=${days}`)).json(),
          { statusCode: 400, code: 'PP_BAD_QUERY', message },
          path,
        )
      t.match((await app.inject(`/posts/popular?days=0${days}`)).json(), { statusCode: 400, message }, 'with a zero')
      const { get, read, refresh, readCategories, refreshCategories } = app.popularPosts
      for (const ask of [get, read, refresh, readCategories, refreshCategories])
        await t.rejects(async () => ask({ days }), { code: 'PP_BAD_QUERY', statusCode: 400, message }, ask.name)
      t.throws(() => servicesOf(app).lists.peek({ days }), { code: 'PP_BAD_QUERY', message })
    }
    t.equal(await countStatements(/^with/), before, 'no query runs for them')
    const asked = (await redis.keys(`{${prefix}}:v2:*`)).filter((key) =>
      FORBIDDEN.some((days) => key.endsWith(`:${days}`)),
    )
    t.same(asked, [], 'they have no entries')
  })

  await t.test('the OpenAPI document has the allowed windows', async (t) => {
    const { paths } = (await app.inject('/openapi.json')).json()
    for (const path of ['/posts/popular', '/categories']) {
      const [days] = paths[path].get.parameters.filter(({ name }: { name: string }) => name === 'days')
      t.match(days.schema, { type: 'integer', enum: ALLOWED, default: 30 }, path)
      t.equal(days.schema.maximum, undefined)
      t.match(days.description, 'one of 1, 7, 30, 365, 0 (days; 0 is all time)')
    }
  })

  await t.test('a schedule cannot load another window', async (t) => {
    const suspended = await createService(t, url, { ...variables, BACKGROUND_WORK: 'false' })
    for (const payload of [{ lists: [{ days: 7 }, { days: 2 }] }, { categories: [{ days: 2 }] }]) {
      const headers = { authorization: `Bearer ${ADMIN_TOKEN}` }
      const reply = await suspended.inject({ method: 'POST', url: '/posts/popular/maintain', headers, payload })
      t.match(reply.json(), { statusCode: 400, code: 'PP_BAD_QUERY', message: expected(2) })
    }
  })
})

t.test('the option days holds for a load of the host, and for windows beyond a year', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const loaded: number[] = []
  await app.register(popularPosts, {
    days: [730, 14],
    defaultDays: 14,
    maxDays: 3650,
    async load({ days }) {
      loaded.push(days)
      return []
    },
  })
  t.same(await app.popularPosts.get(), [])
  t.same((await app.inject('/posts/popular?days=730')).json(), [])
  for (const days of [0, 30, 3650])
    t.match((await app.inject(`/posts/popular?days=${days}`)).json(), {
      code: 'PP_BAD_QUERY',
      message: `Expected days to be one of 730, 14 (days; 0 is all time), got ${days}.`,
    })
  t.same(loaded, [14, 730])
})
