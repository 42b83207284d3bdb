import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { Client, type Pool } from 'pg'
import t, { type Test } from 'tap'
import { recordChange } from '../../changes/revision.ts'
import { migrateToLatest } from '../../db/migrate.ts'
import { openDatabase } from '../../db/open-database.ts'
import type { PopularPost } from '../../index.ts'
import { createService, fillBlog } from '../helpers/blog.ts'
import { open } from '../helpers/embedded.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { redisUrl } from '../helpers/redis.ts'
import { until } from '../helpers/services/until.ts'
import { temporaryDirectory } from '../helpers/temporary-directory.ts'

const newPrefix = () => `signals-${randomBytes(6).toString('hex')}`
const invalidations = (...apps: FastifyInstance[]) =>
  apps.reduce((sum, app) => sum + app.popularPosts.stats().invalidations, 0)
const slugs = async (url: string) =>
  ((await (await fetch(`${url}/posts/popular?limit=50`)).json()) as PopularPost[]).map(({ slug }) => slug)

/** The service, after it listens for HTTP and for changes of the database. */
async function startService(t: Test, databaseUrl: string, pool: Pool | Client, variables: NodeJS.ProcessEnv = {}) {
  const listeners = async () =>
    (
      await pool.query(
        "select from pg_stat_activity where query = 'listen popular_posts' and state = 'idle' and datname = current_database()",
      )
    ).rowCount ?? 0
  const before = await listeners()
  const app = await createService(t, databaseUrl, variables)
  const url = await app.listen({ port: 0 })
  await until(async () => (await listeners()) > before, 'it listens to the database')
  return { app, url }
}

/** Publishes a post by SQL, and requests the list until it has the post. Resolves to the time since the COMMIT. */
async function publish(client: Client, url: string, slug: string): Promise<number> {
  await client.query('begin')
  await client.query("insert into posts (slug, title, url, published_at) values ($1, 'New', '/new', now())", [slug])
  if ((await slugs(url)).includes(slug)) throw new Error('it was not committed yet')
  const startedAtMs = performance.now()
  const committed = client.query('commit')
  // Without a pause, which would add to the measured time.
  while (!(await slugs(url)).includes(slug))
    if (performance.now() - startedAtMs > 60_000) throw new Error('the post is not in the list')
  const tookMs = performance.now() - startedAtMs
  await committed
  return tookMs
}

async function connect(t: Test, connectionString: string): Promise<Client> {
  const client = new Client({ connectionString })
  await client.connect()
  t.teardown(() => client.end())
  return client
}

for (const [where, variables] of [
  ['in its memory', async () => ({})],
  ['on Redis', async () => ({ REDIS_URL: await redisUrl(), CACHE_PREFIX: newPrefix() })],
] as const) {
  t.test(`with the lists ${where}, a post published from SQL is in the list at once`, async (t) => {
    const { db, pool, url: databaseUrl } = await createTestDatabase(t)
    await fillBlog(db, 20)
    const client = await connect(t, databaseUrl)
    const times: number[] = []
    for (let round = 1; round <= 5; round += 1) {
      const { url } = await startService(t, databaseUrl, pool, await variables())
      await slugs(url)
      times.push(await publish(client, url, `new-${round}`))
    }
    t.comment(`from COMMIT to the first new answer, ${where}: ${times.map((ms) => ms.toFixed(1)).join(', ')} ms`)
  })
}

t.test('a thousand comments cause a few refreshes', async (t) => {
  const { db, pool, url: databaseUrl } = await createTestDatabase(t)
  await fillBlog(db, 3)
  const { app, url } = await startService(t, databaseUrl, pool)
  await slugs(url)
  const startedAtMs = performance.now()
  const comment = "insert into comments (post_id, author_name, body) select min(id), 'Cid', 'Hm' from posts"
  await Promise.all(
    Array.from({ length: 5 }, async () => {
      for (let count = 0; count < 200; count += 1) {
        await pool.query(comment)
        await app.popularPosts.get()
      }
    }),
  )
  const tookMs = performance.now() - startedAtMs
  await until(async () => {
    const posts = await app.popularPosts.get()
    return posts.some(({ commentCount }) => commentCount === 1000)
  }, 'the list shows them all')
  const { invalidations, loads } = app.popularPosts.stats()
  t.comment(`1,000 comments in ${Math.round(tookMs)} ms: ${invalidations} invalidations, ${loads} loads`)
  // The first one at once, and one for each started five seconds.
  t.ok(invalidations <= 2 + Math.ceil((performance.now() - startedAtMs) / 5000), `${invalidations} invalidations`)
})

