import fc from 'fast-check'
import { type RawBuilder, sql } from 'kysely'
import t from 'tap'
import { findPopularPosts, type RankingQuery } from '../../db/ranking.ts'
import { prune } from '../../db/retention.ts'
import { materializeWindow } from '../../db/store-rollups.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

const DAY_MS = 86_400_000
const startMs = Date.parse('2026-06-15T12:00:00Z')
const POSTS = 60

const post = fc.integer({ min: 1, max: POSTS })
/** Few different numbers, so that posts tie. */
const views = fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 60 }))
const age = fc.oneof(fc.nat(3), fc.nat(35))
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('count' as const), post, age, views }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('store' as const), days: fc.constantFrom(2, 7, 30) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), days: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('undo' as const, 'delete' as const), post, age }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('hide' as const, 'date' as const), post, age }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('prune' as const) }) },
)
const read = fc.record({
  days: fc.constantFrom(0, 2, 7, 30),
  sort: fc.constantFrom('views' as const, 'trending' as const),
  limit: fc.integer({ min: 1, max: 12 }),
  reach: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 41, max: 90 })),
  sizes: fc.record({
    enough: fc.constantFrom(1, 1, 2, 8),
    few: fc.constantFrom(0, 0, 12, 25),
    many: fc.constantFrom(12, 25, 1000),
  }),
  filter: fc.oneof(
    fc.constantFrom(
      {},
      { tag: ['even'] },
      { category: ['top'] },
      { excludeCategory: ['below'] },
      { author: ['quarter'] },
      { language: 'en' },
      { publishedWithin: 163 },
    ),
    fc.record(
      {
        tag: fc.constantFrom(['even'], ['tenth'], ['even', 'tenth'], ['none']),
        category: fc.constantFrom(['top'], ['below'], ['below', 'none']),
        excludeCategory: fc.constantFrom(['top'], ['below']),
        author: fc.constant(['quarter']),
        language: fc.constant('en'),
        publishedWithin: fc.constantFrom(30, 163),
      },
      { requiredKeys: [] },
    ),
  ),
})
type Filter = Pick<RankingQuery, 'tag' | 'category' | 'excludeCategory' | 'author' | 'language' | 'publishedWithin'>

/** The filter in numbers of posts. Every third post is in `top`, the next one of each three in `below`, a part of it. */
function matches({ tag, category, excludeCategory, author, language, publishedWithin }: Filter, now: Date) {
  const inCategory = { top: sql`posts.id % 3 < 2`, below: sql`posts.id % 3 = 1`, none: sql`false` }
  const inTag = { even: sql`posts.id % 2 = 0`, tenth: sql`posts.id % 10 = 0`, none: sql`false` }
  const anyOf = <Name extends string>(names: readonly string[], conditions: Record<Name, RawBuilder<unknown>>) =>
    sql`(${sql.join(
      names.map((name) => conditions[name as Name]),
      sql` or `,
    )})`
  const conditions = [
    sql`true`,
    ...(tag === undefined ? [] : [anyOf(tag, inTag)]),
    ...(category === undefined ? [] : [anyOf(category, inCategory)]),
    ...(excludeCategory === undefined ? [] : [sql`not ${anyOf(excludeCategory, inCategory)}`]),
    ...(author === undefined ? [] : [sql`posts.id % 4 = 0`]),
    ...(language === undefined ? [] : [sql`posts.id % 5 < 3`]),
    ...(publishedWithin === undefined
      ? []
      : [sql`published_at > ${now}::timestamptz - ${publishedWithin}::integer * interval '24 hours'`]),
  ]
  return sql.join(conditions, sql` and `)
}

