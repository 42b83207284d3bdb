import { type Kysely, sql } from 'kysely'
import { test } from 'tap'
import { demoAuthors, demoCategories, demoTags } from '../../../demo/data/content.ts'
import { seedDemo } from '../../../demo/data/seed-demo.ts'
import { demoPosts } from '../../../demo/data/posts.ts'
import type { Database } from '../../../db/schema.ts'
import { createTestDatabase } from '../../helpers/postgres.ts'

const nowMs = Date.parse('2026-05-14T15:07:31.250Z')
const now = { nowMs, timeZone: 'UTC' }
const liveOnly = sql`published_at <= ${new Date(nowMs)} and not is_private`

async function numberOf(db: Kysely<Database>, query: ReturnType<typeof sql>): Promise<number> {
  const { rows } = await sql<{ n: string | number }>`select (${query}) as n`.execute(db)
  return Number(rows[0]?.n)
}

test('what is in the demo', async (t) => {
  const { db } = await createTestDatabase(t)
  await seedDemo(db, now)
  const sixty = sql`select count(*) from posts where ${liveOnly}`
  for (const [what, query, expected] of [
    ['live posts', sixty, 60],
    ['drafts', sql`select count(*) from posts where published_at is null`, 1],
    ['scheduled posts', sql`select count(*) from posts where published_at > ${new Date(nowMs)}`, 1],
    ['private posts', sql`select count(*) from posts where is_private`, 1],
    ['posts in all', sql`select count(*) from posts`, 63],
    ['live posts without author', sql`select count(*) from posts where author_id is null and ${liveOnly}`, 2],
    ['authors', sql`select count(*) from authors`, 5],
    ['categories', sql`select count(*) from categories`, 7],
    ['tags', sql`select count(*) from tags`, 15],
    ['links to categories', sql`select count(*) from post_categories`, demoPosts.flatMap((post) => post.in).length],
    ['links to tags', sql`select count(*) from post_tags`, demoPosts.flatMap((post) => post.tags).length],
    [
      'views of other posts',
      sql`select count(*) from post_views_total where post_id not in (select id from posts where ${liveOnly})`,
      0,
    ],
    [
      'live posts without a view',
      sql`select count(*) from posts where ${liveOnly} and id not in (select post_id from post_views_total)`,
      0,
    ],
    [
      'totals that are not the sum of their days',
      sql`
      select count(*) from post_views_total t
      where views <> (select sum(views) from post_views_daily d where d.post_id = t.post_id)`,
      0,
    ],
    ['views after now', sql`select count(*) from post_views_hourly where hour > ${new Date(nowMs)}`, 0],
    ['days after today', sql`select count(*) from post_views_daily where day > '2026-05-14'`, 0],
    ['days before the first post', sql`select count(*) from post_views_daily where day < date '2026-05-14' - 398`, 0],
  ] as const) {
    t.equal(await numberOf(db, query), expected, what)
  }
  const comments = await numberOf(db, sql`select count(*) from comments`)
  const held = await numberOf(db, sql`select count(*) from comments where not is_approved`)
  t.ok(comments >= 100 && comments <= 200, `${comments} comments`)
  t.ok(held >= 5 && held <= comments / 4, `${held} wait for approval`)
  const newest = await numberOf(
    db,
    sql`select extract(epoch from ${new Date(nowMs)}::timestamptz - max(published_at)) / 3600 from posts where ${liveOnly}`,
  )
  t.ok(newest > 12 && newest < 48, `the newest post is ${newest} hours old`)
})

test('a long tail: ten posts have about two thirds of all views, and a fresh one hardly any', async (t) => {
  const { db } = await createTestDatabase(t)
  await seedDemo(db, now)
  const share = await numberOf(
    db,
    sql`
    select (select sum(views) from (select views from post_views_total order by views desc limit 10) as top)
      / (select sum(views) from post_views_total)`,
  )
  t.ok(share > 0.5 && share < 0.8, `share of the first ten: ${share}`)
  const few = await db.selectFrom('post_views_total').select('post_id').where('views', '<', 100).execute()
  t.ok(few.length >= 1 && few.length <= 3, `${few.length} posts have fewer than 100 views`)
})

test('the lists of 30 days, of all time and of what is trending differ', async (t) => {
  const { db } = await createTestDatabase(t)
  await seedDemo(db, now)
  const top = async (score: ReturnType<typeof sql>) => {
    const list = sql<{ slug: string }>`
      select slug from posts join post_views_total as t on t.post_id = posts.id order by (${score}) desc limit 10`
    return (await list.execute(db)).rows.map(({ slug }) => slug)
  }
  const allTime = await top(sql`t.views`)
  const trending = await top(sql`t.heat`)
  const month = await top(sql`
    select coalesce(sum(views), 0) from post_views_daily as d where d.post_id = posts.id and day >= date '2026-05-14' - 30`)
  t.same([allTime[0], month[0], trending[0]], ['sandwich-geometry', 'last-train-from-corrach', 'goat-has-my-map'])
  for (const [one, two] of [
    [allTime, month],
    [month, trending],
    [trending, allTime],
  ] as const) {
    t.notSame(one.toSorted(), two.toSorted(), 'not the same ten posts either')
  }
})

test('every post has a slug and a title of its own, an excerpt, one or two categories and two to four tags', async (t) => {
  const distinct = (values: readonly string[]) => new Set(values).size
  t.equal(distinct(demoPosts.map((post) => post.slug)), demoPosts.length)
  t.equal(distinct(demoPosts.map((post) => post.title)), demoPosts.length)
  for (const post of demoPosts) {
    t.match(post.slug, /^[a-z0-9]+(-[a-z0-9]+)*$/)
    t.ok(post.excerpt.length > 10 && post.excerpt.length < 200, post.slug)
    t.ok(distinct(post.in) === post.in.length && post.in.length >= 1 && post.in.length <= 2, post.slug)
    t.ok(distinct(post.tags) === post.tags.length && post.tags.length >= 2 && post.tags.length <= 4, post.slug)
  }
  for (const [names, used] of [
    [demoAuthors, demoPosts.flatMap((post) => post.by ?? [])],
    [demoCategories, demoPosts.flatMap((post) => post.in)],
    [demoTags, demoPosts.flatMap((post) => post.tags)],
  ] as const) {
    for (const slug of Object.keys(names)) t.ok(used.filter((use) => use === slug).length >= 3, `${slug} is used`)
  }
})
