import t from 'tap'
import { removeDemo } from '../../db/demo/fill.ts'
import { migrateToLatest } from '../../db/migrate.ts'
import { openDatabase } from '../../plugins/database.ts'
import { DAYS, POSTS_A_PAGE } from '../../site/reader.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { startPostgres } from '../helpers/private-postgres.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/services/until.ts'
import { createSite, fillWithDemo } from '../helpers/site.ts'

const decoded = (text = '') => text.replaceAll('&#38;', '&').replaceAll('&#61;', '=')
const linksOf = (html: string) => [...html.matchAll(/<h2><a href="([^"]+)">/g)].map(([, href]) => decoded(href))

t.test('the demo blog: its posts, page by page, and a page for each', async (t) => {
  const { db, url } = await createTestDatabase(t)
  await fillWithDemo(db)
  const app = await createSite(t, { db, url })

  const first = await app.inject('/')
  t.match(first, {
    statusCode: 200,
    headers: { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' },
  })
  t.match(first.body, '<title>The Long Way Round</title>')
  t.equal(linksOf(first.body).length, POSTS_A_PAGE)
  t.match(first.body, /aria-label="Views a day of “[^”]+”: [\d,]+ today, [\d,]+ at most"/)
  const seen = new Set<string>()
  for (let next: string | undefined = '/'; next !== undefined; ) {
    const { body }: { body: string } = await app.inject(next)
    for (const link of linksOf(body)) seen.add(link)
    next = /<a href="([^"]+)">Older posts/.exec(decoded(body))?.[1]
  }
  t.equal(seen.size, 60, 'every live post is on one of the pages')
  const second = await app.inject('/?page=2')
  t.match(second.body, '<a href="/">← Newer posts</a>')
  t.match((await app.inject('/?page=999')).body, 'There is no post on this page')
  t.match((await app.inject('/?page=x')).json(), { statusCode: 400 })

  const post = await app.inject('/posts/last-train-from-corrach')
  t.equal(post.statusCode, 200)
  t.match(post.body, '<title>The last train from Corrach leaves at 16:52 · The Long Way Round</title>')
  t.match(post.body, /<h1>The last train from Corrach leaves at 16:52<\/h1>/)
  t.match(post.body, 'record="last-train-from-corrach"', 'the element records the view')
  t.match(post.body, /No\. \d+ of the last 24 hours/)
  t.match(post.body, 'What readers say')
  t.match(post.body, 'Send in 25 more readers')
  t.match((await app.inject('/posts/stile-etiquette')).body, '<p class="meta"><time', 'by nobody in particular')

  for (const path of ['/posts/nothing-here', '/posts/hedgehog-hotel', '/posts/%00']) {
    const missing = await app.inject(path)
    t.equal(missing.statusCode, 404, path)
    t.match(missing.body, 'There is no post at this address')
  }
})