t.test(
  'the first posts, read from the top, are those of all posts, whatever happens to counters and posts',
  async (t) => {
    const { db, pool } = await createTestDatabase(t)
    await pool.query(`
      insert into tags (slug, name) values ('even', 'Even'), ('tenth', 'Tenth'), ('none', 'None');
      insert into authors (slug, name) values ('quarter', 'Quarter');
      insert into categories (slug, name) values ('top', 'Top'), ('none', 'None');
      insert into categories (slug, name, parent_id) select 'below', 'Below', id from categories where slug = 'top'`)

    async function reset() {
      await pool.query(`
      delete from posts; truncate post_views_daily, post_views_total, post_views_window, post_views_touch;
      insert into posts (id, slug, title, url, published_at, language, author_id) overriding system value
      select n, 'p' || n, 'P', '/p', '2026-01-01'::timestamptz + n % 7 * interval '1 day', case when n % 5 < 3 then 'en_GB' end,
        case when n % 4 = 0 then authors.id end
      from generate_series(1, ${POSTS}) n, authors;
      insert into post_tags select posts.id, tags.id from posts join tags
      on tags.slug = 'even' and posts.id % 2 = 0 or tags.slug = 'tenth' and posts.id % 10 = 0;
      insert into post_categories select posts.id, categories.id from posts join categories
      on categories.slug = 'top' and posts.id % 3 = 0 or categories.slug = 'below' and posts.id % 3 = 1`)
      // Views of the 40 days before, of a tenth of the posts each day.
      await pool.query(`
      with day as (
        insert into post_views_daily select '2026-06-15'::date - age, n, 1 + (n * 7 + age * 13) % 11
        from generate_series(0, 40) age, generate_series(1, ${POSTS}) n where (n * 31 + age * 17) % 10 = 0 returning *
      )
      insert into post_views_total select post_id, sum(views), 20000 + sum(views) % 5 from day group by post_id`)
    }

    async function expected(
      { days, sort, limit, ...filter }: { days: number; sort: string; limit: number } & Filter,
      nowMs: number,
    ) {
      const today = sql`${new Date(nowMs)}::date`
      const { rows } = await sql<{ id: string; views: string }>`
      with windowed as (
        select post_id, sum(views) as views from post_views_daily
        where day between ${today} - ${days}::integer and ${today} group by post_id
      )
      select posts.id::text as id,
        greatest(coalesce(${days === 0 ? sql`total.views` : sql`windowed.views`}, 0), 0)::text as views
      from posts left join post_views_total as total on total.post_id = posts.id
      left join windowed on windowed.post_id = posts.id
      where published_at <= ${new Date(nowMs)} and not is_private and ${matches(filter, new Date(nowMs))}
      order by ${sort === 'views' ? sql`greatest(coalesce(${days === 0 ? sql`total.views` : sql`windowed.views`}, 0), 0) desc` : sql`heat desc nulls last`},
        greatest(coalesce(total.views, 0), 0) desc, published_at desc, posts.id desc limit ${limit}`.execute(db)
      return rows.map(({ id, views }) => `${id}: ${views}`).join(', ')
    }

    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 12 }),
        fc.array(read, { minLength: 6, maxLength: 12 }),
        async (steps, reads) => {
          await reset()
          let nowMs = startMs
          const dayOf = (age: number) => sql`(${new Date(nowMs - age * DAY_MS)}::date)`
          for (const step of [{ do: 'store' as const, days: 7 }, { do: 'store' as const, days: 30 }, ...steps]) {
            if (step.do === 'count') {
              await sql`insert into post_views_daily as c values (${dayOf(step.age)}, ${step.post}, ${step.views})
            on conflict (day, post_id) do update set views = c.views + excluded.views`.execute(db)
              await sql`insert into post_views_total as c (post_id, views, heat) values (${step.post}, ${step.views}, ${20_000 - step.age})
            on conflict (post_id) do update set views = c.views + excluded.views, heat = c.heat + 0.25`.execute(db)
            }
            if (step.do === 'undo') {
              await sql`update post_views_daily set views = views - 5 where day = ${dayOf(step.age)} and post_id >= ${step.post}`.execute(
                db,
              )
              await sql`update post_views_total set views = views - 5 where post_id >= ${step.post}`.execute(db)
            }
            if (step.do === 'store') await materializeWindow(db, { days: step.days, nowMs, timeZone: 'UTC' })
            if (step.do === 'pass') nowMs += step.days * DAY_MS
            if (step.do === 'delete') await db.deleteFrom('posts').where('id', '=', step.post).execute()
            if (step.do === 'hide')
              await db.updateTable('posts').set({ is_private: true }).where('id', '=', step.post).execute()
            if (step.do === 'date')
              await db
                .updateTable('posts')
                .set({ published_at: new Date(nowMs - (step.age - 5) * DAY_MS) })
                .where('id', '>=', step.post)
                .execute()
            if (step.do === 'prune') await prune(db, { nowMs, timeZone: 'UTC' })
          }
          for (const { reach, sizes, filter, ...window } of reads) {
            const query = { ...window, ...filter }
            const posts = await findPopularPosts(db, { ...query, nowMs, timeZone: 'UTC' }, reach, sizes)
            const found = posts.map(({ id, views }) => `${id}: ${views}`).join(', ')
            const wanted = await expected(query, nowMs)
            if (found !== wanted)
              throw new Error(`expected ${wanted}, got ${found}, of ${JSON.stringify({ reach, sizes, ...query })}`)
          }
        },
      ),
      { numRuns: 60 },
    )
    t.pass('60 histories')
  },
)

