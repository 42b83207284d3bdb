import t, { type Test } from 'tap'
import { type ChangeMode, changesSince, hasChangeTable, recordChange } from '../../changes/revision.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

/** A blog: posts 1 and 2 live, 3 a draft, 4 private, 5 scheduled. Each has a comment, approved except that of 2. */
const BLOG = `
  insert into authors (slug, name) values ('ann', 'Ann'), ('bob', 'Bob');
  insert into categories (slug, name) values ('news', 'News'), ('empty', 'Empty');
  insert into tags (slug, name) values ('red', 'Red'), ('blue', 'Blue');
  insert into posts (slug, title, url, author_id, published_at, is_private) values
    ('one', 'One', '/one', 1, '2020-01-01', false), ('two', 'Two', '/two', 1, '2020-01-02', false),
    ('draft', 'Draft', '/draft', 1, null, false), ('private', 'Private', '/private', 1, '2020-01-03', true),
    ('later', 'Later', '/later', 1, '2999-01-01', false);
  insert into post_categories values (1, 1), (3, 1);
  insert into post_tags values (1, 1), (3, 1);
  insert into comments (post_id, author_name, body, is_approved) values
    (1, 'Cid', 'Hm', true), (2, 'Dee', 'Oh', false), (3, 'Eve', 'Ah', true);`

async function createBlog(t: Test) {
  const { db, pool, url } = await createTestDatabase(t)
  await pool.query(BLOG)
  let { revision } = await changesSince(db, undefined)
  /** The announcements since the last call. */
  async function change(): Promise<ChangeMode | undefined> {
    const found = await changesSince(db, revision)
    revision = found.revision
    return found.mode
  }
  return { db, pool, url, change }
}

/** Statements that run and are rolled back, and their announcements. */
const STATEMENTS: Record<string, [ChangeMode | undefined, string]> = {
  'a post is published at once': [
    'hard',
    "insert into posts (slug, title, url, published_at) values ('n', '', '', now())",
  ],
  'a draft is made': [undefined, "insert into posts (slug, title, url) values ('n', '', '')"],
  'a private post is made': [
    undefined,
    "insert into posts (slug, title, url, published_at, is_private) values ('n', '', '', now(), true)",
  ],
  'a post is scheduled': [
    undefined,
    "insert into posts (slug, title, url, published_at) values ('n', '', '', '2999-01-01')",
  ],
  'a draft is published': ['hard', 'update posts set published_at = now() where id = 3'],
  'a scheduled post is published now': ['hard', 'update posts set published_at = now() where id = 5'],
  'a post is taken offline': ['hard', 'update posts set published_at = null where id = 1'],
  'a post is postponed': ['hard', "update posts set published_at = '2999-01-01' where id = 1"],
  'a post becomes private': ['hard', 'update posts set is_private = true where id = 1'],
  'a private post is opened': ['hard', 'update posts set is_private = false where id = 4'],
  'one post is published, another one withdrawn': [
    'hard',
    'update posts set is_private = not is_private where id in (1, 4)',
  ],
  'a post gets another slug': ['hard', "update posts set slug = 'uno' where id = 1"],
  'a post gets another URL': ['hard', "update posts set url = '/uno' where id = 1"],
  'two posts swap their URLs': [
    'hard',
    "update posts set url = case id when 1 then '/two' else '/one' end where id in (1, 2)",
  ],
  'a post gets another author': ['soft', 'update posts set author_id = 2 where id = 1'],
  'the date of a live post is corrected': ['soft', "update posts set published_at = '2019-01-01' where id = 1"],
  'a draft is edited': [undefined, "update posts set title = 'Uno', slug = 'uno' where id = 3"],
  'a scheduled post is edited': [undefined, "update posts set title = 'Uno' where id = 5"],
  'a scheduled post is withdrawn': [undefined, 'update posts set published_at = null where id = 5'],
  'an update changes nothing': [undefined, 'update posts set title = title, published_at = published_at'],
  'an update finds nothing': [undefined, "update posts set title = 'x' where id = 99"],
  'a live post is deleted': ['hard', 'delete from posts where id = 1'],
  'a draft is deleted, with its comment': ['soft', 'delete from posts where id = 3'],
  'a private post is deleted': [undefined, 'delete from posts where id = 4'],
  'a scheduled post is deleted': [undefined, 'delete from posts where id = 5'],
  'all posts are truncated': ['hard', 'truncate posts cascade'],
  'an upsert inserts': [
    'hard',
    "insert into posts (slug, title, url, published_at) values ('n', '', '', now()) on conflict (slug) do update set title = excluded.title",
  ],
  'an upsert updates': [
    'soft',
    "insert into posts (slug, title, url, published_at) values ('one', 'Uno', '', now()) on conflict (slug) do update set title = excluded.title",
  ],
  'an upsert does nothing': [
    undefined,
    "insert into posts (slug, title, url, published_at) values ('one', 'Uno', '', now()) on conflict (slug) do nothing",
  ],
  'a comment comes in, approved': ['soft', "insert into comments (post_id, author_name, body) values (1, '', '')"],
  'a comment comes in, to be approved': [
    undefined,
    "insert into comments (post_id, author_name, body, is_approved) values (1, '', '', false)",
  ],
  'a comment is approved': ['soft', 'update comments set is_approved = true where id = 2'],
  'a comment is hidden': ['soft', 'update comments set is_approved = false where id = 1'],
  'a comment is moved': ['soft', 'update comments set post_id = 2 where id = 1'],
  'a comment is edited': [undefined, "update comments set body = 'Well'"],
  'an approved comment is deleted': ['soft', 'delete from comments where id = 1'],
  'another comment is deleted': [undefined, 'delete from comments where id = 2'],
  'all comments are truncated': ['soft', 'truncate comments'],
  'a category is made': ['soft', "insert into categories (slug, name) values ('n', 'N')"],
  'a category is renamed': ['soft', "update categories set name = 'Olds' where id = 1"],
  'a category is deleted': ['soft', 'delete from categories where id = 2'],
  'a category is renamed to its name': [undefined, 'update categories set name = name'],
  'a tag is renamed': ['soft', "update tags set slug = 'rot' where id = 1"],
  'an author is renamed': ['soft', "update authors set name = 'Anna' where id = 1"],
  'a post gets a category': ['soft', 'insert into post_categories values (2, 1)'],
  'a post loses a category': ['soft', 'delete from post_categories where post_id = 1'],
  'a post gets a tag': ['soft', 'insert into post_tags values (2, 2)'],
  'a post loses a tag': ['soft', 'delete from post_tags'],
  'views are counted': [undefined, 'insert into post_views_total values (1, 5, 1)'],
  'somebody says so': ['hard', "select popular_posts_announce('hard')"],
  'a post is published and its category renamed': [
    'hard',
    "with a as (update categories set name = 'x') insert into posts (slug, title, url, published_at) values ('n', '', '', now())",
  ],
}

