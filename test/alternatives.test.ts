/** What README says of other ways to hold the list ("Why not just …"), on real servers. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Redis } from 'ioredis'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { fillBlog } from './helpers/blog.ts'
import { startNginx } from './helpers/nginx.ts'
import { createTestDatabase } from './helpers/postgres.ts'
import { startRedis } from './helpers/redis.ts'

const cached = (directives = '') => `location /list {
  proxy_pass http://127.0.0.1:3000;
  proxy_cache lists;
  proxy_cache_valid 200 60s;
  proxy_cache_lock on;
  proxy_cache_use_stale updating;
  ${directives}
}`

async function createBlog(t: Test) {
  const { db } = await createTestDatabase(t)
  await fillBlog(db, 5)
  const list = async (seconds: number) => {
    const { rows } = await sql<{ slug: string }>`
      select slug from posts join post_views_total on post_id = id, pg_sleep(${seconds})
      where not is_private order by views desc`.execute(db)
    return rows.map(({ slug }) => slug)
  }
  return { db, list, withdraw: () => sql`update posts set is_private = true where slug = 'post-1'`.execute(db) }
}

/** Starts a server that queries the list for each request. */
async function startServer(t: Test, list: () => Promise<string[]>) {
  const counted = { queries: 0 }
  const server = createServer((_request, response) => {
    counted.queries += 1
    list().then(
      (slugs) => response.setHeader('content-type', 'application/json').end(JSON.stringify(slugs)),
      () => response.writeHead(503).end(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise((resolve) => server.close(resolve)))
  return { counted, address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

const get = async (address: string) => (await (await fetch(`${address}/list`)).json()) as string[]
const getAtOnce = (address: string, requests: number) =>
  Promise.all(Array.from({ length: requests }, () => get(address)))

t.test('nginx with proxy_cache_lock: one query for each nginx, and a withdrawn post stays', async (t) => {
  const { list, withdraw } = await createBlog(t)
  const { counted, address } = await startServer(t, () => list(0.5))
  const proxies = [await startNginx(t, [address], cached()), await startNginx(t, [address], cached())]
  counted.queries = 0
  const lists = (await Promise.all(proxies.map((proxy) => getAtOnce(proxy, 50)))).flat()
  t.equal(lists.length, 100)
  t.equal(counted.queries, 2)
  await withdraw()
  for (const proxy of proxies) t.ok((await get(proxy)).includes('post-1'), 'still in the list')
  t.notOk((await list(0)).includes('post-1'))
})

t.test('nginx with proxy_cache_lock: requests pass when a load takes longer than the timeout', async (t) => {
  const { list } = await createBlog(t)
  const { counted, address } = await startServer(t, () => list(3))
  const proxy = await startNginx(t, [address], cached('proxy_cache_lock_timeout 200ms;'))
  counted.queries = 0
  await getAtOnce(proxy, 8)
  t.equal(counted.queries, 8)
})

t.test('a materialized view shows a withdrawn post until its next refresh', async (t) => {
  const { db, withdraw } = await createBlog(t)
  await sql`create materialized view popular as
    select slug, views from posts join post_views_total on post_id = id where not is_private`.execute(db)
  const slugs = async () =>
    (await sql<{ slug: string }>`select slug from popular`.execute(db)).rows.map(({ slug }) => slug)
  await withdraw()
  t.ok((await slugs()).includes('post-1'))
  await sql`refresh materialized view popular`.execute(db)
  t.notOk((await slugs()).includes('post-1'))
})

t.test('a sorted set counts a retry twice, and a window is a union of sets', async (t) => {
  const server = await startRedis()
  t.teardown(() => server.stop())
  const redis = new Redis(server.url)
  t.teardown(async () => redis.disconnect())
  for (const _try of [1, 2]) await redis.zincrby('day:1', 1, 'post-1')
  await redis.zincrby('day:2', 3, 'post-2')
  t.equal(await redis.zscore('day:1', 'post-1'), '2')
  await redis.zunionstore('window', 2, 'day:1', 'day:2')
  t.same(await redis.zrevrange('window', 0, -1, 'WITHSCORES'), ['post-2', '3', 'post-1', '2'])
})
