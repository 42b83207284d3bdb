import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { findCategories } from '../../db/categories.ts'
import { checkHostViews } from '../../db/host-views.ts'
import { findPopularPosts, type RankingQuery } from '../../db/ranking.ts'
import { createRowGuard } from '../../db/row-guard.ts'
import { createService, fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { until } from '../helpers/services/until.ts'

/** A blog whose tables are replaced by views with expressions that can fail. */
async function createViews(t: Test) {
  const { db, pool, url } = await createTestDatabase(t)
  await fillBlog(db, 30)
  const columns = async (table: string) =>
    (
      await pool.query<{ name: string }>(
        `select attname as name from pg_attribute where attrelid = '${table}'::regclass and attnum > 0`,
      )
    ).rows.map(({ name }) => name)
  for (const [table, failing] of [
    ['posts', 'reading_minutes'],
    ['authors', 'name'],
    ['categories', 'name'],
    ['tags', 'name'],
    ['comments', 'is_approved'],
  ] as const) {
    const listed = (await columns(table)).filter((name) => name !== failing)
    const type = failing === 'name' ? 'text' : failing === 'is_approved' ? 'boolean' : 'integer'
    await pool.query(`
      alter table ${table} rename to own_${table};
      alter table own_${table} add column raw text;
      update own_${table} set raw = ${failing};
      create view ${table} as select ${listed.join()}, ${type === 'text' ? '(raw || left((1 / (length(raw) - 2))::text, 0))' : `raw::${type}`} as ${failing} from own_${table}`)
  }
  return { db, pool, url }
}

interface Line {
  subject: string
  relation: string
  code: string
}

function createLog() {
  const lines: Line[] = []
  return { lines, log: { warn: (details: object) => lines.push(details as Line) } }
}

t.test('rows of which an expression fails are left out, and each is logged once', async (t) => {
  const { db, pool, url } = await createViews(t)
  const { lines, log } = createLog()
  const read = createRowGuard(log)
  const list = (days = 0) =>
    read(db, (blog) => findPopularPosts(blog, { sort: 'views', days, limit: 50, timeZone: 'UTC' }))
  t.equal((await list()).length, 30)
  await pool.query(`
    update own_posts set raw = 'a while' where slug in ('post-3', 'post-20');
    insert into own_comments (post_id, author_name, body, raw) select id, 'A', 'B', 'maybe' from own_posts where slug = 'post-5'`)
  const posts = await list()
  t.same([...new Set(posts.map(({ slug }) => slug))].length, 28)
  t.notOk(posts.some(({ slug }) => ['post-3', 'post-20'].includes(slug)))
  t.equal(posts[0]?.slug, 'post-1')
  t.match(posts[0], { author: { name: 'Ann Ω' }, categories: [{ name: 'Odd' }] }, 'all else is there')
  t.same(lines.map(({ relation, subject, code }) => `${relation} ${subject} ${code}`).sort(), [
    'comments 5 22P02',
    'posts 20 22P02',
    'posts 3 22P02',
  ])
  await list()
  await Promise.all([list(1), list(7), list(30)])
  t.equal(lines.length, 3)

  await t.test('in the service', async (t) => {
    const app = await createService(t, url)
    const filters = [
      'author=ann',
      'category=odd',
      'tag=start',
      'excludeCategory=odd',
      'language=en',
      'publishedWithin=7',
    ]
    const lists = ['days=0', ...filters, 'limit=50&exclude=post-1'].map((query) => `/posts/popular?${query}`)
    for (const path of [...lists, '/categories']) t.equal((await app.inject(path)).statusCode, 200, path)
    t.equal((await app.inject('/posts/popular?category=odd&limit=50')).json().length, 14, 'without post-3')
    const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/129.0' }
    t.equal((await app.inject({ method: 'POST', url: '/posts/post-1/views', headers })).statusCode, 204)
  })

  await t.test('a row that is corrected is in the next list', async (t) => {
    await pool.query(`update own_posts set raw = '7'; update own_comments set raw = 'true'`)
    t.equal((await list()).length, 30)
    await pool.query(`update own_posts set raw = 'again' where slug = 'post-4'`)
    await until(async () => (await list().catch(() => [])).length === 29, 'another row is found after a pause')
    await pool.query(`update own_posts set raw = '7'`)
  })

  await t.test('rows of other relations', async (t) => {
    const { lines, log } = createLog()
    const again = createRowGuard(log)
    // The expression of these names divides by zero for two characters.
    await pool.query(
      `update own_categories set raw = 'ab'; update own_tags set raw = 'ab'; update own_authors set raw = 'ab'`,
    )
    await pool.query(`
      insert into own_categories (slug, name, raw, parent_id) values ('below', '', 'Below', (select id from own_categories));
      insert into post_categories select own_posts.id, own_categories.id from own_posts, own_categories
      where (own_posts.slug, own_categories.slug) = ('post-2', 'below')`)
    const find = (filter: Partial<RankingQuery> = {}) =>
      again(db, (blog) => findPopularPosts(blog, { sort: 'views', days: 0, limit: 1, timeZone: 'UTC', ...filter }))
    const [first] = await find()
    t.same(await find({ category: ['odd'] }), [])
    t.match(await find({ category: ['below', 'odd'] }), [{ slug: 'post-2', categories: [{ name: 'Below' }] }])
    t.match(await find({ excludeCategory: ['odd'] }), [{ slug: 'post-1' }])
    t.match(await again(db, (blog) => findCategories(blog, { days: 0, timeZone: 'UTC' })), [
      { slug: 'below', postCount: 1 },
    ])
    t.match(first, { slug: 'post-1', author: null, categories: [], tags: [] })
    t.same(lines.map(({ relation, code }) => `${relation} ${code}`).sort(), [
      'authors 22012',
      'categories 22012',
      'tags 22012',
    ])
  })
})

t.test('views of a post count while the slug of another post, or an earlier slug, cannot be read', async (t) => {
  const { db, pool, url } = await createTestDatabase(t)
  await fillBlog(db, 3)
  await pool.query(`
    update posts set slug = 'post-one' where slug = 'post-1';
    alter table posts rename to own_posts; alter table post_aliases rename to own_aliases;
    create view posts as select own_posts.id, own.slug, title, url, excerpt, author_id, published_at, is_private,
      image_url, image_width, image_height, image_alt, reading_minutes, language
    from own_posts, lateral (select own_posts.slug || left((1 / (length(own_posts.slug) - 2))::text, 0) as slug) as own;
    create view post_aliases as
      select slug || left((1 / (length(slug) - 2))::text, 0) as slug, post_id from own_aliases;
    insert into own_aliases select 'ab', id from own_posts where slug = 'post-2'`)
  const app = await createService(t, url)
  const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/129.0' }
  const visit = async (slug: string) =>
    (await app.inject({ method: 'POST', url: `/posts/${slug}/views`, headers })).statusCode
  t.equal(await visit('post-1'), 204, 'by an earlier slug, although another one fails')
  t.equal(await visit('ab'), 404)
  await pool.query(`insert into own_posts (slug, title, url, published_at) values ('xy', 'XY', '/xy', now())`)
  await until(async () => (await visit('post-3')) === 204, 'by its slug, although that of another post fails')
  await until(async () => {
    const posts = await app.popularPosts.get({ days: 0 }).catch(() => [])
    return posts.map(({ slug }) => slug).join() === 'post-one,post-2,post-3'
  }, 'the list has all other posts')
  await pool.query('drop view post_aliases')
  await until(async () => (await visit('post-2')) === 204, 'without earlier slugs')
  t.equal(await visit('none'), 404)
})

t.test('a service starts while the slug of a post cannot be read', async (t) => {
  const { db, pool } = await createViews(t)
  await pool.query(`
    alter view posts rename to read_posts;
    create view posts as select read_posts.id, (slug || left((1 / (length(slug) - 6))::text, 0)) as slug, title, url, excerpt,
      author_id, published_at, is_private, image_url, image_width, image_height, image_alt, reading_minutes from read_posts`)
  await t.rejects(db.selectFrom('posts').select('slug').execute(), { code: '22012' })
  await checkHostViews(db)
})

t.test('an error that no row causes is the error of the query', async (t) => {
  const { db } = await createTestDatabase(t)
  const { lines, log } = createLog()
  const read = createRowGuard(log)
  const divide = () => read(db, (blog) => blog.selectNoFrom(sql<number>`${'x'}::text::integer`.as('n')).execute())
  await t.rejects(divide(), { code: '22P02' })
  await t.rejects(divide(), { code: '22P02' })
  await t.rejects(
    read(db, async () => Promise.reject(new Error('other'))),
    { message: 'other' },
  )
  t.same(lines, [])
})

t.test('a search has a limit of statements, and an error of the connection ends it', async (t) => {
  const { db, pool } = await createViews(t)
  await pool.query(`
    insert into own_posts (slug, title, url, published_at, raw) select 'n' || n, '', '', now(), 'x' from generate_series(1, 400) n`)
  const { lines, log } = createLog()
  const read = createRowGuard(log)
  const count = () =>
    read(db, async (blog) => (await blog.selectFrom('posts').select('reading_minutes').execute()).length)
  await t.rejects(count(), { code: '22P02' })
  t.ok(lines.length > 0 && lines.length < 400, `${lines.length} are found`)
  await pool.query('alter table own_posts rename column raw to other; drop view posts cascade')
  await t.rejects(
    createRowGuard(log)(db, async () => Promise.reject(Object.assign(new Error('x'), { code: '22P02' }))),
    { code: '42P01' },
  )
})
