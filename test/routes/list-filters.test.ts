import t, { type Test } from 'tap'
import type { PopularCategory, PopularPost } from '../../index.ts'
import { createService, fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { until } from '../helpers/services/until.ts'

/**
 * Ten posts: `post-1` with the most views (999), `post-10` with the fewest (990). The categories are a tree: outdoors > trails >
 * alps. Their posts: 1, 2 and 3 in trails, 3 and 4 in alps, 5 in outdoors, 6 in news.
 */
async function createBlog(t: Test, variables: NodeJS.ProcessEnv = {}) {
  const { db, pool, url, countStatements } = await createTestDatabase(t)
  await fillBlog(db, 10)
  await pool.query(`
    insert into categories (slug, name) values ('outdoors', 'Outdoors'), ('trails', 'Trails'), ('alps', 'Alps'),
      ('news', 'News'), ('empty', 'Empty');
    update categories child set parent_id = parent.id from categories parent
      where (child.slug, parent.slug) in (('trails', 'outdoors'), ('alps', 'trails'));
    insert into post_categories select posts.id, categories.id from posts, categories
      where (posts.slug, categories.slug) in (
        ('post-1', 'trails'), ('post-2', 'trails'), ('post-3', 'trails'), ('post-3', 'alps'), ('post-4', 'alps'),
        ('post-5', 'outdoors'), ('post-6', 'news'));
    insert into authors (slug, name) values ('bob', 'Bob');
    update posts set author_id = (select id from authors where slug = 'bob') where slug in ('post-9', 'post-10');
    update posts set language = 'en-GB' where slug in ('post-1', 'post-3');
    update posts set language = 'en' where slug = 'post-5';
    update posts set language = 'pt_BR' where slug = 'post-7';
    update posts set published_at = now() - interval '7 days 1 hour' where slug in ('post-1', 'post-2');
    update posts set published_at = now() - interval '6 days 23 hours' where slug = 'post-3';
    update posts set published_at = now() - interval '100 days' where slug = 'post-4'`)
  const app = await createService(t, url, variables)
  const get = (query: string) => app.inject(`/posts/popular?${query}`)
  return {
    app,
    pool,
    countStatements,
    get,
    /** The numbers of the posts of a list. */
    async numbers(query: string): Promise<number[]> {
      const response = await get(query)
      if (response.statusCode !== 200) throw new Error(response.body)
      return response.json<PopularPost[]>().map(({ slug }) => Number(slug.replace('post-', '')))
    },
  }
}

t.test('a category includes the categories below it', async (t) => {
  const { app, pool, numbers } = await createBlog(t)
  t.same(await numbers('category=outdoors'), [1, 2, 3, 4, 5])
  t.same(await numbers('category=trails'), [1, 2, 3, 4])
  t.same(await numbers('category=alps'), [3, 4])
  t.same(await numbers('category=empty'), [])
  const categories = async () =>
    (await app.inject('/categories')).json<PopularCategory[]>().map(({ slug, postCount }) => `${slug} ${postCount}`)
  t.same((await categories()).sort(), ['alps 2', 'news 1', 'odd 5', 'outdoors 5', 'trails 4'], 'each post once')

  /** A change of categories is soft: an older list is served once more. */
  const shows = async (query: string, expected: number[]) =>
    until(async () => (await numbers(query)).join() === expected.join(), `${query} gives ${expected}`)

  await t.test('a category without posts is listed and known if one below it has posts', async () => {
    await pool.query(`
      insert into categories (slug, name) values ('all', 'All');
      update categories set parent_id = (select id from categories where slug = 'all') where slug in ('news', 'outdoors')`)
    await shows('category=all', [1, 2, 3, 4, 5, 6])
    await until(async () => (await categories()).includes('all 6'), 'it is in the list of categories')
  })
  await t.test('a circle of parents is one category', async () => {
    await pool.query(
      "update categories set parent_id = (select id from categories where slug = 'alps') where slug = 'all'",
    )
    for (const slug of ['all', 'outdoors', 'trails', 'alps']) await shows(`category=${slug}`, [1, 2, 3, 4, 5, 6])
  })
  await t.test('a category whose parent is deleted stays', async () => {
    await pool.query("delete from categories where slug = 'trails'")
    await shows('category=trails', [])
    await shows('category=alps', [3, 4, 5, 6])
  })
})

t.test('excludeCategory leaves out a category and those below it', async (t) => {
  const { app, numbers, get, countStatements } = await createBlog(t)
  t.same(await numbers('excludeCategory=outdoors'), [6, 7, 8, 9, 10])
  t.same(await numbers('excludeCategory=alps&limit=3'), [1, 2, 5], 'the list has its length')
  const { entries } = app.popularPosts.stats()
  const loads = await countStatements(/from "ranked"/)
  const plain = await numbers('days=30')
  for (const unknown of ['nix', 'empty']) t.same(await numbers(`excludeCategory=${unknown}`), plain, unknown)
  t.equal(app.popularPosts.stats().entries, entries + 1, 'they have the entry of the whole list')
  t.equal(await countStatements(/from "ranked"/), loads + 1)
  t.match((await get('category=news&excludeCategory=alps')).json(), {
    statusCode: 400,
    code: 'PP_BAD_QUERY',
    message:
      'Expected one of category, tag, author and excludeCategory at a time, got category and excludeCategory. The option combineFilters allows more.',
  })
})

t.test('several slugs of a filter', async (t) => {
  const alone = await createBlog(t)
  for (const query of ['category=a&category=b', 'tag=a&tag=b', 'excludeCategory=a&excludeCategory=b']) {
    const name = query.slice(0, query.indexOf('='))
    const message = `Expected one of category, tag, author and excludeCategory at a time, got ${name} and ${name}. The option combineFilters allows more.`
    t.match((await alone.get(query)).json(), { statusCode: 400, code: 'PP_BAD_QUERY', message }, query)
  }
  t.same(await alone.numbers('category=news&category=news'), [6], 'the same one twice is one')

  const { app, numbers, get, countStatements } = await createBlog(t, { COMBINE_FILTERS: 'true' })
  t.same(await numbers('category=news&category=alps'), [3, 4, 6])
  const { entries } = app.popularPosts.stats()
  const loads = await countStatements(/from "ranked"/)
  for (const query of [
    'category=alps&category=news',
    'category=nix&category=news&category=alps',
    'category=news&category=alps&category=alps&category=news&category=alps',
  ])
    t.same(await numbers(query), [3, 4, 6], query)
  t.same((await app.popularPosts.get({ category: ['alps', 'news'] })).length, 3)
  t.equal(app.popularPosts.stats().entries, entries, 'the same question in other words has the same entry')
  t.equal(await countStatements(/from "ranked"/), loads)
  t.same(await numbers('author=bob&author=ann&tag=start&limit=9'), [1, 2, 3])
  t.same(await numbers('category=outdoors&excludeCategory=alps&excludeCategory=news'), [1, 2, 5])
  t.same(await numbers('category=alps&excludeCategory=outdoors'), [])
  const six = Array.from({ length: 6 }, (_none, index) => `category=${index}`).join('&')
  t.match((await get(six)).json(), {
    statusCode: 400,
    message: /^Expected category to be the slug of one category, up to 5 times, got /,
  })
})

t.test('publishedWithin gives posts of the last days, also beside another filter', async (t) => {
  const { get, numbers } = await createBlog(t)
  t.same(await numbers('publishedWithin=7&limit=3'), [3, 5, 6])
  t.same(await numbers('publishedWithin=14&limit=3'), [1, 2, 3])
  t.same(await numbers('publishedWithin=90&category=outdoors'), [1, 2, 3, 5])
  t.same(await numbers('publishedWithin=180&category=outdoors&sort=trending'), [1, 2, 3, 4, 5])
  t.same(await numbers('publishedWithin=1'), [5, 6, 7, 8, 9, 10])
  for (const value of ['0', '2', '8', '366', '1.5', '-7', '7d', '', '7&publishedWithin=7'])
    t.match(
      (await get(`publishedWithin=${value}`)).json(),
      { statusCode: 400, message: /^Expected publishedWithin to be one of 1, 7, 14, 30, 90, 180, 365 \(days\), got / },
      value,
    )
})

t.test('language gives posts in it and in its variants, also beside another filter', async (t) => {
  const { app, numbers } = await createBlog(t)
  t.same(await numbers('language=en'), [1, 3, 5])
  for (const tag of ['en-gb', 'EN_GB', 'en-GB']) t.same(await numbers(`language=${tag}`), [1, 3], tag)
  t.same(await numbers('language=pt'), [7])
  t.same(await numbers('language=en&category=alps'), [3])
  const { entries } = app.popularPosts.stats()
  for (const tag of ['e', 'eng', 'en-', 'en-g', 'fr', '-', '*', "'", '%25', '%00'])
    t.same(await numbers(`language=${tag}`), [], tag)
  t.equal(app.popularPosts.stats().entries, entries, 'unknown languages have no entry')
})

t.test('minViews is a part of the list', async (t) => {
  const { app, get, numbers, countStatements } = await createBlog(t)
  t.same(await numbers('days=30'), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  const { entries } = app.popularPosts.stats()
  for (const [query, expected] of Object.entries({
    'minViews=997': [1, 2, 3],
    'minViews=997&exclude=post-2': [1, 3],
    'minViews=997&limit=2': [1, 2],
    'minViews=997&limit=2&offset=2': [3],
    'minViews=1000': [],
    'minViews=0&limit=1': [1],
    [`minViews=${'9'.repeat(400)}`]: [],
  }))
    t.same(await numbers(query), expected, query.slice(0, 40))
  t.same(await numbers('minViews=0&sort=trending&limit=1'), [1])
  t.equal(await countStatements(/from "ranked"/), 2)
  t.equal(app.popularPosts.stats().entries, entries + 1)
  t.match((await get('minViews=1&sort=trending')).json(), {
    statusCode: 400,
    code: 'PP_BAD_QUERY',
    message: 'Expected minViews with sort=views, whose order it follows, got sort=trending.',
  })
  for (const value of ['-1', '1.5', 'x', '', '1&minViews=2'])
    t.match((await get(`minViews=${value}`)).json(), {
      statusCode: 400,
      message: /^Expected minViews to be an integer of 0/,
    })
})

t.test('pages of a list have each post once, and end with the list', async (t) => {
  const { db, url, countStatements } = await createTestDatabase(t)
  await fillBlog(db, 60)
  // Equal numbers of views: only the date and the id decide.
  await db.updateTable('post_views_daily').set({ views: 5 }).execute()
  await db.updateTable('post_views_total').set({ views: 5, heat: 1 }).execute()
  await db
    .updateTable('posts')
    .set({ published_at: new Date(0) })
    .execute()
  const app = await createService(t, url)
  const page = async (query: string) =>
    (await app.inject(`/posts/popular?${query}`)).json<PopularPost[]>().map(({ slug }) => slug)
  for (const sort of ['views', 'trending']) {
    const whole = await page(`sort=${sort}&limit=50`)
    t.equal(new Set(whole).size, 50)
    for (const size of [1, 7, 10, 49, 50]) {
      const pages: string[][] = []
      for (let offset = 0; offset < 50; offset += size)
        pages.push(await page(`sort=${sort}&limit=${size}&offset=${offset}`))
      t.same(pages.flat(), whole, `${sort}, ${size} a page`)
    }
    t.same(await page(`sort=${sort}&offset=50`), [])
    const rest = whole.filter((slug) => slug !== whole[3])
    t.same(
      [
        ...(await page(`sort=${sort}&limit=5&exclude=${whole[3]}`)),
        ...(await page(`sort=${sort}&limit=5&offset=5&exclude=${whole[3]}`)),
      ],
      rest.slice(0, 10),
      'also without an excluded post',
    )
  }
  t.equal(await countStatements(/from "ranked"/), 2, 'one query for all pages of an order')
  t.same((await app.popularPosts.get({ offset: 48 })).length, 2)
  for (const value of ['51', '-1', '1.5', 'x', '', '9'.repeat(400), '1&offset=2'])
    t.match(
      (await app.inject(`/posts/popular?offset=${value}`)).json(),
      { statusCode: 400, message: /^Expected offset to be an integer from 0 to 50, where every list ends, got / },
      value.slice(0, 20),
    )
})
