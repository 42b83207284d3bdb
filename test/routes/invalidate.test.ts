import { randomBytes } from 'node:crypto'
import t from 'tap'
import type { PopularPost } from '../../index.ts'
import { createService, fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { runProgram } from '../helpers/program.ts'
import { redisUrl, startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/services/until.ts'

const ADMIN_TOKEN = 'a token for the tests'
const authorization = `Bearer ${ADMIN_TOKEN}`
const url = '/posts/popular/invalidate'
const method = 'POST'
const newPrefix = () => `invalidate-${randomBytes(6).toString('hex')}`

t.test('POST /posts/popular/invalidate', async (t) => {
  const { db, url: databaseUrl } = await createTestDatabase(t)
  await fillBlog(db, 2)
  const app = await createService(t, databaseUrl, { ADMIN_TOKEN })
  const rename = (title: string) => db.updateTable('posts').set({ title }).where('slug', '=', 'post-1').execute()
  const title = async () => (await app.inject('/posts/popular')).json<PopularPost[]>()[0]?.title

  await t.test('does not exist without a token in the configuration', async (t) => {
    const open = await createService(t, databaseUrl)
    t.equal((await open.inject({ method, url, headers: { authorization } })).statusCode, 404)
  })

  await t.test('refuses every request without the token, with the same reply', async (t) => {
    const wrong = ['', 'Bearer', 'Bearer x', `Bearer ${ADMIN_TOKEN}x`, `Basic ${ADMIN_TOKEN}`, ADMIN_TOKEN]
    for (const headers of [{}, ...wrong.map((authorization) => ({ authorization }))]) {
      const response = await app.inject({ method, url, headers })
      t.equal(response.statusCode, 401)
      t.equal(response.headers['cache-control'], 'no-store')
      t.same(response.json(), {
        statusCode: 401,
        code: 'PP_UNAUTHORIZED',
        error: 'Unauthorized',
        message: 'Expected the admin token as a bearer token.',
      })
    }
    t.equal(app.popularPosts.stats().invalidations, 0)
  })

  const accepted = [
    { name: 'hard by default', request: { url }, mode: 'hard' },
    { name: 'hard by query', request: { url: `${url}?mode=hard` }, mode: 'hard' },
    { name: 'soft by query', request: { url: `${url}?mode=soft` }, mode: 'soft' },
    { name: 'hard by body', request: { url, payload: { mode: 'hard' } }, mode: 'hard' },
    { name: 'soft by body', request: { url, payload: { mode: 'soft' } }, mode: 'soft' },
    { name: 'an empty body', request: { url, payload: {} }, mode: 'hard' },
  ]
  for (const { name, request, mode } of accepted) {
    await t.test(name, async (t) => {
      await rename(`before ${name}`)
      await app.popularPosts.refresh()
      await rename(name)
      const response = await app.inject({ method, ...request, headers: { authorization } })
      t.equal(response.statusCode, 200)
      t.equal(response.headers['cache-control'], 'no-store')
      t.same(response.json(), { invalidated: mode, reach: 'announced' })
      if (mode === 'soft') t.equal(await title(), `before ${name}`, 'the old list once more')
      await until(async () => (await title()) === name, 'the new list')
    })
  }

  for (const request of [{ url: `${url}?mode=all` }, { url, payload: { mode: 1 } }, { url, payload: [] }]) {
    await t.test(`refuses ${JSON.stringify(request)}`, async (t) => {
      const response = await app.inject({ method, ...request, headers: { authorization } })
      t.equal(response.statusCode, 400)
      t.equal(response.headers['cache-control'], 'no-store')
    })
  }
})

t.test('while Redis is down an invalidation is not confirmed, and lists are still served', async (t) => {
  const { db, url: databaseUrl } = await createTestDatabase(t)
  await fillBlog(db, 2)
  const server = await startRedis()
  t.teardown(() => server.stop())
  const app = await createService(t, databaseUrl, { ADMIN_TOKEN, REDIS_URL: server.url })
  const invalidate = () => app.inject({ method, url, headers: { authorization } })
  const ready = async () => {
    const response = await app.inject('/health/ready')
    return { statusCode: response.statusCode, ...response.json() }
  }
  t.equal((await invalidate()).statusCode, 200)
  t.match(await ready(), { statusCode: 200, status: 'ok', checks: { cache: { status: 'up', kind: 'redis' } } })

  await server.kill()
  const refused = await invalidate()
  t.match(refused.json(), { statusCode: 503, code: 'PP_UNCONFIRMED' })
  t.match(refused.headers, { 'retry-after': '1', 'cache-control': 'no-store' })
  t.match(await ready(), { statusCode: 200, status: 'degraded', checks: { cache: { status: 'down', kind: 'redis' } } })
  t.equal((await app.inject('/posts/popular')).statusCode, 200)

  const again = await startRedis({ port: server.port })
  t.teardown(() => again.stop())
  await until(async () => (await invalidate()).statusCode === 200, 'it is confirmed again')
  await until(async () => (await ready()).status === 'ok', 'so is the service')
})

t.test('npx popular-posts invalidate', async (t) => {
  const { db, url: databaseUrl } = await createTestDatabase(t)
  await fillBlog(db, 1)
  const prefix = newPrefix()
  const rename = (title: string) => db.updateTable('posts').set({ title }).execute()
  const invalidate = (t: Parameters<typeof runProgram>[0], env: NodeJS.ProcessEnv, ...args: string[]) =>
    runProgram(t, 'bin/popular-posts.ts', { args: ['invalidate', ...args], env })

  const places = {
    'in Redis': [{ REDIS_URL: await redisUrl(), CACHE_PREFIX: prefix }, 'All lists are outdated (hard).\n'],
    'through the database': [
      { DATABASE_URL: databaseUrl },
      'All lists are outdated (hard) in each service that hears of it: at once, or within a minute.\n',
    ],
  } as const
  for (const [name, [env, sentence]] of Object.entries(places)) {
    await t.test(name, async (t) => {
      const app = await createService(t, databaseUrl, env)
      const title = async () => (await app.popularPosts.get())[0]?.title
      await rename(`old ${name}`)
      await app.popularPosts.refresh()
      await rename(`new ${name}`)
      const program = invalidate(t, env)
      t.equal(await program.ended(), 0, program.stderr())
      t.equal(program.stdout(), sentence)
      await until(async () => (await title()) === `new ${name}`, 'the new list')
    })
  }

  await t.test('with --soft an invalidation is soft', async (t) => {
    const program = invalidate(t, { REDIS_URL: await redisUrl(), CACHE_PREFIX: prefix }, '--soft')
    t.equal(await program.ended(), 0)
    t.equal(program.stdout(), 'All lists are outdated (soft).\n')
  })

  await t.test('when Redis is down or read-only the command fails with one sentence', async (t) => {
    const [down, refusing] = [await startRedis(), await startRedis({ args: ['--min-replicas-to-write', '1'] })]
    t.teardown(() => refusing.stop())
    await down.stop()
    for (const [url, sentence] of [
      [down.url, /^Redis in REDIS_URL could not be reached \(.+\): check .+\.\n$/],
      [refusing.url, /^Redis in REDIS_URL did not confirm the invalidation \(.+\): check .+\.\n$/],
    ] as const) {
      const program = invalidate(t, { REDIS_URL: url })
      t.equal(await program.ended(), 1)
      t.equal(program.stdout(), '')
      t.match(program.stderr(), sentence)
    }
  })
})
