import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { importLog } from '../../bin/import-log/import-log.ts'
import { compilePostPattern } from '../../bin/import-log/slug.ts'
import type { PopularPost } from '../../index.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { createSite } from '../helpers/site.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

/** A slug of the database, and texts by which readers, pages and logs name it. */
const SLUGS: Record<string, readonly string[]> = {
  goat: ['goat', 'Goat', 'GOAT'],
  'Kept-Case': ['Kept-Case'],
  über: ['über', 'u\u0308ber', 'Über', '%C3%BCber', '%c3%bcber'],
  'nfd-e\u0301': ['nfd-e\u0301', 'nfd-é', 'NFD-É'],
  '%e6%97%a5%e6%9c%ac': ['日本', '%E6%97%A5%E6%9C%AC', '%e6%97%a5%e6%9c%ac'],
  '%D0%BF%D1%80': ['пр', 'Пр', '%D0%BF%D1%80', '%d0%bf%d1%80'],
  'c++ & c#': ['c++ & c#', 'C++ & C#'],
  '100%': ['100%'],
  [`long-${'x'.repeat(300)}`]: [`long-${'x'.repeat(300)}`],
  ['日'.repeat(201)]: ['日'.repeat(201)],
}
const NOT_FOUND = ['kept-case', 'uber', 'goat ', '日', '%00', 'x'.repeat(500)]

async function setUp(t: Test) {
  const database = await createTestDatabase(t)
  const { db } = database
  for (const slug of Object.keys(SLUGS)) {
    const named = { slug, name: slug }
    const author = await db.insertInto('authors').values(named).returning('id').executeTakeFirstOrThrow()
    const category = await db.insertInto('categories').values(named).returning('id').executeTakeFirstOrThrow()
    const tag = await db.insertInto('tags').values(named).returning('id').executeTakeFirstOrThrow()
    const post = await db
      .insertInto('posts')
      .values({ slug, title: slug, url: '/', author_id: author.id, published_at: new Date(0) })
      .returning('id')
      .executeTakeFirstOrThrow()
    await db.insertInto('post_categories').values({ post_id: post.id, category_id: category.id }).execute()
    await db.insertInto('post_tags').values({ post_id: post.id, tag_id: tag.id }).execute()
  }
  const totals = async () => {
    const rows = await db
      .selectFrom('posts')
      .innerJoin('post_views_total as total', 'total.post_id', 'posts.id')
      .select(['slug', 'views'])
      .execute()
    return Object.fromEntries(rows.map(({ slug, views }) => [slug, Number(views)]))
  }
  const app = await createSite(t, { ...database, variables: {} })
  return { ...database, app, totals }
}

const EXPECTED = Object.fromEntries(Object.entries(SLUGS).map(([slug, names]) => [slug, names.length]))
const NAMES = Object.entries(SLUGS).flatMap(([slug, names]) => names.map((name) => ({ slug, name })))

t.test('beacons, record, filters, exclude and pages compare slugs by one rule', async (t) => {
  const { app, totals } = await setUp(t)
  let readers = 0
  const from = () => {
    readers += 1
    return `203.0.113.${readers}`
  }
  for (const { name } of NAMES) {
    const headers = { 'user-agent': FIREFOX, 'x-forwarded-for': from() }
    const url = `/posts/${encodeURIComponent(name)}/views`
    t.equal((await app.inject({ method: 'POST', url, headers })).statusCode, 204, name)
  }
  for (const name of NOT_FOUND) {
    const url = `/posts/${encodeURIComponent(name)}/views`
    t.equal((await app.inject({ method: 'POST', url, headers: { 'user-agent': FIREFOX } })).statusCode, 404, name)
  }
  await app.postViews.flush()
  t.same(await totals(), EXPECTED, 'beacons')
  for (const { name } of NAMES) {
    const request = { method: 'GET', ip: from(), headers: { 'user-agent': FIREFOX } }
    t.equal(await app.postViews.record({ slug: name, request }), 'counted', name)
  }
  await app.postViews.flush()
  t.same(
    await totals(),
    Object.fromEntries(Object.entries(EXPECTED).map(([slug, views]) => [slug, 2 * views])),
    'record',
  )

  const all = Object.keys(SLUGS).toSorted()
  const list = async (query: Record<string, string>) => {
    const response = await app.inject({ url: '/posts/popular', query: { days: '0', ...query } })
    return response.json<PopularPost[]>().map(({ slug }) => slug)
  }
  t.same((await list({})).toSorted(), all)
  for (const { slug, name } of NAMES) {
    for (const filter of ['category', 'tag', 'author'])
      t.same(await list({ [filter]: name }), [slug], `${filter}=${name}`)
    t.same(
      (await list({ exclude: name })).toSorted(),
      all.filter((other) => other !== slug),
      `exclude=${name}`,
    )
    const page = await app.inject(`/posts/${encodeURIComponent(name)}`)
    t.equal(page.statusCode, name === slug ? 200 : 301, name)
    if (name !== slug) t.equal(page.headers['location'], `/posts/${encodeURIComponent(slug)}`)
  }
  const before = app.popularPosts.stats().entries
  for (const name of NOT_FOUND) {
    for (const filter of ['category', 'tag', 'author']) t.same(await list({ [filter]: name }), [], `${filter}=${name}`)
    t.same((await list({ exclude: name })).toSorted(), all, `exclude=${name}`)
  }
  t.equal(app.popularPosts.stats().entries, before, 'no form of a slug has a list of its own')
  t.ok(before <= 3 * all.length + 3)
  t.match(await app.popularPosts.refresh({ category: 'GOAT', days: 0 }), [{ slug: 'goat' }])
  t.same(await app.popularPosts.refresh({ category: 'none', days: 0 }), [])
})

