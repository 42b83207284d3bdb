import { readFileSync } from 'node:fs'
import t from 'tap'
import { migrateToLatest } from '../../db/migrate.ts'
import { openDatabase } from '../../db/open-database.ts'
import { findProblems } from '../../db/problems.ts'
import type { PopularPost } from '../../index.ts'
import { createService } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { until } from '../helpers/services/until.ts'

const blocks = [
  ...readFileSync(new URL('../../docs/adopting.md', import.meta.url), 'utf8').matchAll(/```sql\n([\s\S]*?)```/g),
].map(([, sql = '']) => sql)
const blockWith = (text: string) => blocks.find((sql) => sql.includes(text)) ?? ''

t.test('the example of WordPress is right for the rows of a real WordPress', async (t) => {
  const { pool, url: plain } = await createTestDatabase(t, { migrate: false })
  const url = `${plain}?options=-csearch_path%3Dpopular_posts,public`
  await pool.query(`${blockWith('create table wp_posts')}; create schema popular_posts`)
  const db = openDatabase(url, () => {})
  t.teardown(() => db.destroy())
  await migrateToLatest(db, { adopt: { postId: 'bigint' } })
  await pool.query(blockWith('create view popular_posts.posts'))
  await pool.query(blockWith("popular_posts_watch('public.wp_posts'"))
  const post = (name: string, more: Record<string, string | null> = {}) => {
    const row = {
      post_author: '1',
      post_name: name,
      post_title: name,
      post_date: '2020-01-01 13:00',
      post_date_gmt: '2020-01-01 12:00',
      ...more,
    }
    return pool.query(
      `insert into wp_posts (${Object.keys(row).join()}) values (${Object.keys(row)
        .map((_key, index) => `$${index + 1}`)
        .join()})`,
      Object.values(row),
    )
  }
  await pool.query(`
    insert into wp_users values (1, 'ann', 'Ann &amp; Bob', 'secret');
    insert into wp_terms values (1, 'R&amp;D', 'r-and-d'), (2, 'Uncategorized', 'uncategorized'), (3, 'r-and-d', 'tag');
    insert into wp_term_taxonomy (term_taxonomy_id, term_id, taxonomy) values (1, 1, 'category'), (2, 2, 'category'), (3, 3, 'post_tag');`)
  await post('plain')
  const titles: Record<string, [string, string]> = {
    entities: ['Fish &amp; Chips &#8211; it&#8217;s &lt;b&gt; &quot;good&quot;', 'Fish & Chips – it’s <b> "good"'],
    twice: ['How to write &amp;amp; and &amp;#8217;', 'How to write &amp; and &#8217;'],
    tags: ['An <em>odd</em> title<br />', 'An odd title'],
    math: ['1 < 2 and 3 > 2', '1 < 2 and 3 > 2'],
    odd: [
      '&#92;1 &#092; &#0; &#55296; &#99999; &#x27; &unknown; 100%',
      '\\1 \\ &#0; &#55296; &#99999; &#x27; &unknown; 100%',
    ],
    untitled: ['', ''],
  }
  for (const [name, [title]] of Object.entries(titles)) await post(name, { post_title: title })
  await post('%e3%81%82%e3%81%84', { post_title: 'あい' })
  await post('no-utc', { post_date_gmt: null, post_date: '2020-07-01 13:00' })
  await post('year-1', { post_date_gmt: '0001-01-01', post_date: '2020-01-01 13:00' })
  await post('nobody', { post_author: '0' })
  const listed = [...Object.keys(titles), 'plain', '%e3%81%82%e3%81%84', 'no-utc', 'year-1', 'nobody'].sort()

  await post('1-revision-v1', { post_type: 'revision', post_status: 'inherit' })
  await post('', { post_status: 'auto-draft', post_title: 'Auto Draft', post_date_gmt: null })
  await post('', { post_status: 'draft', post_date_gmt: '0001-01-01' })
  await post('gone__trashed', { post_status: 'trash' })
  await post('missed-schedule', { post_status: 'future' })
  await post('scheduled', { post_status: 'future', post_date_gmt: '2199-01-01', post_date: '2199-01-01' })
  await post('secret', { post_status: 'private' })
  await post('waiting', { post_status: 'pending' })
  await post('with-password', { post_password: 'x' })
  for (const type of ['page', 'attachment', 'nav_menu_item', 'product', 'customize_changeset'])
    await post(`a-${type}`, { post_type: type, post_status: type === 'attachment' ? 'inherit' : 'publish' })
  await pool.query(`
    insert into wp_term_relationships select id, term from wp_posts, unnest(array[1, 3]) as term where post_name = 'plain';
    insert into wp_term_relationships select id, 2 from wp_posts where post_type = 'page';
    insert into wp_comments (comment_post_id, comment_content, comment_approved)
    select id, '', status from wp_posts, unnest(array['1', '0', 'spam', 'trash', 'post-trashed']) as status where post_name = 'plain'`)

  const app = await createService(t, url)
  const list = async (query = 'days=0') => (await app.inject(`/posts/popular?limit=50&${query}`)).json<PopularPost[]>()
  const posts = await list()
  t.same(posts.map(({ slug }) => slug).sort(), listed)
  const of = (slug: string) => posts.find((one) => one.slug === slug)
  for (const [name, [, title]] of Object.entries(titles)) t.equal(of(name)?.title, title)
  t.match(of('plain'), {
    author: { name: 'Ann & Bob', slug: 'ann' },
    categories: [{ name: 'R&D', slug: 'r-and-d' }],
    tags: ['r-and-d'],
    commentCount: 1,
    publishedAt: '2020-01-01T12:00:00.000Z',
  })
  t.equal(of('no-utc')?.publishedAt, '2020-07-01T11:00:00.000Z', 'summer time in Vienna')
  t.equal(of('year-1')?.publishedAt, '2020-01-01T12:00:00.000Z')
  t.equal(of('nobody')?.author, null)
  t.equal(of('%e3%81%82%e3%81%84')?.url, '/%e3%81%82%e3%81%84')
  t.match((await app.inject('/categories')).json(), [{ name: 'R&D', slug: 'r-and-d', postCount: 1 }])
  t.same((await app.inject('/categories')).json().length, 1)
  for (const [filter, length] of [
    ['category=r-and-d', 1],
    ['category=uncategorized', 0],
    ['tag=tag', 1],
    ['author=ann', listed.length - 1],
  ] as const)
    t.equal((await list(filter)).length, length, filter)
  const title = 'a title in posts has HTML entities, such as &amp;'
  t.match(await findProblems(db), [{ message: new RegExp(`^${title}`) }], 'a title about entities; no other problem')

  await pool.query(`update wp_posts set post_status = 'publish' where post_name = 'missed-schedule'`)
  await until(async () => (await list()).some(({ slug }) => slug === 'missed-schedule'), 'WordPress publishes it')
})
