import fc from 'fast-check'
import t from 'tap'
import { migrateToLatest } from '../../db/migrate.ts'
import { findPopularPosts } from '../../db/ranking.ts'
import { materializeWindow } from '../../db/store-rollups.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

const nowMs = Date.parse('2026-06-15T12:30:00Z')
const timeZone = 'UTC'
const POSTS = 60

const read = fc.record({
  days: fc.constantFrom(0, 1, 7, 365),
  sort: fc.constantFrom('views' as const, 'trending' as const),
  limit: fc.constantFrom(1, 3, 10, 100),
  reach: fc.integer({ min: 1, max: 200 }),
  sizes: fc.record({
    enough: fc.constantFrom(1, 2, 8),
    few: fc.constantFrom(0, 5, 25),
    many: fc.constantFrom(0, 12, 40, 1000),
  }),
  filter: fc.record(
    {
      tag: fc.constantFrom(['even'], ['tenth'], ['even', 'tenth'], ['none'], []),
      category: fc.constantFrom(['top'], ['below'], ['top', 'below'], ['below', 'none'], []),
      excludeCategory: fc.constantFrom(['below'], ['none']),
      author: fc.constantFrom(['ann'], ['bob'], ['ann', 'bob'], []),
      language: fc.constantFrom('en', 'fr'),
      publishedWithin: fc.constantFrom(163, 365),
    },
    { requiredKeys: [] },
  ),
})

for (const [postId, coAuthors] of [
  [
    'uuid',
    ", case when n % 5 = 0 then array[2, 1] end as co_author_ids, case when n % 7 < 2 then 'en' else 'fr' end as language",
  ],
  ['text', ''],
] as const)
  t.test(
    `views over ids of the type ${postId}${coAuthors && ', with co-authors and languages'}, with links twice, without a post, and to none`,
    async (t) => {
      const { db, pool } = await createTestDatabase(t, { migrate: false })
      await migrateToLatest(db, { adopt: { postId } })
      const id = (n: string) => `md5((${n})::text)::${postId}`
      await pool.query(`
      create table post as select ${id('n')} as id, n from generate_series(1, ${POSTS}) n;
      create view posts as select id, 'p' || n as slug, 'P' as title, '/p' as url, '' as excerpt, case when n % 4 < 2 then n % 4 + 1 end as author_id,
        '2026-01-01'::timestamptz + n % 7 * interval '1 day' as published_at, n % 11 = 0 as is_private, null::text as image_url,
        null::integer as image_width, null::integer as image_height, '' as image_alt, 1 as reading_minutes ${coAuthors} from post;
      create view authors as select * from (values (1, 'ann', 'Ann'), (2, 'bob', 'Bob'), (2, 'bob', 'Bob')) as author (id, slug, name);
      create view comments as select id as post_id, true as is_approved from post where false;
      create view categories as select * from (values ('c1', 'top', 'Top', null), ('c2', 'below', 'Below', 'c1'), ('c3', 'none', 'None', null),
        ('c2', 'below', 'Below', 'c1')) as category (id, slug, name, parent_id);
      create view tags as select * from (values (1, 'even', 'Even'), (2, 'tenth', 'Tenth'), (3, 'none', 'None'), (1, 'even', 'Even'))
        as tag (id, slug, name);
      create view post_categories as select id as post_id, case n % 3 when 0 then 'c1' else 'c2' end as category_id from post
        where n % 3 < 2 union all select id, 'c2' from post where n % 4 = 0
        union all select null, 'c2' union all select ${id("'gone'")}, 'c1';
      create view post_tags as select id as post_id, 1 as tag_id from post where n % 2 = 0
        union all select id, 2 from post, generate_series(1, 3) where n % 10 = 0
        union all select null, 1 union all select ${id("'gone'")}, 2`)
      await pool.query(`
      insert into post_views_daily select '2026-06-15'::date - age, ${id('n')}, 1 + (n * 7 + age * 13) % 11
      from generate_series(0, 40) age, generate_series(1, ${POSTS}) n where (n * 31 + age * 17) % 10 = 0
      union all select '2026-06-10', ${id("'gone'")}, 500;
      insert into post_views_hourly select '2026-06-15 12:00Z'::timestamptz - age * interval '1 hour', ${id('n')}, 1 + (n + age) % 5
      from generate_series(0, 30) age, generate_series(1, ${POSTS}) n where (n * 31 + age * 17) % 10 = 0;
      insert into post_views_total select post_id, sum(views), 20000 + sum(views) % 5 from post_views_daily group by post_id`)
      for (const isStored of [false, true]) {
        if (isStored) for (const days of [7, 365]) await materializeWindow(db, { days, nowMs, timeZone })
        await fc.assert(
          fc.asyncProperty(read, async ({ reach, sizes, filter, ...window }) => {
            const query = { ...window, ...filter, nowMs, timeZone }
            const [found, wanted] = [
              await findPopularPosts(db, query, reach, sizes),
              await findPopularPosts(db, query, 0),
            ].map((posts) =>
              posts.map(({ slug, views, totalViews }) => `${slug}: ${views} of ${totalViews}`).join(', '),
            )
            if (found !== wanted) throw new Error(`expected ${wanted}, got ${found}`)
          }),
          { numRuns: 100 },
        )
      }
      t.pass('200 lists')
    },
  )