t.test('a policy for content, and no secret', async (t) => {
  const { db, url } = await createTestDatabase(t)
  const app = await createSite(t, { db, url, variables: { ADMIN_TOKEN: 'nobody must see this' } })
  for (const path of ['/', '/posts/x']) {
    const { headers, body } = await app.inject(path)
    const policy = String(headers['content-security-policy'])
    t.match(policy, /default-src 'none';script-src 'self';style-src 'self'/)
    t.notMatch(policy, /unsafe|\*|https?:/)
    t.match(headers, { 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' })
    t.equal(headers['strict-transport-security'], undefined)
    t.notMatch(body, /<script(?![^>]* src=)|<style| style=| on\w+="/, 'nothing inline')
    t.notMatch(body + JSON.stringify(headers), /nobody must see|postgres:\/\/|127\.0\.0\.1/)
  }
})

t.test('a blog of somebody’s own: links go where its posts are, and there is nothing to play with', async (t) => {
  const { db, url } = await createTestDatabase(t)
  const app = await createSite(t, { db, url })
  t.match((await app.inject('/')).body, 'There is no post yet')
  await fillBlog(db, 3)
  await db
    .insertInto('posts')
    .values([
      {
        slug: 'elsewhere',
        title: 'Elsewhere',
        url: 'https://blog.example/elsewhere?a=1&b=2',
        published_at: new Date(1),
      },
      { slug: 'script', title: '<script>alert(1)</script>', url: 'javascript:alert(1)', published_at: new Date(2) },
      { slug: 'broken', title: 'Broken', url: 'http://[', published_at: new Date(3) },
    ])
    .execute()
  const other = await createSite(t, { db, url })
  const { body } = await other.inject('/')
  t.match(body, '<title>Your blog</title>')
  t.same(linksOf(body), ['/posts/post-1', '/posts/post-2', '/posts/post-3', 'https://blog.example/elsewhere?a=1&b=2'])
  t.notMatch(body, /javascript:|<script>|http:\/\/\[|Empty the cache/)
  t.match(body, '<h2>&#60;script&#62;alert(1)&#60;/script&#62;</h2>')

  const post = await other.inject('/posts/post-2')
  t.match(post.body, '<h1>Post 2</h1>')
  t.notMatch(post.body, /Send in|What readers say/)
  t.equal((await other.inject('/posts/script')).statusCode, 404, 'its own address is another one')
  t.equal((await other.inject({ method: 'POST', url: '/demo/invalidate' })).statusCode, 404)

  const adopted = await createSite(t, { db, url, isAdopted: true })
  t.equal(linksOf((await adopted.inject('/')).body).length, 4)
  t.equal((await adopted.inject('/posts/post-2')).statusCode, 404, 'only its list is here')
})

t.test('a post that nobody has read is not among the first, and says so', async (t) => {
  const { db, url } = await createTestDatabase(t)
  await fillBlog(db, 52)
  const app = await createSite(t, { db, url })
  const { body } = await app.inject('/posts/post-52')
  t.match(body, 'Not among the first 50 of the last 24 hours')
  t.match((await app.inject('/')).body, `the last ${DAYS} days`)
})

t.test('the database goes: the page says so, and shows what the cache has', async (t) => {
  const server = await startPostgres()
  t.teardown(() => server.remove())
  const db = openDatabase(server.url, () => {})
  t.teardown(() => db.destroy())
  await migrateToLatest(db)
  await fillWithDemo(db)
  await db.updateTable('posts').set({ author_id: null }).where('slug', '=', 'goat-has-my-map').execute()
  const [warm, cold] = [await createSite(t, { db, url: server.url }), await createSite(t, { db, url: server.url })]
  t.equal((await warm.inject('/posts/popular?days=1')).statusCode, 200)
  t.equal((await warm.inject('/posts/stile-etiquette')).statusCode, 200)
  await server.stop()

  const served = await warm.inject('/')
  t.equal(served.statusCode, 200)
  t.match(served.body, 'The database does not answer. This is the last good list, out of the cache.')
  t.equal(linksOf(served.body).length, 10)
  t.match(served.body, '<title>The Long Way Round</title>', 'what was known is still shown')
  t.equal((await warm.inject('/posts/stile-etiquette')).statusCode, 200)
  await until(
    async () => String((await warm.inject('/demo/stats')).json().trouble).startsWith('The database does not answer'),
    'the panel says so, too',
  )
  const unknown = await warm.inject('/posts/owls-do-not-care')
  t.match(unknown, { statusCode: 503, headers: { 'retry-after': '5' } })
  t.match(unknown.body, 'this post cannot be shown')

  await warm.popularPosts.invalidate('hard')
  t.match((await warm.inject('/posts/stile-etiquette')).body, 'Its place is not known right now')

  const empty = await cold.inject('/')
  t.equal(empty.statusCode, 200)
  t.match(empty.body, '<title>Popular posts</title>')
  t.same(linksOf(empty.body), [])
  t.equal((await cold.inject('/posts/owls-do-not-care')).statusCode, 503)
  t.notMatch(served.body + unknown.body + empty.body, /ECONNREFUSED|postgres|\n\s+at /)
})

t.test('Redis goes: the page says so', async (t) => {
  const { db, url } = await createTestDatabase(t)
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const app = await createSite(t, { db, url, variables: { REDIS_URL: redis.url } })
  await redis.kill()
  await until(async () => {
    const { statusCode, body } = await app.inject('/posts/x')
    t.equal(statusCode, 404)
    return body.includes('Redis does not answer: this process answers for itself.')
  }, 'the page says that Redis is gone')
})

t.test('real posts take the place of the demo while the service runs', async (t) => {
  const { db, url } = await createTestDatabase(t)
  await fillWithDemo(db)
  const app = await createSite(t, { db, url })
  t.match((await app.inject('/')).body, 'Empty the cache')
  await db.transaction().execute(async (trx) => {
    await removeDemo(trx)
    await trx
      .insertInto('posts')
      .values({ slug: 'mine', title: 'Mine', url: '/posts/mine', published_at: new Date() })
      .execute()
  })
  await until(async () => (await app.inject('/')).body.includes('<title>Your blog</title>'), 'the page is of that blog')
  await until(async () => (await app.inject('/posts/mine')).statusCode === 200, 'its post has a page')
  t.equal((await app.inject({ method: 'POST', url: '/demo/invalidate' })).statusCode, 404)
  t.equal((await app.inject({ method: 'POST', url: '/demo/readers/mine' })).statusCode, 404)
})