t.test('a rolled back transaction invalidates nothing', async (t) => {
  const { db, pool, url: databaseUrl } = await createTestDatabase(t)
  await fillBlog(db, 2)
  const { app, url } = await startService(t, databaseUrl, pool)
  const before = await slugs(url)
  const client = await connect(t, databaseUrl)
  await client.query('begin; delete from posts; rollback')
  t.equal(invalidations(app), 0)
  t.same(await slugs(url), before)
  await recordChange(db, 'hard')
  await until(() => invalidations(app) > 0, 'what comes after is heard')
  t.equal(invalidations(app), 1)
})

t.test('two processes on one Redis invalidate once for each change', async (t) => {
  const { db, pool, url: databaseUrl } = await createTestDatabase(t)
  await fillBlog(db, 2)
  const variables = { REDIS_URL: await redisUrl(), CACHE_PREFIX: newPrefix() }
  const [first, second] = [
    await startService(t, databaseUrl, pool, variables),
    await startService(t, databaseUrl, pool, variables),
  ]
  const apps = [first.app, second.app]
  await slugs(first.url)
  const changes = ["update posts set slug = 'moved' where slug = 'post-1'", "update categories set name = 'Strange'"]
  for (const [index, change] of changes.entries()) {
    await pool.query(change)
    await until(() => invalidations(...apps) > index, 'one has acted on it')
    // Both hear of it within milliseconds.
    await sleep(500)
    t.equal(invalidations(...apps), index + 1)
  }
  for (const { url } of [first, second]) t.ok((await slugs(url)).includes('moved'))
})

t.test('a change in the embedded database invalidates, too', async (t) => {
  const { connectionString } = await open(t, await temporaryDirectory(t))
  const db = openDatabase(connectionString, () => {})
  t.teardown(() => db.destroy())
  await migrateToLatest(db)
  await fillBlog(db, 2)
  const client = await connect(t, connectionString)
  const { url } = await startService(t, connectionString, client)
  await slugs(url)
  t.comment(`on the embedded PostgreSQL: ${(await publish(client, url, 'new')).toFixed(1)} ms`)
  // PostgreSQL 18 has virtual columns, which triggers cannot read.
  await client.query('create table sums (a integer, b integer generated always as (a + 1) virtual)')
  for (const args of ["live => 'b > 1'", "hard_columns => '{b}'", "columns => '{a,b}'"])
    await t.rejects(client.query(`select popular_posts_watch('sums', ${args})`), { message: /are stored, got b/ })
})

t.test("a scheduled post appears when its time comes, by the database's clock", async (t) => {
  const { db, pool, url: databaseUrl } = await createTestDatabase(t)
  await fillBlog(db, 2)
  const { url } = await startService(t, databaseUrl, pool)
  const { rows } = await pool.query<{ at: Date }>(
    "insert into posts (slug, title, url, published_at) values ('soon', 'Soon', '/soon', clock_timestamp() + interval '2 seconds') returning published_at as at",
  )
  t.notOk((await slugs(url)).includes('soon'))
  await until(async () => (await slugs(url)).includes('soon'), 'it is in the list')
  const late = await pool.query<{ ms: number }>(
    'select extract(epoch from clock_timestamp() - $1::timestamptz)::float8 * 1000 as ms',
    [rows[0]?.at],
  )
  t.comment(`${late.rows[0]?.ms.toFixed(0)} ms after its time`)
})