t.test('a post that is in neither part of what was read is found, though others were enough', async (t) => {
  const { db, pool } = await createTestDatabase(t)
  // Post 4 is first with 99 + 19 views. Before it an index has post 1 with 100, the other one post 2 with 20.
  await pool.query(`
    insert into posts (id, slug, title, url, published_at) overriding system value
    select n, 'p' || n, 'P', '/p', '2026-01-01' from generate_series(1, 40) n;
    insert into tags (slug, name) values ('few', 'Few');
    insert into post_tags select posts.id, tags.id from posts, tags where posts.id < 10;
    insert into post_views_daily
    select day::date, post, views from (values ('2026-06-10', 1, 100), ('2026-06-10', 4, 99), ('2026-06-15', 2, 20), ('2026-06-15', 4, 19))
      as counter (day, post, views)
    union all select day::date, n, 200 from generate_series(11, 30) n, unnest(array['2026-06-10', '2026-06-15']) as day;
    insert into post_views_total select post_id, sum(views), sum(views) from post_views_daily group by post_id`)
  const moment = { nowMs: startMs, timeZone: 'UTC' }
  await materializeWindow(db, { days: 7, ...moment })
  const first = async (reach: number, few: number, many: number, enough = 1) => {
    const query = { ...moment, days: 7, sort: 'views' as const, limit: 1, tag: ['few'] }
    const posts = await findPopularPosts(db, query, reach, { enough, few, many })
    return posts.map(({ id, views }) => `${id}: ${views}`)
  }
  const wanted = ['4: 118']
  // Of more rows than an index has, of all 22, of a part of them, and of one; with links that are read before, and without.
  for (const reach of [40, 22, 21, 1])
    for (const many of [1000, 0]) for (const enough of [1, 2, 3]) t.same(await first(reach, 0, many, enough), wanted)
  t.same(await first(22, 9, 1000), wanted, 'each of the few posts is looked up')
  t.same(await first(0, 0, 0), wanted, 'all posts are read')
})

t.test('lists of a blog of medium size and of a large one are those of a small one', async (t) => {
  const { db, pool } = await createTestDatabase(t)
  await pool.query(`
    insert into posts (slug, title, url, published_at)
    select 'p' || n, 'P', '/p', '2026-01-01' from generate_series(1, ${POSTS}) n;
    insert into tags (slug, name) values ('even', 'Even');
    insert into post_tags select posts.id, tags.id from posts, tags where posts.id % 2 = 0;
    insert into post_views_total select id, id % 7, id from posts`)
  const lists = () =>
    Promise.all(
      [{}, { tag: ['even'] }, { excludeCategory: ['none'] }].map((filter) =>
        findPopularPosts(db, { ...filter, sort: 'views', days: 0, limit: 3, timeZone: 'UTC' }),
      ),
    )
  const small = await lists()
  t.same(
    small.map((posts) => posts.map(({ views }) => views)),
    [
      [6, 6, 6],
      [6, 6, 6],
      [6, 6, 6],
    ],
  )
  const bytes = `pg_relation_size('post_views_total')`
  await pool.query('insert into post_views_total select n, 0, 0 from generate_series(2000001, 2010000) n')
  const medium = await pool.query(`select ${bytes} between 500000 and 1499999 as is_medium`)
  t.same(medium.rows, [{ is_medium: true }])
  t.same(await lists(), small)
  await pool.query('insert into post_views_total select n, 0, 0 from generate_series(1000001, 1080000) n')
  const { rows } = await pool.query(`select ${bytes} > 4000000 as is_large`)
  t.same(rows, [{ is_large: true }])
  t.same(await lists(), small)
})