t.test('plain SQL announces exactly the changes that affect lists', async (t) => {
  const { pool, change } = await createBlog(t)
  for (const [what, [expected, statement]] of Object.entries(STATEMENTS)) {
    await pool.query(statement)
    t.equal(await change(), expected, what)
    await pool.query(`truncate posts, authors, categories, tags restart identity cascade; ${BLOG}`)
    t.equal(await change(), 'hard')
  }
})

t.test('a transaction announces each kind of change once at commit, without changes that it rolled back', async (t) => {
  const { db, pool, change } = await createBlog(t)
  const client = await pool.connect()
  t.teardown(async () => client.release())
  const publish = (slug: string) =>
    client.query("insert into posts (slug, title, url, published_at) values ($1, '', '', now())", [slug])

  await client.query('begin')
  await publish('a')
  await recordChange(db, 'soft')
  t.equal(await change(), 'soft', 'only of the other one')
  await client.query('rollback')
  t.equal(await change(), undefined, 'rolled back')

  await client.query('begin')
  await client.query("update categories set name = 'x'")
  await client.query('savepoint here')
  await publish('a')
  await client.query('rollback to savepoint here')
  await client.query('commit')
  t.equal(await change(), 'soft', 'the savepoint was rolled back')

  await client.query('begin; savepoint here')
  await publish('a')
  await client.query('rollback to savepoint here')
  await publish('a')
  await publish('b')
  await client.query("update tags set name = 'x'")
  await client.query("update tags set name = 'y'")
  await client.query('commit')
  t.equal(await change(), 'hard')
  const { rows } = await pool.query(
    'select change from popular_posts_change where xid = (select max(xid::text::bigint)::text::xid8 from popular_posts_change)',
  )
  t.same(rows.map((row) => row.change).sort(), ['hard', 'soft'])
})

t.test('a transaction that began early and commits late is not missed', async (t) => {
  const { pool, change } = await createBlog(t)
  const [early, late] = [await pool.connect(), await pool.connect()]
  t.teardown(async () => {
    early.release()
    late.release()
  })
  const rename = (name: string) => `update authors set name = '${name}' where slug = $1`
  await early.query('begin')
  await early.query(rename('first'), ['ann'])
  await late.query(rename('second'), ['bob'])
  t.equal(await change(), 'soft', 'the one with the greater number is seen')
  t.equal(await change(), undefined)
  await early.query('commit')
  t.equal(await change(), 'soft', 'and then the smaller')
  t.equal(await change(), undefined)
})

