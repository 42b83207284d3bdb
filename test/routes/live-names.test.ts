import Fastify from 'fastify'
import t from 'tap'
import popularPosts, { type PopularPost } from '../../index.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { until } from '../helpers/services/until.ts'

/** Posts that are not live, each with its own category, tag and author. */
const HIDDEN = {
  draft: 'null, false',
  private: "now() - interval '1 hour', true",
  scheduled: "now() + interval '1 hour', false",
}
const NAMES = ['category', 'tag', 'author'] as const

t.test('names without a live post are not listed, and look like unknown names', async (t) => {
  const { db, pool, url, countStatements, resetStatements } = await createTestDatabase(t)
  await fillBlog(db, 3)
  for (const table of ['categories', 'tags', 'authors'])
    await pool.query(`insert into ${table} (slug, name) values ('bare', 'Bare')`)
  for (const [name, columns] of Object.entries(HIDDEN)) {
    for (const table of ['categories', 'tags', 'authors'])
      await pool.query(`insert into ${table} (slug, name) values ('${name}', 'Name')`)
    await pool.query(`
      insert into posts (slug, title, url, author_id, published_at, is_private)
        select '${name}', 'Hidden', '/', id, ${columns} from authors where slug = '${name}';
      insert into post_categories select posts.id, categories.id from posts join categories using (slug) where slug = '${name}';
      insert into post_tags select posts.id, tags.id from posts join tags using (slug) where slug = '${name}'`)
  }
  // The app has no timer for flushes: a flush stores sums, and the test would count the queries of that.
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(popularPosts, { databaseUrl: url, viewFlushSeconds: 0 })
  const categories = async () => (await app.inject('/categories')).json<{ slug: string }[]>().map(({ slug }) => slug)
  const posts = async (query: string) =>
    (await app.inject(`/posts/popular?${query}`)).json<PopularPost[]>().map(({ slug }) => slug)
  /** The reply as a client gets it, without the date. */
  const seen = async (query: string) => {
    const { statusCode, headers, body } = await app.inject(`/posts/popular?${query}`)
    return { statusCode, body, headers: { ...headers, date: undefined } }
  }

  t.same(await categories(), ['odd'])
  await posts('category=odd')
  const countQueries = () => countStatements(/post_views|from "filters"/)
  t.ok((await countQueries()) >= 2, 'the list and the slugs of filters are queries')
  await resetStatements()
  const entries = app.popularPosts.stats().entries
  for (const name of NAMES) {
    const unknown = await seen(`${name}=unknown`)
    t.match(unknown, { statusCode: 200, body: '[]', headers: { 'cache-status': /fwd=bypass/ } })
    for (const slug of ['bare', ...Object.keys(HIDDEN)]) {
      t.same(await seen(`${name}=${slug}`), unknown, `${name}=${slug}`)
      t.same(await app.popularPosts.get({ [name]: slug }), [])
      t.same(await app.popularPosts.refresh({ [name]: slug }), [])
    }
  }
  t.equal(await countQueries(), 0, 'no query for any of them')
  t.equal(app.popularPosts.stats().entries, entries)

  const appears = async (slug: string) => {
    await until(async () => (await categories()).includes(slug), `the category ${slug} is listed`)
    for (const name of NAMES) await until(async () => (await posts(`${name}=${slug}`)).length === 1, `${name}=${slug}`)
  }
  await t.test('a name appears when its first post goes live', async () => {
    await pool.query("update posts set published_at = now() where slug = 'draft'")
    await appears('draft')
    await pool.query("update posts set is_private = false where slug = 'private'")
    await appears('private')
  })
  await t.test('a name appears when a scheduled post becomes due', async () => {
    await pool.query("update posts set published_at = now() + interval '1 second' where slug = 'scheduled'")
    await appears('scheduled')
  })
  await t.test('a name appears when a live post gets it', async () => {
    await pool.query(`
      update posts set author_id = (select id from authors where slug = 'bare') where slug = 'post-1';
      insert into post_categories select posts.id, categories.id from posts, categories
        where posts.slug = 'post-1' and categories.slug = 'bare';
      insert into post_tags select posts.id, tags.id from posts, tags where posts.slug = 'post-1' and tags.slug = 'bare'`)
    await appears('bare')
  })
  await t.test('a name disappears with its last live post', async (t) => {
    await pool.query("update posts set published_at = null where slug = 'draft'")
    await until(async () => !(await categories()).includes('draft'), 'the category is not listed any more')
    for (const name of NAMES)
      await until(async () => (await posts(`${name}=draft`)).length === 0, `${name}=draft is unknown again`)
    t.same(await seen('tag=draft'), await seen('tag=unknown'))
  })
})
