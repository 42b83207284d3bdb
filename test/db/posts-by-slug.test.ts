import t from 'tap'
import { findPostsBySlug } from '../../db/posts-by-slug.ts'
import { isLive } from '../../db/window.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

t.test('an earlier slug of a published post leads to the post', async (t) => {
  const { db, pool } = await createTestDatabase(t)
  const insert = async (slug: string, publishedAt: string | null = '2026-01-01') => {
    const { id } = await db
      .insertInto('posts')
      .values({ slug, title: slug, url: `/${slug}`, published_at: publishedAt })
      .returning('id')
      .executeTakeFirstOrThrow()
    return String(id)
  }
  const rename = (from: string, to: string) => pool.query('update posts set slug = $2 where slug = $1', [from, to])
  const find = async (...slugs: string[]) => Object.fromEntries(await findPostsBySlug(db, slugs, isLive({})))

  await t.test('after one renaming, and after several', async (t) => {
    const id = await insert('one')
    await rename('one', 'two')
    await rename('two', 'three')
    const post = { id, slug: 'three' }
    t.same(await find('one', 'two', 'three', 'four'), { one: post, two: post, three: post })
    t.same(await find('ONE', '%6fne'), { ONE: post, '%6fne': post }, 'in each form')
    await rename('three', 'one')
    t.same(await find('one', 'three'), { one: { id, slug: 'one' }, three: { id, slug: 'one' } })
    t.match((await pool.query('select slug from post_aliases order by slug')).rows, [
      { slug: 'three' },
      { slug: 'two' },
    ])
  })

  await t.test('a post with the slug comes before a post that had it', async (t) => {
    const old = await insert('news')
    await rename('news', 'old-news')
    t.same(await find('news'), { news: { id: old, slug: 'old-news' } })
    const draft = await insert('news', null)
    t.same(await find('news'), { news: { id: old, slug: 'old-news' } }, 'a draft is not live')
    await pool.query('update posts set published_at = now() where id = $1', [draft])
    t.same(await find('news'), { news: { id: draft, slug: 'news' } })
    await rename('news', 'new-news')
    t.same(await find('news'), { news: { id: draft, slug: 'new-news' } }, 'the post that had it last')
  })

  await t.test('two posts change their slugs with each other', async (t) => {
    const [a, b] = [await insert('a'), await insert('b')]
    await rename('a', 'c')
    await rename('b', 'a')
    await rename('c', 'b')
    t.same(await find('a', 'b', 'c'), { a: { id: b, slug: 'a' }, b: { id: a, slug: 'b' }, c: { id: a, slug: 'b' } })
  })

  await t.test(
    'drafts leave no slugs behind, other changes neither, and deleted posts take theirs with them',
    async (t) => {
      await insert('draft', null)
      await rename('draft', 'draft-2')
      await insert('later', '2999-01-01')
      await rename('later', 'later-2')
      const kept = async () =>
        (await pool.query('select slug from post_aliases order by 1')).rows.map(({ slug }) => slug)
      const before = await kept()
      t.notOk(before.includes('draft') || before.includes('later'))
      await pool.query(`update posts set slug = slug, title = 'Same'`)
      t.same(await kept(), before)
      await pool.query('delete from posts')
      t.same(await kept(), [])
      t.same(await find('one'), {})
    },
  )
})

t.test('a writer needs no right on the earlier slugs, and its search_path does not matter', async (t) => {
  const { pool } = await createTestDatabase(t)
  await pool.query(`insert into posts (slug, title, url, published_at) values ('one', 'One', '/one', now())`)
  const client = await pool.connect()
  const role = `writer_${Math.random().toString(36).slice(2)}`
  t.teardown(async () => {
    await client.query(`reset all; reset role; drop owned by ${role}; drop role ${role}`)
    client.release()
  })
  await client.query(`
    create role ${role}; grant usage on schema public to ${role}; grant select, update on posts to ${role};
    set search_path = pg_catalog; set role ${role}`)
  await client.query(`update public.posts set slug = 'two'`)
  t.match((await pool.query('select slug from post_aliases')).rows, [{ slug: 'one' }])
})

t.test('without earlier slugs, or with another table of that name, posts are found all the same', async (t) => {
  for (const change of [
    'drop table post_aliases cascade',
    'alter table post_aliases rename slug to path',
    'alter table post_aliases drop column post_id',
  ]) {
    const { db, pool } = await createTestDatabase(t)
    await pool.query(
      `insert into posts (slug, title, url, published_at) values ('one', 'One', '/one', now()); ${change}`,
    )
    t.same([...(await findPostsBySlug(db, ['one', 'none'])).keys()], ['one'], change)
  }
})

t.test('of two posts with one slug in an adopted view, the one that was published last is found', async (t) => {
  const { db, pool } = await createTestDatabase(t, { migrate: false })
  await pool.query(`
    create table post_views_total ();
    create table posts (id uuid primary key default gen_random_uuid(), slug text, url text default '', published_at timestamptz, is_private boolean);
    create view post_aliases as select 'was-' || slug as slug, id as post_id from posts;
    insert into posts (slug, published_at, is_private) values ('a', '2026-01-02', false), ('a', '2026-01-01', false), ('a', null, false)`)
  const { rows } = await pool.query<{ id: string }>(
    'select id from posts order by published_at desc nulls last limit 1',
  )
  const post = { id: rows[0]?.id, slug: 'a' }
  for (const condition of [undefined, isLive({})])
    t.same(Object.fromEntries(await findPostsBySlug(db, ['a', 'was-a'], condition)), { a: post, 'was-a': post })
})
