import Fastify from 'fastify'
import t from 'tap'
import popularPosts, { type PopularPost } from '../../index.ts'
import { servicesOf } from '../../plugins/popular-posts.ts'
import { createService, fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

const CACHEABLE = 'public, max-age=60, stale-while-revalidate=300, stale-if-error=86400'

t.test('GET /posts/popular', async (t) => {
  const { db, url, countStatements } = await createTestDatabase(t)
  await fillBlog(db, 60)
  const app = await createService(t, url)
  const get = (path: string, headers: Record<string, string> = {}) => app.inject({ url: path, headers })
  const slugs = async (path: string) => (await get(path)).json<PopularPost[]>().map((post) => post.slug)

  await t.test('returns the ten most popular posts of 30 days, with all fields', async (t) => {
    const response = await get('/posts/popular')
    t.equal(response.statusCode, 200)
    t.equal(response.headers['content-type'], 'application/json; charset=utf-8')
    const posts = response.json<PopularPost[]>()
    t.equal(posts.length, 10)
    t.match(posts[0], {
      id: /^\d+$/,
      slug: 'post-1',
      title: 'Post 1',
      url: '/posts/post-1',
      excerpt: '',
      publishedAt: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
      author: { name: 'Ann Ω', slug: 'ann' },
      categories: [{ name: 'Odd', slug: 'odd' }],
      tags: ['Start'],
      image: null,
      readingMinutes: 1,
      commentCount: 0,
      views: 999,
      totalViews: 999,
    })
  })

  await t.test('every shorter list is the beginning of the longest, byte for byte', async (t) => {
    const longest = (await get('/posts/popular?limit=50')).rawPayload
    for (let limit = 1; limit < 50; limit += 1) {
      const shorter = (await get(`/posts/popular?limit=${limit}`)).rawPayload
      const beginning = shorter.subarray(0, -1)
      t.ok(
        longest.subarray(0, beginning.length).equals(beginning) && longest[beginning.length] === 0x2c,
        `limit=${limit}`,
      )
      t.equal(JSON.parse(shorter.toString()).length, limit)
    }
    t.equal(await countStatements(/from "ranked"/), 1, 'all of them from one query')
  })

  await t.test('a limit above 50 is reduced to 50', async (t) => {
    for (const limit of ['51', '1000', '9'.repeat(30), '9'.repeat(400), '0050']) {
      t.equal((await slugs(`/posts/popular?limit=${limit}`)).length, 50, limit)
    }
  })

  await t.test('filters by category, tag and author', async (t) => {
    t.same(await slugs('/posts/popular?category=odd&limit=3'), ['post-1', 'post-3', 'post-5'])
    t.same(await slugs('/posts/popular?tag=start'), ['post-1', 'post-2', 'post-3'])
    t.same(await slugs('/posts/popular?author=ann&limit=2'), ['post-1', 'post-2'])
  })

  await t.test('more than one filter is a 400 that names them and the option', async (t) => {
    const { entries } = app.popularPosts.stats()
    const refused = {
      'category=odd&tag=start': { category: 'odd', tag: 'start' },
      'author=ann&category=odd': { author: 'ann', category: 'odd' },
      'tag=nix&author=nix': { tag: 'nix', author: 'nix' },
      'author=ann&tag=start&category=odd&days=0': { author: 'ann', tag: 'start', category: 'odd', days: 0 },
    }
    for (const [asked, query] of Object.entries(refused)) {
      const names = ['category', 'tag', 'author'].filter((name) => name in query).join(' and ')
      const message = `Expected one of category, tag, author and excludeCategory at a time, got ${names}. The option combineFilters allows more.`
      const response = await get(`/posts/popular?${asked}`)
      t.match(response.json(), { statusCode: 400, code: 'PP_BAD_QUERY', error: 'Bad Request', message }, asked)
      t.equal(response.headers['cache-control'], 'no-store')
      t.throws(() => servicesOf(app).lists.peek(query), { code: 'PP_BAD_QUERY', message })
      const { read, get: getPosts, refresh } = app.popularPosts
      for (const ask of [read, getPosts, refresh])
        await t.rejects(async () => ask(query), { code: 'PP_BAD_QUERY', statusCode: 400, message })
    }
    t.equal(app.popularPosts.stats().entries, entries)
  })

  await t.test('with COMBINE_FILTERS a list is filtered by all given filters', async (t) => {
    const combining = await createService(t, url, { COMBINE_FILTERS: 'true' })
    const response = await combining.inject('/posts/popular?author=ann&category=odd&tag=start')
    t.same(
      response.json<PopularPost[]>().map(({ slug }) => slug),
      ['post-1', 'post-3'],
    )
    t.equal((await combining.inject('/posts/popular?category=odd&tag=nix')).body, '[]')
    t.equal((await combining.popularPosts.get({ tag: 'start', category: 'odd' })).length, 2)
  })

  await t.test('an unknown filter returns an empty list, which is not stored and runs no query', async (t) => {
    const { entries } = app.popularPosts.stats()
    const before = await countStatements(/from "ranked"/)
    for (const filter of ['category=nix', 'tag=nix', 'author=nix', 'category=%00', 'tag=__proto__']) {
      const response = await get(`/posts/popular?${filter}`)
      t.match(
        response,
        { statusCode: 200, body: '[]', headers: { 'cache-status': /^popular-posts; fwd=bypass/ } },
        filter,
      )
    }
    t.equal(app.popularPosts.stats().entries, entries)
    t.equal(await countStatements(/from "ranked"/), before)
  })

  await t.test('leaves out excluded posts, and still has its full length', async (t) => {
    t.same(await slugs('/posts/popular?limit=3&exclude=post-2'), ['post-1', 'post-3', 'post-4'])
    t.same(await slugs('/posts/popular?limit=2&exclude=post-1&exclude=post-3&exclude=nix'), ['post-2', 'post-4'])
    const excluded = Array.from({ length: 50 }, (_none, index) => `exclude=post-${index + 1}`).join('&')
    t.same((await slugs(`/posts/popular?limit=50&${excluded}`)).length, 10, 'there are no more than 60 posts')
    const ten = ['limit=10', 'limit=1', 'limit=10&sort=trending', 'limit=10&days=0', 'limit=10&author=ann']
    for (const list of ten) {
      const limit = Number(/limit=(\d+)/.exec(list)?.[1])
      const expected = Array.from({ length: limit }, (_none, index) => `post-${index + 51}`)
      t.same(await slugs(`/posts/popular?${list}&${excluded}`), expected, list)
      t.same(await slugs(`/posts/popular?${list}&${excluded}`), expected, `${list} again`)
    }
    t.equal((await slugs('/posts/popular?limit=50&exclude=post-7')).length, 50)
    t.same(await slugs('/posts/popular?limit=2&offset=48&exclude=post-1&exclude=post-2'), ['post-51', 'post-52'])
    t.same(await slugs('/posts/popular?limit=2&offset=48&exclude=POST-1'), ['post-50', 'post-51'], 'in any form')
    t.same(await slugs('/posts/popular?offset=50&exclude=post-1'), [], 'a list ends after 50 posts')
    t.equal((await slugs('/posts/popular?limit=50&minViews=1&exclude=post-7')).length, 50)
    const keys = app.popularPosts.stats().entries
    for (let first = 1; first < 10; first += 1)
      t.equal((await slugs(`/posts/popular?limit=50&exclude=post-${first}&exclude=post-${first + 20}`)).length, 50)
    t.equal(app.popularPosts.stats().entries, keys, 'a list has one longer list, whatever is excluded')
    const all = Array.from({ length: 50 }, (_none, index) => `post-${index + 1}`)
    t.same(await app.popularPosts.refresh({ limit: 1, exclude: all }).then((posts) => posts.map(({ slug }) => slug)), [
      'post-51',
    ])
    for (const exclude of [[...all, 'one-more'], 'post-1', [5], ['post-1', null]])
      await t.rejects(app.popularPosts.get({ exclude: exclude as string[] }), {
        code: 'PP_BAD_QUERY',
        message: /^Expected exclude to be the slug of a post, up to 50 times, got /,
      })
  })

  await t.test('an own load is asked for a longer list only where exclude shortens the list', async (t) => {
    const limits: number[] = []
    const own = Fastify()
    t.teardown(() => own.close())
    let isFailing = false
    await own.register(popularPosts, {
      maxLimit: 3,
      defaultLimit: 3,
      load: async ({ limit }) => {
        limits.push(limit)
        if (isFailing && limit > 3) throw new Error('no more')
        return Array.from({ length: limit }, (_none, index) => ({ slug: `p${index}` }))
      },
    })
    const get = async (exclude: string[]) =>
      (await own.popularPosts.get({ exclude })).map((post) => Reflect.get(post, 'slug') as string)
    t.same(await get(['p9']), ['p0', 'p1', 'p2'])
    t.same(limits, [3])
    t.same(await get(['p0', 'p2']), ['p1', 'p3', 'p4'])
    t.same(limits, [3, 53])
    await own.popularPosts.invalidate()
    isFailing = true
    t.same(await get(['p0', 'p2']), ['p1'], 'the short list, if the longer one cannot be loaded')
  })

  await t.test('sorts by trend with sort=trending', async (t) => {
    t.equal((await slugs('/posts/popular?sort=trending'))[0], 'post-1')
  })

  await t.test('unknown parameters change nothing and create no key', async (t) => {
    const { entries } = app.popularPosts.stats()
    t.equal(
      (await get('/posts/popular?limit=10&utm_source=x&limit[]=3&__proto__=1')).body,
      (await get('/posts/popular')).body,
    )
    t.equal(app.popularPosts.stats().entries, entries)
  })

  await t.test('has the headers for HTTP caches, and replies 304', async (t) => {
    const { headers, body } = await get('/posts/popular')
    t.match(headers, {
      etag: /^"[\w-]{27}"$/,
      'cache-control': /^public, max-age=\d+, stale-while-revalidate=300, stale-if-error=86400$/,
    })
    t.match(headers['cache-status'], /^popular-posts; hit; ttl=\d+$/)
    t.match(headers['age'], /^\d+$/)
    const etag = String(headers['etag'])
    for (const condition of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const response = await get('/posts/popular', { 'if-none-match': condition })
      t.equal(response.statusCode, 304, condition)
      t.equal(response.body, '')
      t.equal(response.headers['etag'], etag)
    }
    t.equal((await get('/posts/popular', { 'if-none-match': '"other"' })).statusCode, 200)
    t.not((await get('/posts/popular?limit=9')).headers['etag'], etag, 'another list, another tag')
    const head = await app.inject({ method: 'HEAD', url: '/posts/popular' })
    t.match(head, { statusCode: 200, body: '', headers: { etag, 'content-length': String(Buffer.byteLength(body)) } })
  })

  await t.test('Cache-Status has the outcome of the cache', async (t) => {
    const status = async () => (await get('/posts/popular?days=77')).headers['cache-status']
    t.equal(await status(), 'popular-posts; fwd=miss; stored')
    t.match(await status(), /^popular-posts; hit; ttl=\d+$/)
    await app.popularPosts.invalidate('soft')
    t.equal(await status(), 'popular-posts; hit; ttl=0', 'the older list, once more')
    await app.popularPosts.invalidate('hard')
    const [first, second] = await Promise.all([status(), status()])
    t.equal(first, 'popular-posts; fwd=miss; stored')
    t.equal(second, 'popular-posts; fwd=miss; stored; collapsed')
  })

  await t.test('bad input is a 400 that names the parameter and what is allowed', async (t) => {
    const integers = [
      '1.5',
      '1e3',
      '%2B5',
      '%207%20',
      '1_0',
      '%D9%A3',
      '',
      '-1',
      '0x10',
      'NaN',
      'null',
      'true',
      '1&NAME=2',
    ]
    for (const [name, allowed, more] of [
      ['limit', 'an integer of 1 or more', ['0']],
      ['days', 'an integer from 0 to 365', ['366', '9'.repeat(30), '9'.repeat(400)]],
    ] as const) {
      for (const value of [...integers, ...more]) {
        const response = await get(`/posts/popular?${name}=${value.replace('NAME', name)}`)
        t.match(
          response.json(),
          {
            statusCode: 400,
            code: 'PP_BAD_QUERY',
            error: 'Bad Request',
            message: new RegExp(`^Expected ${name} to be ${allowed}`),
          },
          `${name}=${value.slice(0, 20)}`,
        )
        t.equal(response.statusCode, 400)
        t.equal(response.headers['cache-control'], 'no-store')
      }
    }
    const excluded = Array.from({ length: 51 }, (_none, index) => `exclude=${index}`).join('&')
    for (const query of ['sort=popular', 'sort=views&sort=views', 'category=', excluded]) {
      const name = query.split('=')[0]
      t.match(
        (await get(`/posts/popular?${query}`)).json(),
        { statusCode: 400, message: new RegExp(`^Expected ${name} to be`) },
        query,
      )
    }
    t.match((await get('/posts/popular?limit=%3Cscript%3E')).json().message, 'got "<script>".')
  })
})

t.test('a blog without posts has an empty list, cached like any other', async (t) => {
  const { url, countStatements } = await createTestDatabase(t)
  const app = await createService(t, url)
  for (const status of ['popular-posts; fwd=miss; stored', /hit/]) {
    const { body, headers, statusCode } = await app.inject('/posts/popular')
    t.match(
      { body, statusCode, status: headers['cache-status'], caching: headers['cache-control'] },
      { body: '[]', statusCode: 200, status, caching: CACHEABLE },
    )
  }
  t.equal(await countStatements(/from "ranked"/), 1)
})

t.test('GET /categories counts live posts and their views in the window', async (t) => {
  const { db, url } = await createTestDatabase(t)
  await fillBlog(db, 5)
  const app = await createService(t, url)
  const response = await app.inject('/categories')
  t.same(response.json(), [{ name: 'Odd', slug: 'odd', postCount: 3, views: 999 + 997 + 995 }])
  t.match(response.headers, {
    etag: String,
    'cache-control': CACHEABLE,
    'cache-status': 'popular-posts; fwd=miss; stored',
  })
  t.match((await app.inject('/categories?days=0&limit=abc')).json()[0], { postCount: 3 }, 'it has no limit to be wrong')
  t.match((await app.inject('/categories?days=x')).json(), { statusCode: 400, message: /^Expected days to be/ })
})

t.test('1,000 requests at once for a cold list run one ranking statement', async (t) => {
  const { db, url, countStatements } = await createTestDatabase(t)
  await fillBlog(db, 60)
  const app = await createService(t, url)
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const answers = await Promise.all(
    Array.from({ length: 1000 }, async (_none, index) => {
      const response = await fetch(`${address}/posts/popular?limit=${(index % 50) + 1}`)
      return { status: response.status, posts: ((await response.json()) as PopularPost[]).length - (index % 50) }
    }),
  )
  t.same(new Set(answers.map((answer) => JSON.stringify(answer))), new Set(['{"status":200,"posts":1}']))
  t.equal(await countStatements(/from "ranked"/), 1)
  t.match(app.popularPosts.stats(), { loads: 1, misses: Number })
})

t.test('the decorator invalidates, refreshes and reads the lists of the routes', async (t) => {
  const { db, url } = await createTestDatabase(t)
  await fillBlog(db, 2)
  const app = await createService(t, url)
  const titles = async () => (await app.inject('/posts/popular')).json<PopularPost[]>().map((post) => post.title)
  t.same(await titles(), ['Post 1', 'Post 2'])
  await db.updateTable('posts').set({ title: 'News' }).where('slug', '=', 'post-1').execute()
  t.same(await titles(), ['Post 1', 'Post 2'], 'cached')
  await app.popularPosts.invalidate()
  t.same(await titles(), ['News', 'Post 2'])
  t.same(
    (await app.popularPosts.refresh({ limit: 1 })).map((post) => post.title),
    ['News'],
  )
  t.same(
    (await app.popularPosts.get({ limit: 1, exclude: ['post-1'] })).map((post) => post.title),
    ['Post 2'],
  )
  t.same(await app.popularPosts.refresh({ category: 'nix' }), [])
})
