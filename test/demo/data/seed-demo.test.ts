import { type Kysely, sql } from 'kysely'
import { test } from 'tap'
import { seedDemo, removeDemo } from '../../../demo/data/seed-demo.ts'
import type { Database } from '../../../db/schema.ts'
import { createTestDatabase } from '../../helpers/postgres.ts'

const nowMs = Date.parse('2026-05-14T15:07:31.250Z')
const now = { nowMs, timeZone: 'UTC' }

/**
  * All rows of the demo, in a stable order. Heat is rounded, because the last digits of a sum of floats depend on the
  * order.
 */
const contents = {
  authors: sql`select * from authors order by id`,
  categories: sql`select * from categories order by id`,
  tags: sql`select * from tags order by id`,
  posts: sql`select * from posts order by id`,
  post_categories: sql`select * from post_categories order by 1, 2`,
  post_tags: sql`select * from post_tags order by 1, 2`,
  comments: sql`select * from comments order by id`,
  post_views_hourly: sql`select * from post_views_hourly order by 1, 2`,
  post_views_daily: sql`select day::text, post_id, views from post_views_daily order by 1, 2`,
  post_views_total: sql`select post_id, views, round(heat::numeric, 6) as heat from post_views_total order by 1`,
  site_facts: sql`select * from site_facts where name = 'demo'`,
}

async function contentsOf(db: Kysely<Database>): Promise<Record<string, unknown[]>> {
  const tables: Record<string, unknown[]> = {}
  for (const [name, query] of Object.entries(contents)) tables[name] = (await query.execute(db)).rows
  return tables
}

test('the demo is filled once', async (t) => {
  const { db } = await createTestDatabase(t)
  t.equal(await seedDemo(db, now), true)
  const first = await contentsOf(db)
  t.equal(await seedDemo(db, { ...now, nowMs: nowMs + 86_400_000 }), false)
  t.same(await contentsOf(db), first)
})

test('two at once: one fills, the other finds it filled', async (t) => {
  const { db } = await createTestDatabase(t)
  const filled = await Promise.all([seedDemo(db, now), seedDemo(db, now)])
  t.same(filled.toSorted(), [false, true])
  t.equal((await contentsOf(db))['posts']?.length, 63)
})

test('the same moment gives the same rows in every database', async (t) => {
  const [one, two] = await Promise.all([createTestDatabase(t), createTestDatabase(t)])
  await Promise.all([seedDemo(one.db, now), seedDemo(two.db, now)])
  t.same(await contentsOf(one.db), await contentsOf(two.db))
})

test('a blog that has a post is left alone', async (t) => {
  const { db } = await createTestDatabase(t)
  await db.insertInto('posts').values({ slug: 'mine', title: 'Mine', url: '/mine' }).execute()
  const before = await contentsOf(db)
  t.equal(await seedDemo(db, now), false)
  t.equal(await db.transaction().execute(removeDemo), 0)
  t.same(await contentsOf(db), before)
})

test('names that the owner has entered already stay the owner’s', async (t) => {
  const { db } = await createTestDatabase(t)
  await db.insertInto('authors').values({ slug: 'maren', name: 'Maren the Owner' }).execute()
  t.equal(await seedDemo(db, now), true)
  const maren = await db.selectFrom('authors').select('name').where('slug', '=', 'maren').execute()
  t.same(maren, [{ name: 'Maren the Owner' }])
})

test('a zone that does not exist fills nothing', async (t) => {
  const { db } = await createTestDatabase(t)
  const before = await contentsOf(db)
  await t.rejects(seedDemo(db, { nowMs, timeZone: 'Middle/Earth' }), RangeError)
  t.same(await contentsOf(db), before)
})

test('the demo goes without a trace, and does not come back', async (t) => {
  const { db } = await createTestDatabase(t)
  t.equal(await db.transaction().execute(removeDemo), 0, 'nothing there yet')
  t.equal(await seedDemo(db, now), true, 'and a removal of nothing is not remembered')
  t.equal(await db.transaction().execute(removeDemo), 63)
  const removed = await contentsOf(db)
  const { site_facts, ...tables } = removed
  t.same(site_facts, [{ name: 'demo', value: 'removed' }])
  for (const [name, rows] of Object.entries(tables)) t.same(rows, [], name)
  t.equal(await seedDemo(db, now), false)
  t.equal(await db.transaction().execute(removeDemo), 0)
  t.same(await contentsOf(db), removed)
})

test('what is not of the demo survives its removal, with the names that it uses', async (t) => {
  const { db } = await createTestDatabase(t)
  await seedDemo(db, now)
  for (const table of ['authors', 'categories', 'tags'] as const) {
    await db.insertInto(table).values({ slug: 'mine', name: 'Mine' }).execute()
  }
  const author = await db.selectFrom('authors').select('id').where('slug', '=', 'maren').executeTakeFirstOrThrow()
  const category = await db.selectFrom('categories').select('id').where('slug', '=', 'walks').executeTakeFirstOrThrow()
  const tag = await db.selectFrom('tags').select('id').where('slug', '=', 'tea').executeTakeFirstOrThrow()
  const post = await db
    .insertInto('posts')
    .values({ slug: 'mine', title: 'Mine', url: '/mine', author_id: author.id, published_at: new Date(nowMs) })
    .returning('id')
    .executeTakeFirstOrThrow()
  await db.insertInto('post_categories').values({ post_id: post.id, category_id: category.id }).execute()
  await db.insertInto('post_tags').values({ post_id: post.id, tag_id: tag.id }).execute()
  await db.insertInto('comments').values({ post_id: post.id, author_name: 'Me', body: 'Mine.' }).execute()
  await db
    .insertInto('post_views_hourly')
    .values({ post_id: post.id, hour: new Date(nowMs), views: 3 })
    .execute()
  await db.insertInto('post_views_daily').values({ post_id: post.id, day: '2026-05-14', views: 3 }).execute()
  await db.insertInto('post_views_total').values({ post_id: post.id, views: 3, heat: 1 }).execute()
  const before = await contentsOf(db)

  t.equal(await db.transaction().execute(removeDemo), 63)

  const after = await contentsOf(db)
  const slugs = (name: string) => after[name]?.map((row) => Object(row).slug).toSorted()
  t.same(
    [slugs('authors'), slugs('categories'), slugs('tags')],
    [
      ['maren', 'mine'],
      ['mine', 'walks'],
      ['mine', 'tea'],
    ],
  )
  for (const name of [
    'post_categories',
    'post_tags',
    'comments',
    'post_views_hourly',
    'post_views_daily',
    'post_views_total',
  ]) {
    const ofMine = before[name]?.filter((row) => Object(row).post_id === post.id)
    t.same(after[name], ofMine, name)
    t.equal(ofMine?.length, 1, name)
  }
})