t.test('access logs compare slugs by the same rule', async (t) => {
  const { db, totals } = await setUp(t)
  const line = (target: string, index: number) =>
    `203.0.113.${index} - - [17/May/2015:10:05:03 +0000] "GET ${target} HTTP/1.1" 200 9 "-" "${FIREFOX}"\n`
  const names = [...NAMES.map(({ name }) => name), ...NOT_FOUND]
  const summary = await importLog({
    db,
    timeZone: 'UTC',
    dedupSeconds: 900,
    nowMs: Date.now(),
    // A log has the path as the client sent it, percent-encoded.
    input: Readable.from(names.map((name, index) => line(`/blog/${encodeURIComponent(name)}`, index))),
    post: compilePostPattern('^/blog/(?<slug>.+)$'),
  })
  t.match(summary, { viewsCounted: NAMES.length, unknown: NOT_FOUND.length })
  t.same(await totals(), EXPECTED)
  t.ok(
    summary.top.every(({ slug, title }) => slug in SLUGS && title === slug),
    'posts are named as in the database',
  )
})

t.test('views of an old address count for the post, which lists and links name by its new slug', async (t) => {
  const { db, pool, app, totals } = await setUp(t)
  const view = async (slug: string, ip: string) =>
    (
      await app.inject({
        method: 'POST',
        url: `/posts/${encodeURIComponent(slug)}/views`,
        headers: { 'user-agent': FIREFOX, 'x-forwarded-for': ip },
      })
    ).statusCode
  t.equal(await view('goat', '203.0.113.1'), 204)
  await pool.query(`update posts set slug = 'the-goat', url = '/posts/the-goat' where slug = 'goat'`)
  for (const [index, slug] of ['goat', 'GOAT', 'the-goat', 'The-Goat'].entries())
    t.equal(await view(slug, `203.0.113.${index + 2}`), 204, slug)
  t.equal(await view('the-goat', '203.0.113.2'), 204)
  await app.postViews.flush()
  t.same(await totals(), { 'the-goat': 5 }, 'a reader of both addresses counts once')
  await app.popularPosts.invalidate()
  const [first] = await app.popularPosts.get({ days: 0 })
  t.match(first, { slug: 'the-goat', url: '/posts/the-goat', views: 5 })
  t.match(await app.inject('/posts/goat'), { statusCode: 301, headers: { location: '/posts/the-goat' } })
  t.equal((await app.inject('/posts/the-goat')).statusCode, 200)

  const log = ['/blog/goat', '/blog/the-goat', '/blog/goat?x'].map(
    (target, index) =>
      `203.0.113.${index} - - [17/May/2015:10:05:03 +0000] "GET ${target} HTTP/1.1" 200 9 "-" "${FIREFOX}"\n`,
  )
  const options = { db, timeZone: 'UTC', dedupSeconds: 900, nowMs: Date.now(), createPosts: true } as const
  const post = compilePostPattern('/blog/')
  const summary = await importLog({ ...options, post, input: Readable.from(log) })
  t.match(summary, {
    viewsCounted: 3,
    unknown: 0,
    postsCreated: 0,
    top: [{ slug: 'the-goat', title: 'goat', views: 3 }],
  })
  t.match(await importLog({ ...options, post, input: Readable.from(log) }), { viewsCounted: 0, viewsCountedBefore: 3 })
  await pool.query(`update posts set slug = 'goat-3' where slug = 'the-goat'`)
  const third = await importLog({ ...options, post, input: Readable.from(log) })
  t.match(third, { viewsCounted: 0, viewsCountedBefore: 3 }, 'also after another renaming')
})

t.test('exclude knows the earlier slugs of posts, also where the blog begins or ceases to keep them', async (t) => {
  const { app, pool } = await setUp(t)
  const slugsOf = async (exclude: string) => {
    await app.popularPosts.invalidate()
    const { body, statusCode } = await app.inject(
      `/posts/popular?days=0&limit=50&exclude=${encodeURIComponent(exclude)}`,
    )
    t.equal(statusCode, 200)
    return (JSON.parse(body) as PopularPost[]).map(({ slug }) => slug).sort()
  }
  const all = Object.keys(SLUGS).sort()
  const without = (slug: string) => all.filter((each) => each !== slug)
  await pool.query(`
    update posts set slug = 'renamed' where slug = 'goat'; update posts set slug = 'goat' where slug = 'renamed';
    insert into post_aliases (slug, post_id) select 'tor-größe', id from posts where slug = 'über'`)
  t.same(await slugsOf('renamed'), without('goat'))
  t.same(await slugsOf('RENAMED'), without('goat'))
  t.same(await slugsOf('TOR-GR%C3%96%C3%9FE'), without('über'))
  t.same(await slugsOf('über'), without('über'))
  await pool.query('alter table post_aliases rename to kept')
  t.same(await slugsOf('renamed'), all)
  t.same(await slugsOf('über'), without('über'))
  await pool.query('alter table kept rename to post_aliases')
  t.same(await slugsOf('renamed'), without('goat'))
})
