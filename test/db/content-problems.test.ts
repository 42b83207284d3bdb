import t, { type Test } from 'tap'
import { findCategories } from '../../db/categories.ts'
import { findFilters } from '../../db/filters.ts'
import { migrateToLatest } from '../../db/migrate.ts'
import { openDatabase } from '../../db/open-database.ts'
import { findPostsBySlug } from '../../db/posts-by-slug.ts'
import { findProblems } from '../../db/problems.ts'
import { findPopularPosts, type RankingQuery } from '../../db/ranking.ts'
import { latestPostIds, sitePostsById } from '../../db/site-posts.ts'
import { isLive } from '../../db/window.ts'
import { createService } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

const timeZone = 'UTC'

/** Views over tables without any constraint, with ids of type bigint. */
async function createAdopted(t: Test) {
  const { pool, url: plain } = await createTestDatabase(t, { migrate: false })
  const url = `${plain}?options=-csearch_path%3Dpopular_posts`
  const db = openDatabase(url, () => {})
  t.teardown(() => db.destroy())
  await pool.query('create schema popular_posts; create schema host')
  await migrateToLatest(db, { adopt: { postId: 'bigint' } })
  const named = ['authors', 'categories', 'tags'].map(
    (name) => `create table host.${name} (id bigint, slug text, name text)`,
  )
  const names = ['posts', 'authors', 'categories', 'tags', 'post_categories', 'post_tags', 'comments']
  await pool.query(`${named.join(';')};
    create table host.posts (id bigint, slug text, title text, url text, excerpt text, author_id bigint, published_at timestamptz,
      is_private boolean, image_url text, image_width integer, image_height integer, image_alt text, reading_minutes integer);
    create table host.post_categories (post_id bigint, category_id bigint);
    create table host.post_tags (post_id bigint, tag_id bigint);
    create table host.comments (post_id bigint, is_approved boolean);
    ${names.map((name) => `create view popular_posts.${name} as select * from host.${name}`).join(';')}`)
  const post = (id: string, slug: string, more = {}) => {
    const row = { id, slug, title: slug, url: `/${slug}`, published_at: '2020-01-01', is_private: false, ...more }
    const columns = Object.keys(row)
    return pool.query(
      `insert into host.posts (${columns.join()}) values (${columns.map((_column, index) => `$${index + 1}`).join()})`,
      Object.values(row),
    )
  }
  return { db, pool, post, url }
}

t.test('ids beyond 2^53 are sent as they are, and their views count', async (t) => {
  const { db, pool, post, url } = await createAdopted(t)
  const ids = ['9007199254740993', '9007199254740992', '9223372036854775807', '-9223372036854775808', '58']
  for (const [index, id] of ids.entries()) await post(id, `p${index}`)
  await pool.query(`
    insert into host.authors values (9007199254740993, 'ann', 'Ann'), (9007199254740992, 'bob', 'Bob');
    update host.posts set author_id = 9007199254740993 where slug = 'p0';
    update host.posts set author_id = 9007199254740992 where slug = 'p1'`)
  const app = await createService(t, url)
  const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/129.0' }
  for (const slug of ['p0', 'p0', 'p2']) {
    headers['user-agent'] += '.1'
    await app.inject({ method: 'POST', url: `/posts/${slug}/views`, headers })
  }
  await app.postViews.flush()
  await app.popularPosts.invalidate()
  const { body } = await app.inject('/posts/popular?days=0')
  const list = JSON.parse(body) as { id: string; slug: string; views: number; author: { name: string } | null }[]
  t.strictSame(
    list.map(({ id, slug, views, author }) => [id, slug, views, author?.name]),
    [
      [ids[0], 'p0', 2, 'Ann'],
      [ids[2], 'p2', 1, undefined],
      [ids[1], 'p1', 0, 'Bob'],
      [ids[4], 'p4', 0, undefined],
      [ids[3], 'p3', 0, undefined],
    ],
  )
  t.match((await app.inject('/posts/popular?author=bob')).json(), [{ slug: 'p1' }])
  t.same(await findProblems(db), [])
})