t.test('a scheduled post is due at its time, in any order of scheduling', async (t) => {
  const { db, pool } = await createTestDatabase(t)
  const schedule = async (slug: string, seconds: number) =>
    pool.query(
      "insert into posts (slug, title, url, published_at) values ($1, '', '', clock_timestamp() + make_interval(secs => $2))",
      [slug, seconds],
    )
  const start = await changesSince(db, undefined)
  t.match(start, { mode: undefined, dueInMs: undefined })
  await schedule('far', 3600)
  await schedule('near', 1)
  await pool.query("insert into posts (slug, title, url, published_at) values ('never', '', '', 'infinity')")
  const before = await changesSince(db, start.revision)
  t.match(before, { mode: undefined })
  t.ok(Number(before.dueInMs) > 0 && Number(before.dueInMs) <= 1000, `in ${before.dueInMs} ms`)
  await pool.query(
    'select pg_sleep_until(max(changed_at)) from popular_posts_change where changed_at < now() + $1::interval',
    ['1 minute'],
  )
  const due = await changesSince(db, before.revision)
  t.equal(due.mode, 'hard')
  t.ok(Number(due.dueInMs) > 3_000_000, 'the other one is still to come')
  t.match(await changesSince(db, due.revision), { mode: undefined }, 'told once')
  t.match(await changesSince(db, start.revision), { mode: 'hard', name: due.name }, 'who asks late is told as well')
})

t.test('a revision that cannot be compared counts as a hard change', async (t) => {
  const { db, pool } = await createTestDatabase(t)
  const { revision } = await changesSince(db, undefined)
  const [seconds = '', snapshot = '', indexes = ''] = revision.split(' ')
  t.match(await changesSince(db, revision), { mode: undefined, name: undefined })
  const old = `${Number(seconds) - 6 * 86_400 - 1} ${snapshot} ${indexes}`
  t.match(await changesSince(db, old), { mode: 'hard', name: `since ${old}` }, 'too old')
  const foreign = `${seconds} 900000000000:900000000000: ${indexes}`
  t.match(await changesSince(db, foreign), { mode: 'hard', name: `since ${foreign}` }, 'of another cluster')
  await pool.query("insert into popular_posts_change values ('900000000000', 'hard', now())")
  t.match(await changesSince(db, revision), { mode: undefined }, 'a row of another cluster, from a dump')
})

t.test('a restore counts as a hard change when the indexes are there again, after the rows', async (t) => {
  const { db, pool } = await createTestDatabase(t)
  const { revision } = await changesSince(db, undefined)
  const tables = (
    await pool.query(
      "select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'",
    )
  ).rows.map(({ name }) => name)
  // In the order of `pg_restore --clean`.
  for (const name of tables)
    await pool.query(
      `create table restored (like ${name}); drop table ${name} cascade; alter table restored rename to ${name}`,
    )
  const during = await changesSince(db, revision)
  t.match(during, { mode: undefined, isComparable: true })
  const begun = await changesSince(db, undefined)
  await pool.query('alter table popular_posts_change add primary key (xid, change, changed_at)')
  for (const before of [during, begun]) {
    const after = await changesSince(db, before.revision)
    t.match(after, { mode: 'hard', name: `since ${before.revision}` })
    t.match(await changesSince(db, after.revision), { mode: undefined })
  }
  const { revision: half } = await changesSince(db, undefined)
  await pool.query('alter table posts add primary key (id)')
  t.match(await changesSince(db, half), { mode: 'hard' }, 'an index of a table that was restored later')
})

t.test('changes have the same names in all processes', async (t) => {
  const { db } = await createTestDatabase(t)
  const { revision } = await changesSince(db, undefined)
  await recordChange(db, 'soft')
  const one = await changesSince(db, revision)
  t.match(one.name, /^soft \d+ [\d.]+$/)
  await recordChange(db, 'hard')
  const both = await changesSince(db, revision)
  t.match(both, { mode: 'hard', name: /^[\w-]{43}$/ })
  t.equal((await changesSince(db, revision)).name, both.name)
  t.match(await changesSince(db, revision, (name) => name === one.name), { mode: 'soft', name: one.name })
  t.match(await changesSince(db, revision, () => false), { mode: undefined })
})

t.test('a database without these tables is detected', async (t) => {
  const { db } = await createTestDatabase(t, { migrate: false })
  t.equal(await hasChangeTable(db), false)
  await t.rejects(recordChange(db, 'hard'), { code: '42883' })
})
