import t from 'tap'
import { addViews, bucketStart } from '../../../db/count-views.ts'
import { migrateToLatest } from '../../../db/migrate.ts'
import { openDatabase } from '../../../db/open-database.ts'
import { removeDemo } from '../../../demo/data/seed-demo.ts'
import { DAYS, POSTS_A_PAGE } from '../../../demo/site/page-data.ts'
import site from '../../../demo/site/site.ts'
import { readConfig } from '../../../service/config.ts'
import { buildService } from '../../../service/service.ts'
import { fillBlog } from '../../helpers/blog.ts'
import { createTestDatabase } from '../../helpers/postgres.ts'
import { startPostgres } from '../../helpers/private-postgres.ts'
import { startRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/services/until.ts'
import { createSite, fillWithDemo } from '../../helpers/site.ts'

const decoded = (text = '') => text.replaceAll('&#38;', '&').replaceAll('&#61;', '=')
const linksOf = (html: string) => [...html.matchAll(/<h2><a href="([^"]+)">/g)].map(([, href]) => decoded(href))

t.test('the demo blog has pages of posts, and a page for each post', async (t) => {
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

t.test('categories of posts lead to pages of their posts, and of the categories below', async (t) => {
  const { db, url, pool } = await createTestDatabase(t)
  await fillBlog(db, POSTS_A_PAGE + 2)
  await pool.query(`
    insert into categories (slug, name) values ('news & more', '<News>'), ('local', 'Local'), ('drafts', 'Drafts');
    update categories set parent_id = (select id from categories where slug = 'news & more') where slug = 'local';
    insert into post_categories select posts.id, categories.id from posts, categories where categories.slug = 'news & more' and posts.slug <> 'post-3';
    insert into post_categories select posts.id, categories.id from posts, categories where categories.slug = 'local' and posts.slug = 'post-3';
    insert into posts (slug, title, url) values ('draft', 'Draft', '/draft');
    insert into post_categories select posts.id, categories.id from posts, categories where categories.slug = 'drafts' and posts.slug = 'draft'`)
  const app = await createSite(t, { db, url })
  const get = async (path: string) => {
    const { statusCode, body } = await app.inject(path)
    t.equal(statusCode, 200, path)
    return decoded(body)
  }
  const kicker = (query: string) =>
    `<p class="kicker"><a href="/?${query}category=news%20%26%20more">&#60;News&#62;</a></p>`
  t.match(await get('/'), kicker(''))
  t.match(await get('/?days=7'), kicker('days=7&'))
  t.match(await get('/posts/post-2'), kicker(''))
  const first = await get('/?category=news%20%26%20more')
  t.match(first, 'The latest posts in &#60;News&#62;')
  t.equal(linksOf(first).length, POSTS_A_PAGE)
  t.match(first, '<a href="/?category=news%20%26%20more&page=2">Older posts')
  t.match(first, '<a href="?category=news%20%26%20more&days=7">')
  const second = await get('/?days=7&category=news%20%26%20more&page=2')
  t.match(second, 'Older posts in &#60;News&#62;, page 2 of 2')
  t.equal(linksOf(second).length, 2)
  t.match(second, '<a href="/?days=7&category=news%20%26%20more">← Newer posts')
  t.match(second, '<a href="?category=news%20%26%20more&page=2&days=0">')
  const local = await get('/?category=local')
  t.same(linksOf(local), ['/posts/post-3'])
  for (const slug of ['drafts', 'nothing', '%3Cb%3E']) {
    const empty = await get(`/?category=${slug}`)
    t.match(empty, 'There is no post in this category.')
    t.notMatch(empty, /Drafts|<b>|class="entry"/)
  }
  for (const slug of ['', '%00', 'x'.repeat(501)])
    t.equal((await app.inject(`/?category=${slug}`)).statusCode, 400, slug)
})

t.test('a page says what it shows, and links to what the service has', async (t) => {
  const { db, url } = await createTestDatabase(t)
  const whole = await createSite(t, { db, url })
  const footer = (html: string) => /<footer>[\s\S]*<\/footer>/.exec(html)?.[0] ?? ''
  const linksIn = (html: string) => [...footer(html).matchAll(/href="([^"]+)"/g)].map(([, href = '']) => href)
  const { body } = await whole.inject('/')
  t.match(footer(body), 'The posts are those of your blog')
  const own = linksIn(body).filter((href) => href.startsWith('/'))
  t.same(own, ['/posts/popular', '/categories', '/docs', '/metrics', '/health/ready'])
  for (const href of own) t.match((await whole.inject(href)).statusCode, /^(?:200|302)$/, href)
  const bare = await createSite(t, { db, url, variables: { DOCS: 'false', METRICS: 'false' } })
  const page = (await bare.inject('/')).body
  t.same(
    linksIn(page).filter((href) => href.startsWith('/')),
    ['/posts/popular', '/categories', '/health/ready'],
  )
  for (const path of ['/docs', '/docs/', '/openapi.json', '/metrics'])
    t.equal((await bare.inject(path)).statusCode, 404, path)
  t.equal((await bare.inject('/posts/popular')).statusCode, 200)
  await fillWithDemo(db)
  t.match((await (await createSite(t, { db, url })).inject('/')).body, 'The blog and its readers are invented')
})

t.test('pages of any number cost one query for the order of all posts', async (t) => {
  const { db, url, countStatements, resetStatements } = await createTestDatabase(t)
  await fillBlog(db, 5 * POSTS_A_PAGE)
  const app = await createSite(t, { db, url })
  await app.inject('/')
  await resetStatements()
  const numbers = [1, 2, 3, 4, 5, 6, 999, 9_999]
  const pages = await Promise.all(numbers.map((number) => app.inject(`/?page=${number}`)))
  t.same(
    pages.map(({ body }) => linksOf(body).length),
    [...new Array(5).fill(POSTS_A_PAGE), 0, 0, 0],
  )
  t.equal(
    await countStatements(/order by "posts"\."published_at" desc, "posts"\."id" desc limit/),
    0,
    'the order is known',
  )
  t.equal(await countStatements(/from "posts" where .*"posts"\."id" in/s), 4, 'and a page reads its posts only')
  t.equal((await app.inject('/?page=10001')).statusCode, 400)
})

t.test('pages have a content security policy, and no secret', async (t) => {
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

t.test('for an adopted blog links lead to its posts, and the demo controls are missing', async (t) => {
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
  t.same(linksOf(body), [
    ...['/posts/post-1', '/posts/post-2', '/posts/post-3', '/posts/broken', '/posts/script'],
    'https://blog.example/elsewhere?a=1&b=2',
  ])
  t.notMatch(body, /javascript:|<script>|http:\/\/\[|Empty the cache/)
  t.match(body, '>&#60;script&#62;alert(1)&#60;/script&#62;</a></h2>')

  const post = await other.inject('/posts/post-2')
  t.match(post.body, '<h1>Post 2</h1>')
  t.match(post.body, 'record="post-2"')
  t.notMatch(post.body, /Send in|What readers say|on its blog|Read it on/)
  for (const slug of ['script', 'broken']) {
    const { statusCode, body } = await other.inject(`/posts/${slug}`)
    t.equal(statusCode, 200)
    t.notMatch(body, /href="(?:javascript|http):|record=|Read it on|You are a reader/)
  }
  t.equal((await other.inject({ method: 'POST', url: '/demo/invalidate' })).statusCode, 404)

  const adopted = await createSite(t, { db, url, isAdopted: true })
  t.equal(linksOf((await adopted.inject('/')).body).length, 6)
  t.match((await adopted.inject('/posts/post-2')).body, 'The post is at <code>/posts/post-2</code> on its blog.')
})

t.test('a post of another site has a page that links to it, where the site is known', async (t) => {
  const { db, url } = await createTestDatabase(t)
  const published_at = new Date(0)
  await db
    .insertInto('posts')
    .values([
      { slug: 'known', title: 'Known', url: 'https://blog.example/blog/known.html', published_at },
      { slug: 'ü/x', title: 'Unknown', url: '/blog/<i>.html', published_at },
    ])
    .execute()
  const app = await createSite(t, { db, url })
  const known = await app.inject('/posts/known')
  t.match(decoded(known.body), '<a href="https://blog.example/blog/known.html">Read it on blog.example</a>')
  t.notMatch(known.body, / record=|You are a reader|class="lead"|class="kicker"/)
  const [first = '', second = ''] = linksOf((await app.inject('/')).body)
  t.same([first, second].sort(), ['/posts/%C3%BC%2Fx', 'https://blog.example/blog/known.html'])
  t.match((await app.inject('/posts/%C3%BC%2Fx')).body, '<code>/blog/&#60;i&#62;.html</code> on its blog')
})

t.test('a page shows the shortest window that has views, or the one in its address', async (t) => {
  const { db, url } = await createTestDatabase(t)
  const nowMs = Date.now()
  const dayMs = 86_400_000
  const { id } = await db
    .insertInto('posts')
    .values([{ slug: 'read', title: 'Read', url: '/blog/read', published_at: new Date(0) }])
    .returning('id')
    .executeTakeFirstOrThrow()
  const hidden = await db
    .insertInto('posts')
    .values([{ slug: 'hidden', title: 'Hidden', url: '/blog/hidden', published_at: new Date(0), is_private: true }])
    .returning('id')
    .executeTakeFirstOrThrow()
  const count = (postId: string | number | bigint, timeMs: number) =>
    addViews(db, { timeZone: 'UTC', nowMs, buckets: [{ postId, bucketStartMs: bucketStart(timeMs), views: 1 }] })
  const start = async () => /data-days="(\d+)"/.exec((await (await createSite(t, { db, url })).inject('/')).body)?.[1]
  await count(hidden.id, nowMs)
  t.equal(await start(), '1', 'nothing was read that may be seen')
  for (const [ageDays, days] of [
    [3000, '0'],
    [200, '365'],
    [20, '30'],
    [4, '7'],
    [0, '1'],
  ] as const) {
    await count(id, nowMs - ageDays * dayMs)
    t.equal(await start(), days, `${ageDays} days ago`)
  }
  const app = await createSite(t, { db, url })
  for (const [days, words, views] of [
    [1, 'in the last 24 hours', '1 view'],
    [7, 'in the last 7 days', '2 views'],
    [30, 'in the last 30 days', '3 views'],
    [365, 'in the last 365 days', '4 views'],
    [0, 'of all time', '5 views'],
  ] as const) {
    const { body } = await app.inject(`/?days=${days}`)
    t.match(body, `Most read <small>${words}</small>`)
    t.match(body, `<small>${views}</small>`)
    t.match(decoded(body), `<a href="?days=${days}" aria-current="true">`)
    t.match(decoded(body), `<h2><a href="/posts/read?days=${days}">Read</a></h2>`)
  }
  await fillBlog(db, POSTS_A_PAGE)
  const paged = decoded((await (await createSite(t, { db, url })).inject('/?page=2&days=7')).body)
  t.match(paged, '<a href="/?days=7">← Newer posts</a>')
  t.match(paged, '<a href="?page=2&days=0">All time</a>')
  const first = decoded((await (await createSite(t, { db, url })).inject('/?days=7')).body)
  t.match(first, '<a href="/?days=7&page=2">Older posts →</a>')
  t.match((await app.inject('/?days=2')).json(), { statusCode: 400 })
})

t.test('with DAYS pages show only these windows', async (t) => {
  const { db, url } = await createTestDatabase(t)
  const app = await createSite(t, { db, url, variables: { DAYS: '0,90,30,7' } })
  const { body } = await app.inject('/')
  t.match(body, 'data-days="7"', 'the shortest one, without a view')
  const [, links = ''] = /<nav class="windows"[^>]*>(.*?)<\/nav>/s.exec(decoded(body)) ?? []
  t.same(
    [...links.matchAll(/days=(\d+)/g)].map(([, days]) => days),
    ['7', '30', '0'],
  )
  for (const days of [7, 30, 0]) t.match((await app.inject(`/?days=${days}`)).body, `data-days="${days}"`)
  for (const path of ['/?days=1', '/?days=365', '/?days=90', '/posts/none?days=1'])
    t.match((await app.inject(path)).json(), { statusCode: 400 }, path)
})

t.test('a window without views shows a message, and posts with 0 views are not listed as most read', async (t) => {
  const { db, url } = await createTestDatabase(t)
  await db
    .insertInto('posts')
    .values({ slug: 'new', title: 'New', url: '/new', published_at: new Date(0) })
    .execute()
  const app = await createSite(t, { db, url })
  const { body } = await app.inject('/')
  t.match(body, '<ol></ol><p>No post was read in the last 24 hours.</p>')
  t.match((await app.inject('/?days=0')).body, '<ol></ol><p>No post has been read yet.</p>')
  t.match((await app.inject('/posts/new')).body, 'Not among the first 50 of the last 24 hours')
})

t.test('an error is a page for browsers, and JSON for programs', async (t) => {
  const { db, url } = await createTestDatabase(t)
  const app = await createSite(t, { db, url, variables: { CORS_ORIGIN: 'https://blog.example' } })
  const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8'
  const accepts: [string | undefined, boolean][] = [
    [BROWSER, true],
    ['TEXT/HTML', true],
    ['application/json;q=0.5, text/html ; q=0.9', true],
    ['text/html;q=0', false],
    ['text/html;q=x', false],
    ['application/json, text/html', false],
    ['application/json, text/plain, */*', false],
    ['*/*', false],
    ['image/avif,image/webp,*/*', false],
    ['', false],
    [undefined, false],
  ]
  for (const [accept, isPage] of accepts) {
    const { statusCode, headers, body } = await app.inject({
      url: '/no<b>where?secret',
      headers: { ...(accept === undefined ? {} : { accept }), origin: 'https://blog.example' },
    })
    t.equal(statusCode, 404)
    t.equal(
      headers['content-type'],
      isPage ? 'text/html; charset=utf-8' : 'application/json; charset=utf-8',
      String(accept),
    )
    t.match(headers, { 'cache-control': 'no-store', vary: /^Origin, accept$/i, 'x-content-type-options': 'nosniff' })
    t.equal('content-security-policy' in headers, isPage)
    t.notMatch(body, /secret|no<b>where(?!.*PP_NOT_FOUND)/)
    t.match(body, isPage ? '<a href="/">To the latest posts</a>' : 'PP_NOT_FOUND')
  }
  const asBrowser = { accept: BROWSER }
  for (const [method, path, status] of [
    ['HEAD', '/nowhere', 404],
    ['POST', '/nowhere', 404],
    ['PUT', '/', 404],
    ['GET', '/popular-posts.0000000000000000.js', 404],
    ['GET', '/demo/nothing', 404],
    ['GET', '/%zz', 400],
    ['GET', '/?page=x', 400],
    ['GET', '/?days=2', 400],
    ['GET', '/posts/popular?limit=x', 400],
    ['GET', `/posts/${'a'.repeat(501)}`, 400],
    ['GET', '/posts/unknown', 404],
  ] as const) {
    const { statusCode, headers, body } = await app.inject({ method, url: path, headers: asBrowser })
    t.equal(statusCode, status, path)
    t.match(headers['content-type'], 'text/html', `${method} ${path}`)
    t.match(body, method === 'HEAD' ? /^$/ : /<h1>[^<]+<\/h1>[\s\S]*href="\/"/, `${method} ${path}`)
  }
})

t.test('a failed page shows an error page, without details of the error', async (t) => {
  const { db, url } = await createTestDatabase(t)
  const app = await buildService(readConfig({ LOG_LEVEL: 'silent' }), url)
  t.teardown(() => app.close())
  app.get('/broken', async () => {
    throw new Error('password=secret')
  })
  app.get('/away', async () => {
    throw Object.assign(new Error('Try again.'), { statusCode: 503, code: 'PP_LOAD_FAILED', retryAfterMs: 3_000 })
  })
  await app.register(site, { db, isAdopted: false, timeZone: 'UTC' })
  const headers = { accept: 'text/html' }
  const broken = await app.inject({ url: '/broken', headers })
  t.equal(broken.statusCode, 500)
  t.match(broken.body, '<h1>Something went wrong</h1><p>Something went wrong on our side.</p>')
  t.notMatch(broken.body, /secret|\n\s+at /)
  t.match(await app.inject({ url: '/away', headers }), {
    statusCode: 503,
    headers: { 'retry-after': '3' },
    body: /Not right now/,
  })
})

t.test('a post after the first 50 shows that it is not in the ranking', async (t) => {
  const { db, url } = await createTestDatabase(t)
  await fillBlog(db, 52)
  const app = await createSite(t, { db, url })
  const { body } = await app.inject('/posts/post-52')
  t.match(body, 'Not among the first 50 of the last 24 hours')
  t.match((await app.inject('/')).body, `the last ${DAYS} days`)
})

t.test('while the database is down the page shows a message and the cached list', async (t) => {
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
  t.match(served.body, 'The database does not answer. This is the last good list, from the cache.')
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

  await t.rejects(warm.popularPosts.invalidate('hard'), { code: 'PP_UNCONFIRMED' }, 'other processes do not hear of it')
  t.match((await warm.inject('/posts/stile-etiquette')).body, 'Its rank is not available now')

  const empty = await cold.inject('/')
  t.equal(empty.statusCode, 200)
  t.match(empty.body, '<title>Popular posts</title>')
  t.same(linksOf(empty.body), [])
  t.equal((await cold.inject('/posts/owls-do-not-care')).statusCode, 503)
  t.notMatch(served.body + unknown.body + empty.body, /ECONNREFUSED|postgres|\n\s+at /)
})

t.test('while Redis is down the page shows a message', async (t) => {
  const { db, url } = await createTestDatabase(t)
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const app = await createSite(t, { db, url, variables: { REDIS_URL: redis.url } })
  await redis.kill()
  await until(async () => {
    const { statusCode, body } = await app.inject('/posts/x')
    t.equal(statusCode, 404)
    return body.includes('Redis does not answer: this process uses its own cache.')
  }, 'the page says that Redis is gone')
})

t.test('real posts replace the demo in a running service', async (t) => {
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