t.test('rows that are there twice are shown once, and named', async (t) => {
  const { db, pool, post } = await createAdopted(t)
  await post('1', 'one', { author_id: 1 })
  await post('1', 'one', { author_id: 1 })
  await post('2', 'same', { author_id: 2 })
  await post('3', 'same', { author_id: 3, published_at: '2020-01-02' })
  await post('4', '', { published_at: null })
  await post('5', '', { published_at: null })
  await pool.query(`
    insert into host.authors values (1, 'ann', 'Ann'), (1, 'ann', 'Ann'), (2, 'both', 'B2'), (3, 'both', 'B3');
    insert into host.categories values (1, 'news', 'News'), (1, 'news', 'News'), (2, 'a', 'A2'), (3, 'a', 'A3');
    insert into host.tags values (1, 'red', 'Red'), (2, 'red-2', 'Red');
    insert into host.post_categories values (1, 1), (1, 1), (2, 1), (2, 2), (3, 3);
    insert into host.post_tags values (1, 1), (1, 1), (1, 2);
    insert into popular_posts.post_views_total values (1, 5, 1), (2, 3, 1), (3, 1, 1)`)
  const list = (filter: Partial<RankingQuery> = {}) =>
    findPopularPosts(db, { sort: 'views', days: 0, limit: 50, timeZone, ...filter })
  t.match(await list(), [
    { slug: 'one', author: { name: 'Ann' }, categories: { length: 1 }, tags: ['Red'], views: 5 },
    { id: '2' },
    { id: '3' },
  ])
  t.equal((await list()).length, 3)
  t.same(
    (await list({ author: ['both'] })).map(({ id }) => id),
    ['2', '3'],
  )
  t.same(
    (await list({ category: ['a'] })).map(({ id }) => id),
    ['2', '3'],
  )
  t.strictSame(await findCategories(db, { days: 0, timeZone }), [
    { name: 'News', slug: 'news', postCount: 2, views: 8 },
    { name: 'A2', slug: 'a', postCount: 1, views: 3 },
    { name: 'A3', slug: 'a', postCount: 1, views: 1 },
  ])
  t.same((await findFilters(db)).authors.sort(), ['ann', 'ann', 'both', 'both'])
  t.match((await findPostsBySlug(db, ['same'], isLive({}))).get('same'), { id: '3' })
  const [latest = ''] = await latestPostIds(db, { limit: 10 })
  t.equal((await sitePostsById(db, [latest]))[0]?.author, 'B3')
  t.equal((await sitePostsById(db, [latest, '999999'])).length, 1, 'without posts that are withdrawn meanwhile')
  const problems = await findProblems(db)
  t.same(
    problems
      .map(({ subject, message }) => `${subject}: ${/^the view (\w+) has (this id|more)/.exec(message)?.slice(1)}`)
      .sort(),
    [
      ...['1: authors,this id', '1: categories,this id', '1: posts,this id', 'a: categories,more', 'ann: authors,more'],
      ...['both: authors,more', 'news: categories,more', 'one: posts,more', 'same: posts,more'],
    ],
  )
})

t.test('posts that no list can show, and that no request can name, are named', async (t) => {
  const { db, post } = await createAdopted(t)
  await post('1', 'one')
  await post('2', 'unclear', { is_private: null })
  await post('3', 'never', { published_at: '-infinity' })
  await post('4', 'none', { slug: null })
  await post('5', 'nowhere', { url: null })
  for (const [index, slug] of ['', '.', '..', 'x'.repeat(600)].entries()) await post(String(10 + index), slug)
  await post('20', 'private', { slug: null, is_private: true })
  await post('21', 'draft', { is_private: null, published_at: null })
  const listed = await findPopularPosts(db, { sort: 'views', days: 0, limit: 50, timeZone })
  t.same(listed.map(({ id }) => id).sort(), ['1', '10', '11', '12', '13'])
  const problems = await findProblems(db)
  t.same(
    problems
      .map(({ subject, message }) => `${subject} ${/is null|-infinity|cannot be counted/.exec(message)?.[0]}`)
      .sort(),
    [
      '10 cannot be counted',
      '11 cannot be counted',
      '12 cannot be counted',
      '13 cannot be counted',
      '2 is null',
      '3 -infinity',
      '4 is null',
      '5 is null',
    ],
  )
})

t.test('lists can be filtered by each slug that a request can name', async (t) => {
  const { db, pool, post } = await createAdopted(t)
  await post('1', 'one', { author_id: 1 })
  await post('2', 'two', { author_id: 2 })
  await pool.query('insert into host.authors values (1, $1, $1), (2, $2, $2)', ['日'.repeat(500), '日'.repeat(501)])
  t.same((await findFilters(db)).authors, ['日'.repeat(500)])
})

t.test('HTML entities and invalid counters are named', async (t) => {
  const { db, pool } = await createTestDatabase(t)
  t.same(await findProblems(db), [])
  await pool.query(`
    insert into authors (slug, name) values ('a', 'A &#8217; B');
    insert into categories (slug, name) values ('r-and-d', 'R&amp;D'), ('r', 'R&D; or R & D;');
    insert into tags (slug, name) values ('t', 'T &T; &notanentity;');
    insert into posts (slug, title, url, published_at) values ('x', 'Fish &amp; Chips', '', now()), ('y', 'A&nbsp;B', '', now());
    insert into post_views_total values (1, -5, 20000), (2, 5, 'NaN'), (3, 5, '-infinity')`)
  const problems = await findProblems(db)
  t.same(
    problems.map(({ subject, message }) => `${subject} ${message.slice(0, 30)}`),
    [
      '1 a title in posts has HTML enti',
      '1 a name in authors has HTML ent',
      '1 a name in categories has HTML ',
      '1 the counter of a post in post_',
      '2 the counter of a post in post_',
    ],
  )
  t.match(await findPopularPosts(db, { sort: 'trending', days: 0, limit: 2, timeZone }), [
    { slug: 'x', views: 0 },
    { slug: 'y', views: 5 },
  ])
})
