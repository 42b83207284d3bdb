import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { FORMAT_NAMES } from '../../../bin/import-counts/formats.ts'
import { migrateToLatest } from '../../../db/migrate.ts'
import { openDatabase } from '../../../db/open-database.ts'
import { addPosts, readTotals } from '../../helpers/access-log.ts'
import { readAllCounters } from '../../helpers/counter-exports.ts'
import { createTestDatabase } from '../../helpers/postgres.ts'
import { command } from '../../helpers/service.ts'

const DOCUMENT = readFileSync(new URL('../../../docs/import-counts.md', import.meta.url), 'utf8')

t.test('the commands of the document, in a database of this package', async (t) => {
  const { db, url } = await createTestDatabase(t)
  await addPosts(db, 'goat', 'map')
  const directory = t.testdir({
    'imported_pages_20240101_20251231.csv':
      'date,hostname,page,visits,visitors,pageviews\n2024-05-01,x,/blog/goat,1,1,5\n',
    'wp_post_views.csv': 'id,type,period,count\n11,0,20240502,3\n11,0,20260201,3\n11,4,total,9\n',
    'new.csv': 'slug,total\nnew,9\n',
    'wp_posts.csv': '"ID";"post_name"\n"11";"map"\n',
  })
  const [, block = ''] = /```sh\n(.*?)```/s.exec(DOCUMENT) ?? []
  const run = async (line: string, databaseUrl: string) => {
    const [args = '', target] = line.replace('npx popular-posts ', '').split(' > ')
    const words = args.split(' ').map((word) => (word.endsWith('.csv') ? join(directory, word) : word))
    const program = command(t, words, { DATABASE_URL: databaseUrl })
    t.equal(await program.ended(), 0, program.stderr())
    if (target !== undefined) await writeFile(join(directory, target), program.stdout())
    return program.stdout()
  }
  const said: string[] = []
  for (const line of block.trim().split('\n')) said.push(await run(line, url))
  t.match(said[0], /views counted +5 +of 1 post\n/)
  t.match(said[1], /views counted +3 +of 1 post\nleft out +2 /)
  t.equal(said[2], 'Import 1 (plausible) was taken back: 5 views.\n')
  t.same(await readTotals(db), { map: 3 })
  const other = await createTestDatabase(t)
  await addPosts(other.db, 'goat', 'map')
  const { rows: before } = await other.pool.query('select from popular_posts_change')
  await run('npx popular-posts import-counts counts.csv', other.url)
  t.same(await readAllCounters(other.db), await readAllCounters(db))
  const { rows: after } = await other.pool.query('select from popular_posts_change')
  t.equal(after.length, before.length + 1, 'lists of running services are invalidated')
  await run('npx popular-posts import-counts counts.csv', other.url)
  t.equal(
    (await other.pool.query('select from popular_posts_change')).rows.length,
    after.length,
    'not if nothing is new',
  )
  const created = await run('npx popular-posts import-counts new.csv --create-posts', other.url)
  t.match(created, /views counted +9 +of 1 post, 1 new post/)
  const zone = command(t, ['export-counts'], { DATABASE_URL: url, SITE_TIME_ZONE: 'Asia/Tokyo' })
  t.equal(await zone.ended(), 1, 'another time zone has other days')
  for (const name of FORMAT_NAMES) t.match(DOCUMENT, `| \`${name}\` |`)
})

t.test('a blog with its own tables, in a schema of its own', async (t) => {
  const { pool, url } = await createTestDatabase(t, { migrate: false })
  const db = openDatabase(
    url,
    () => {},
    {},
    () => 'popular_posts',
  )
  t.teardown(() => db.destroy())
  await migrateToLatest(db, { adopt: { postId: 'uuid' }, schema: 'popular_posts' })
  await pool.query(`
    create table articles (id uuid primary key default gen_random_uuid(), slug text);
    insert into articles (slug) values ('goat');
    create view popular_posts.posts as
    select id, slug, slug as title, '/' || slug as url, '' as excerpt, null::uuid as author_id, timestamptz '2020-01-01' as published_at,
      false as is_private, null::text as image_url, null::integer as image_width, null::integer as image_height, '' as image_alt,
      1 as reading_minutes from articles;
    create view popular_posts.authors as select id, slug, slug as name from articles where false;
    create view popular_posts.categories as select id, slug, slug as name from articles where false;
    create view popular_posts.tags as select id, slug, slug as name from articles where false;
    create view popular_posts.post_categories as select id as post_id, id as category_id from articles where false;
    create view popular_posts.post_tags as select id as post_id, id as tag_id from articles where false;
    create view popular_posts.comments as select id as post_id, true as is_approved from articles where false`)
  const run = async (args: string[]) => {
    const program = command(t, args, { DATABASE_URL: url })
    return { code: await program.ended(), stdout: program.stdout(), stderr: program.stderr() }
  }
  const file = join(t.testdir({ 'a.csv': 'slug,day,views\ngoat,2024-05-01,5\nnew,2024-05-01,5\n' }), 'a.csv')
  t.match(await run(['import-counts', file, '--schema', 'popular_posts']), { code: 0, stdout: /views counted +5 / })
  t.match(await run(['export-counts', '--schema', 'popular_posts']), {
    stdout: /^goat,2024-05-01,,5,\ngoat,,,5,[\d.]+\n/m,
  })
  const refused = await run(['import-counts', file, '--create-posts', '--source', 'x', '--anyway'])
  t.match(refused, { code: 1, stderr: /in which this command creates no posts/ })
  t.match(await run(['import-counts', '--undo', '1']), { code: 0, stdout: /was taken back: 5 views/ })
  t.same(await readAllCounters(db), {})
})
