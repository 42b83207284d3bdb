import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import popularPosts, { type PopularPostsOptions } from '../../index.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { until } from '../helpers/services/until.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

async function createApp(t: Test, options: PopularPostsOptions) {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(popularPosts, { viewFlushSeconds: 0, viewsPerMinute: 0, ...options })
  return app
}

async function view(app: FastifyInstance, slug: string): Promise<number> {
  const url = `/posts/${encodeURIComponent(slug)}/views`
  return (await app.inject({ method: 'POST', url, headers: { 'user-agent': FIREFOX } })).statusCode
}

t.test('a post counts from the moment of its publication, on every process, however it is published', async (t) => {
  const { db, pool, url: databaseUrl } = await createTestDatabase(t)
  // The last two find no change by themselves: without triggers, and without background work.
  const apps = [
    await createApp(t, { databaseUrl }),
    await createApp(t, { databaseUrl }),
    await createApp(t, { db }),
    await createApp(t, { db, backgroundWork: false }),
  ]
  const statuses = (slug: string) => Promise.all(apps.map((app) => view(app, slug)))
  const everywhere = (status: number) => apps.map(() => status)
  const add = (slug: string, columns = {}) =>
    db
      .insertInto('posts')
      .values({ slug, title: slug, url: `/${slug}`, published_at: new Date(0), ...columns })
      .execute()
  await add('draft', { published_at: null })
  await add('hidden', { is_private: true })
  for (const [slug, publish] of [
    ['created', () => add('created')],
    ['draft', () => pool.query(`update posts set published_at = now() where slug = 'draft'`)],
    ['hidden', () => pool.query(`update posts set is_private = false where slug = 'hidden'`)],
    ['renamed', () => pool.query(`update posts set slug = 'renamed' where slug = 'created'`)],
    [
      'unseen by triggers',
      async () => {
        await pool.query('alter table posts disable trigger all')
        await add('unseen by triggers')
      },
    ],
  ] as const) {
    for (let time = 0; time < 3; time += 1) t.same(await statuses(slug), everywhere(404), slug)
    await publish()
    t.same(await statuses(slug), everywhere(204), slug)
  }
  await add('scheduled', { published_at: new Date(Date.now() + 1_500) })
  t.same(await statuses('scheduled'), everywhere(404))
  await until(
    async () =>
      (await pool.query(`select from posts where slug = 'scheduled' and published_at <= now()`)).rowCount === 1,
    'its time has come',
  )
  t.same(await statuses('scheduled'), everywhere(204), 'scheduled')
})

t.test('a post that is withdrawn counts no more at once, on every process, however it is withdrawn', async (t) => {
  const { pool, url: databaseUrl } = await createTestDatabase(t)
  const apps = [await createApp(t, { databaseUrl }), await createApp(t, { databaseUrl })]
  const statuses = (slug: string) => Promise.all(apps.map((app) => view(app, slug)))
  for (const [slug, withdraw] of [
    ['deleted', `delete from posts where slug = 'deleted'`],
    ['draft', `update posts set published_at = null where slug = 'draft'`],
    ['scheduled', `update posts set published_at = now() + interval '1 day' where slug = 'scheduled'`],
    ['hidden', `update posts set is_private = true where slug = 'hidden'`],
    ['truncated', 'truncate posts cascade'],
  ] as const) {
    await pool.query(`insert into posts (slug, title, url, published_at) values ($1, '', '', now())`, [slug])
    await until(async () => (await statuses(slug)).every((status) => status === 204), `${slug} counts`)
    await pool.query(withdraw)
    // A found post is cached for ten seconds.
    const startedAtMs = performance.now()
    await until(async () => (await statuses(slug)).every((status) => status === 404), `${slug} counts no more`)
    const tookMs = Math.round(performance.now() - startedAtMs)
    t.ok(tookMs < 6_000, `${slug}: ${tookMs} ms`)
  }
})

t.test('the clock of a process does not decide whether a post is published', async (t) => {
  const { pool, url: databaseUrl } = await createTestDatabase(t)
  const app = await createApp(t, { databaseUrl })
  const realNow = Date.now
  t.teardown(() => {
    Date.now = realNow
  })
  Date.now = () => realNow() - 3_600_000
  await pool.query(`insert into posts (slug, title, url, published_at) values ('new', 'New', '/new', now())`)
  t.equal(await view(app, 'new'), 204)
})

t.test('a flood of unknown slugs costs the database next to nothing, and other posts count', async (t) => {
  const { db, url: databaseUrl, pool, countStatements, resetStatements } = await createTestDatabase(t)
  await pool.query(`
    insert into posts (slug, title, url, published_at)
    select 'post-' || n, 'A post', '/posts/post-' || n, now() from generate_series(1, 300) n`)
  const lookUps = () => countStatements(/from "posts" where posts\.slug = any/)
  for (const [name, options] of [
    ['databaseUrl', { databaseUrl }],
    ['db', { db }],
  ] as const) {
    const app = await createApp(t, options)
    t.equal(await view(app, 'warm'), 404)
    for (const [kind, slugOf] of [
      ['different slugs', (index: number) => `no-such-${name}-${index}`],
      ['one slug', () => `no-such-${name}`],
      ['slugs with many forms', (index: number) => `Übergröße-${name}-${index}`],
    ] as const) {
      await sleep(150)
      await resetStatements()
      const startedAtMs = performance.now()
      let sent = 0
      const client = async () => {
        while (sent < 2_000) {
          sent += 1
          const slug = slugOf(sent)
          let status = await view(app, slug)
          // On a busy machine the look-up was not made in time.
          while (status === 503) status = await view(app, slug)
          if (status !== 404) t.fail(`expected 404, got ${status}`)
        }
      }
      await Promise.all(Array.from({ length: 200 }, client))
      const tookMs = performance.now() - startedAtMs
      const statements = await lookUps()
      t.comment(`${name}, ${kind}: ${statements} statements in ${Math.round(tookMs)} ms for ${sent} requests`)
      t.ok(statements > 0 && statements <= tookMs / 100 + 2, `${name}, ${kind}: at most 10 a second`)
      t.ok(statements <= sent / 20, `${name}, ${kind}: at most one for 20 requests`)
    }
    await resetStatements()
    const slugs = Array.from({ length: 300 }, (_none, index) => `post-${index + 1}`)
    t.same([...new Set(await Promise.all(slugs.map((slug) => view(app, slug))))], [204])
    t.same([...new Set(await Promise.all(slugs.map((slug) => view(app, slug))))], [204])
    t.ok((await lookUps()) <= 10, 'known posts are cached, and found together')
  }
})
