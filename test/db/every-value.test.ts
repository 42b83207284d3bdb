import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Pool } from 'pg'
import t, { type Test } from 'tap'
import { Check } from 'typebox/value'
import { changesSince } from '../../changes/revision.ts'
import { bucketStart, countBatch } from '../../db/count-views.ts'
import { migrateToLatest, type PostIdType } from '../../db/migrate.ts'
import { openDatabase } from '../../db/open-database.ts'
import { findPostsBySlug } from '../../db/posts-by-slug.ts'
import { findProblems } from '../../db/problems.ts'
import { createRowGuard } from '../../db/row-guard.ts'
import { isLive } from '../../db/window.ts'
import { createPageData } from '../../demo/site/page-data.ts'
import type { PopularPost } from '../../index.ts'
import { postItem } from '../../routes/shapes.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { createSite } from '../helpers/site.ts'

/** Values that a column of each type can hold. */
const VALUES: Record<string, readonly string[]> = {
  bigint: ['0', '-1', '9007199254740993', '9223372036854775807', '-9223372036854775808'],
  integer: ['0', '-1', '2147483647', '-2147483648'],
  boolean: ['true', 'false'],
  'double precision': ['NaN', 'Infinity', '-Infinity', '1e308', '-1e308', '5e-324', '0'],
  text: [
    ...['', '.', '..', ' ', '/', '%', '%00', '\\', '\u0001\u001f\u007f', '\r\n', '\u2028\u202e', '😀', 'e\u0301'],
    ...['x'.repeat(500), 'y'.repeat(501), '10kB '.repeat(2000), '&amp;', '<script>', '{"a":null}'],
  ],
  'timestamp with time zone': [
    ...['-infinity', 'infinity', '0001-01-01', '4713-11-24 BC', '0044-03-15 BC'],
    ...['294276-12-31 23:59:59.999999', '275761-01-01', '1890-05-06 07:08:09.1234'],
  ],
  date: ['-infinity', 'infinity', '0001-01-01', '4713-11-24 BC', '5874897-12-31'],
  uuid: ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
  json: [
    ...['null', '1', '"a"', '[]', '{"width":"wide"}', '{"width":1e99}', '{"width":-1.5,"height":true}', '{"src":{}}'],
    ...['{"alt":"\\u0000"}', '{"alt":"\\ud800"}', '{"src":"\\u0001"}'],
  ],
  xid8: ['3', '18446744073709551615'],
  ARRAY: ['{}'],
  bytea: ['\\x', '\\xff'],
}
VALUES['timestamp without time zone'] = VALUES['timestamp with time zone'] ?? []
VALUES['character varying'] = VALUES['text'] ?? []
VALUES['jsonb'] = VALUES['json'] ?? []

/** More than the values of any type, and null. */
const BAD = 24
const GOOD = ['good-1', 'good-2', 'good-3']
const LISTS = [
  ...['days=0', 'days=1', 'days=30', 'sort=trending', 'category=good', 'tag=good', 'author=good&days=0'],
  'excludeCategory=bad-5',
].map((query) => `/posts/popular?limit=50&${query}`)

/** Only some blogs have languages. */
const IN_ENGLISH = '/posts/popular?limit=50&language=en'

interface Blog {
  name: string
  /** `undefined`: the tables of the service. */
  postId: PostIdType | undefined
  /** The tables, before `migrate`. */
  tables: string
  /** The views, after it. */
  views: string
  /** `good-1` to `good-3` of good, and `bad-1` and up, each of others of its own. */
  fill: string
  /** The schema of the tables, beside that of the counters. */
  schema: string
  /** The type of the columns that are spoilt. Default: all. */
  only?: string
  /** A condition: the row is of a bad post. */
  isBad(table: string): string | undefined
}

const idOf = { bigint: 'n', uuid: `lpad(n::text, 32, '0')::uuid`, text: `'id-' || n` }
/** The rows: 1 to 3 are good. */
const N = `generate_series(1, ${3 + BAD}) n`
const nameOf = `case when n <= 3 then 'good' else 'bad-' || n end`
const slugOf = `case when n <= 3 then 'good-' || n else 'bad-' || n end`

/** Fills tables with the names that the package asks for. Good posts share an author, a category and a tag. */
function fillOf(postId: PostIdType): string {
  const [id, owner] = [idOf[postId], idOf[postId].replace('n', 'greatest(n, 3)')]
  const named = (table: string) =>
    `insert into ${table} (id, slug, name) overriding system value select ${id}, ${nameOf}, ${nameOf} from ${N} where n >= 3`
  return `
    ${['authors', 'categories', 'tags'].map(named).join(';')};
    insert into posts (id, slug, title, url, excerpt, author_id, published_at, is_private, image_url, image_width, image_height, image_alt, reading_minutes, language)
    overriding system value select ${id}, ${slugOf}, ${slugOf}, '/' || n, 'Of ' || n, ${owner}, '2020-01-01'::timestamptz + n * interval '1 day',
      false, '/image', 4, 3, 'an image', 2, 'en-GB' from ${N};
    insert into post_aliases (slug, post_id) select 'was-' || slug, id from posts;
    insert into post_categories (post_id, category_id) select ${id}, ${owner} from ${N};
    insert into post_tags (post_id, tag_id) select ${id}, ${owner} from ${N};
    insert into comments (post_id, is_approved${postId === 'bigint' ? ', author_name, body' : ''})
    select ${id}, true${postId === 'bigint' ? ", 'A', 'B'" : ''} from ${N}`
}

const isBadNamed = (table: string) =>
  /^(?:posts|authors|categories|tags)$/.test(table)
    ? `slug like 'bad-%'`
    : /^(?:post_categories|post_tags|post_aliases|comments)$/.test(table)
      ? `post_id in (select id from posts where slug like 'bad-%')`
      : undefined

function adopted(postId: PostIdType): Blog {
  const named = (table: string) => `create table host.${table} (id ${postId}, slug text, name text)`
  const tables = `create schema host;
    create table host.posts (id ${postId}, slug text, title text, url text, excerpt text, author_id ${postId}, published_at timestamptz,
      is_private boolean, image_url text, image_width integer, image_height integer, image_alt text, reading_minutes integer, language text);
    ${['authors', 'categories', 'tags'].map(named).join(';')};
    create table host.post_categories (post_id ${postId}, category_id ${postId});
    create table host.post_tags (post_id ${postId}, tag_id ${postId});
    alter table host.categories add column parent_id ${postId};
    create table host.post_aliases (slug text, post_id ${postId});
    create table host.comments (post_id ${postId}, is_approved boolean, author_name text, body text)`
  const names = ['posts', 'authors', 'categories', 'tags', 'post_categories', 'post_tags', 'post_aliases', 'comments']
  const views = names.map((name) => `create view popular_posts.${name} as select * from host.${name}`).join(';')
  return {
    name: `views over tables without any constraint, with ids of type ${postId}`,
    postId,
    tables,
    views,
    fill: `set local search_path = host; ${fillOf(postId)}`,
    schema: 'host',
    // The first of these blogs tries the other types.
    ...(postId === 'bigint' ? {} : { only: postId }),
    isBad: (table) => isBadNamed(table)?.replace('from posts', 'from host.posts'),
  }
}

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
const wordPress = [...read('docs/adopting.md').matchAll(/```sql\n([\s\S]*?)```/g)].map(([, sql = '']) => sql)
const [, magazineTables = ''] =
  /(create schema magazine[\s\S]*?)insert into/.exec(read('examples/own-schema/blog.sql')) ?? []
const uuidOf = (n: string) => `lpad((${n})::text, 32, '0')::uuid`

const BLOGS: Blog[] = [
  {
    name: 'the tables of the service',
    postId: undefined,
    tables: '',
    views: '',
    fill: `${['posts', 'authors', 'categories', 'tags', 'comments'].map((table) => `alter table ${table} alter id drop identity`).join(';')};
      create sequence comment_ids; alter table comments alter id set default nextval('comment_ids'); ${fillOf('bigint')}`,
    schema: 'public',
    isBad: isBadNamed,
  },
  adopted('bigint'),
  adopted('uuid'),
  adopted('text'),
  {
    name: 'the example of WordPress',
    postId: 'bigint',
    tables: wordPress.find((sql) => sql.includes('create table wp_posts')) ?? '',
    views: `${wordPress.find((sql) => sql.includes('create view popular_posts.posts')) ?? ''};
      ${wordPress.find((sql) => sql.includes("popular_posts_watch('public.wp_posts'")) ?? ''}`,
    fill: `
      insert into wp_users (id, user_nicename, display_name) select n, ${nameOf}, ${nameOf} from ${N} where n >= 3;
      insert into wp_posts (id, post_author, post_date_gmt, post_title, post_name)
        select n, greatest(n, 3), timestamp '2020-01-01' + n * interval '1 day', ${slugOf}, ${slugOf} from ${N};
      insert into wp_terms (term_id, name, slug) select n, ${nameOf}, ${nameOf} from ${N} where n >= 3;
      insert into wp_term_taxonomy (term_taxonomy_id, term_id, taxonomy)
        select n, n, 'category' from ${N} where n >= 3 union all select n + 100, n, 'post_tag' from ${N} where n >= 3;
      insert into wp_term_relationships (object_id, term_taxonomy_id)
        select n, greatest(n, 3) from ${N} union all select n, greatest(n, 3) + 100 from ${N};
      insert into wp_comments (comment_post_id, comment_content) select n, 'Hm' from ${N}`,
    schema: 'public',
    isBad: (table) =>
      ({
        wp_posts: `post_name like 'bad-%'`,
        wp_users: `user_nicename like 'bad-%'`,
        wp_terms: `slug like 'bad-%'`,
        wp_term_taxonomy: 'term_id > 3',
        wp_term_relationships: 'object_id > 3',
        wp_comments: 'comment_post_id > 3',
      })[table],
  },
  {
    name: 'the example of a magazine',
    postId: 'uuid',
    tables: magazineTables,
    views: read('examples/own-schema/views.sql'),
    fill: `
      insert into magazine.writer (id, handle, full_name) select ${uuidOf('n')}, ${nameOf}, ${nameOf} from ${N} where n >= 3;
      insert into magazine.section (id, key, title) select ${uuidOf('n')}, ${nameOf}, ${nameOf} from ${N} where n >= 3;
      insert into magazine.label (name) select ${nameOf} from ${N} where n >= 3;
      insert into magazine.article (id, handle, headline, writer_id, section_id, state, goes_live_at, cover)
        select ${uuidOf('n')}, ${slugOf}, ${slugOf}, ${uuidOf('greatest(n, 3)')}, ${uuidOf('greatest(n, 3)')}, 'published',
          timestamptz '2020-01-01' + n * interval '1 day', '{"src":"/image","width":4,"height":3}' from ${N};
      insert into magazine.article_label (article_id, label) select ${uuidOf('n')}, ${nameOf} from ${N};
      insert into magazine.reply (article_id, body) select ${uuidOf('n')}, 'Hm' from ${N}`,
    schema: 'magazine',
    isBad: (table) =>
      ({
        article: `handle like 'bad-%'`,
        writer: `handle like 'bad-%'`,
        section: `key like 'bad-%'`,
        label: `name like 'bad-%'`,
        article_label: `label like 'bad-%'`,
        reply: `article_id::text not like '00000000-0000-0000-0000-00000000000_'`,
      })[table],
  },
]

interface Column {
  schema: string
  table: string
  column: string
  type: string
}

for (const blog of BLOGS) {
  t.test(blog.name, async (t) => {
    const { pool, url } = await createBlog(t, blog)
    const { columns, reset } = await keepAll(pool, blog)
    t.ok(columns.length > 9, `${columns.length} columns`)
    const look = await openService(t, blog, url)
    const before = await look('before')
    await reset()
    for (const list of LISTS) t.same(before[list]?.map(({ slug }) => slug).sort(), GOOD, list)
    t.ok(
      before['/posts/popular?limit=50&days=0']?.every(
        ({ author, categories, tags }) => author && categories[0] && tags[0],
      ),
    )
    let stored = 0
    for (const column of columns) {
      const name = `${column.schema}.${column.table}.${column.column}`
      stored += await spoil(pool, column, blog)
      t.same(await look(name), before, name)
      await reset()
    }
    t.ok(stored > 20, `${stored} values`)
  })
}

async function createBlog(t: Test, { postId, tables, views, fill }: Blog): Promise<{ pool: Pool; url: string }> {
  const { pool, url: plain } = await createTestDatabase(t, { migrate: postId === undefined })
  const url = postId === undefined ? plain : `${plain}?options=-csearch_path%3Dpopular_posts,public`
  if (postId !== undefined) {
    await pool.query(`${tables}; create schema if not exists popular_posts`)
    const db = openDatabase(url, () => {})
    await migrateToLatest(db, { adopt: { postId } })
    await db.destroy()
    await pool.query(views)
  }
  await pool.query(fill)
  const counters = postId === undefined ? 'public' : 'popular_posts'
  await pool.query(`
    set local search_path = ${counters};
    insert into post_views_hourly select date_trunc('hour', now()), id, 7 from posts;
    insert into post_views_daily select current_date - d, id, 7 from posts, generate_series(0, 40) d;
    insert into post_views_total select id, 300, 20000 from posts;
    insert into post_views_batch (id, applied_at) select n::text, now() from ${N};
    insert into popular_posts_change (xid, change) select n::text::xid8, 'soft' from ${N} on conflict do nothing;
    insert into popular_posts_watch_failure (watcher, xid, code, message) select n, n::text::xid8, '42703', 'a' from ${N};
    insert into post_views_log_import (source) select n::text from ${N};
    insert into post_views_log_visits (import_id, hour, post_ids, visits) select n, n, '{}', '' from ${N};
    insert into post_views_log_chunk (before, lines, digest, post_ids) select n, 1, 'a', '{}' from ${N}`)
  return { pool, url }
}

/**
 * Lists the columns, and keeps the rows of all tables. `popular_posts_site` has settings: while its time zone is none, views
 * wait to be counted.
 */
async function keepAll(
  pool: Pool,
  { schema, only, postId }: Blog,
): Promise<{ columns: Column[]; reset(): Promise<void> }> {
  const { rows: columns } = await pool.query<Column>(`
    select table_schema as schema, table_name as table, column_name as column, data_type as type
    from information_schema.columns join information_schema.tables using (table_schema, table_name)
    where table_schema = '${schema}' and table_type = 'BASE TABLE' and table_name !~ '^popular_posts_(migration|site)'
    and is_generated = 'NEVER' order by 1, 2, ordinal_position`)
  const counters =
    postId === undefined ? [] : ['hourly', 'daily', 'total', 'window'].map((name) => `popular_posts.post_views_${name}`)
  const tables = [...new Set(columns.map(({ schema, table }) => `${schema}.${table}`).concat(counters))]
  await pool.query(
    `create schema kept; ${tables.map((table) => `create table kept."${table}" as table ${table}`).join(';')}`,
  )
  for (const table of tables.filter((name) => name.endsWith('.post_views_total')))
    await pool.query(`alter table kept."${table}" drop column views_rank, drop column heat_rank`)
  const refill = (table: string) =>
    `delete from ${table}; insert into ${table} overriding system value select * from kept."${table}"`
  return {
    columns: columns.filter(({ column, type }) => only === undefined || (type === only && column.endsWith('id'))),
    reset: async () => {
      await pool.query(`set local session_replication_role = replica; ${tables.map(refill).join(';')}`)
    },
  }
}

/** Writes each value of the type of a column, and null, into a row of a bad post. Returns the number of values it can hold. */
async function spoil(pool: Pool, { schema, table, column, type }: Column, blog: Blog): Promise<number> {
  const posts = blog.postId === undefined ? 'public.posts' : 'popular_posts.posts'
  const isBad = schema === blog.schema ? blog.isBad(table) : undefined
  const isOfBad = /^post_views_(?:hourly|daily|total|window)$/.test(table)
    ? `post_id in (select id from ${posts} where slug like 'bad-%')`
    : (isBad ?? 'true')
  const values = VALUES[type]
  if (values === undefined) throw new TypeError(`Expected values for the type ${type} of ${table}.${column}.`)
  const { rows } = await pool.query<{ at: string }>(
    `select ctid::text as at from ${schema}.${table} where ${isOfBad} limit ${BAD}`,
  )
  let stored = 0
  for (const [index, value] of [null, ...values].entries()) {
    const at = rows[index % Math.max(1, rows.length)]?.at
    if (at === undefined) continue
    const { rowCount } = await pool
      .query(`update ${schema}.${table} set "${column}" = $1 where ctid = $2::tid`, [value, at])
      .catch(() => ({ rowCount: 0 }))
    stored += rowCount ?? 0
  }
  return stored
}

/** Opens the service on a blog. Returns a function that checks what readers get. */
async function openService(t: Test, { postId, schema }: Blog, url: string) {
  const db = openDatabase(url, () => {})
  t.teardown(() => db.destroy())
  const isAdopted = postId !== undefined
  const hasAliases = !isAdopted || schema === 'host'
  const site = await createSite(t, { db, url, isAdopted })
  const read = createRowGuard({ warn() {} })
  let visits = 0

  /** Fails for any reply that is not 2xx, and for lists that are not as documented. */
  return async function look(name: string): Promise<Record<string, PopularPost[]>> {
    const ok = async (path: string) => {
      const reply = await site.inject(path)
      if (reply.statusCode !== 200) t.fail(`${name}: ${path} is ${reply.statusCode}: ${reply.body.slice(0, 200)}`)
      return reply
    }
    const lists: Record<string, PopularPost[]> = {}
    await site.popularPosts.invalidate()
    for (const path of [...LISTS, IN_ENGLISH]) {
      const posts = (await ok(path)).json<PopularPost[]>()
      const wrong = posts.find((post) => !Check(postItem.schema, { ...post, publishedAt: '2020-01-01T00:00:00Z' }))
      if (wrong !== undefined) t.fail(`${name}: ${JSON.stringify(wrong).slice(0, 500)}`)
      lists[path] = posts.filter(({ slug }) => GOOD.includes(slug))
    }
    const category = (await ok('/categories')).json<{ slug: string; postCount: number; views: number }[]>()
    t.match(
      category.find(({ slug }) => slug === 'good'),
      { postCount: 3, views: 3 * 7 * 31 },
      name,
    )
    // The pages of the site have the data of half a minute.
    const pages = createPageData({ db, timeZone: 'UTC', windows: [1, 7, 30, 365, 0], isAdopted, ttlMs: 0 })
    const latest = await pages.latest(1)
    t.ok(latest.posts.length > 0 && latest.posts.every(({ publishedAt }) => publishedAt.toISOString()), name)
    const page = await pages.post('good-1')
    t.match(page, { title: 'good-1', author: 'good', categories: [{ slug: 'good', name: 'good' }] }, name)
    t.equal(typeof (await pages.shortestWindow()), 'number', name)

    const slugs = ['good-1', ...Array.from({ length: BAD }, (_none, index) => `bad-${index + 4}`)]
    const found = await read(db, (reader) => findPostsBySlug(reader, [...slugs, 'was-good-1'], isLive({})))
    if (hasAliases) t.same(found.get('was-good-1'), found.get('good-1'), name)
    const nowMs = Date.now()
    const buckets = slugs.flatMap((slug) => {
      const post = found.get(slug)
      return post === undefined ? [] : [{ postId: post.id, bucketStartMs: bucketStart(nowMs), views: 1 }]
    })
    t.equal(await countBatch(db, { id: randomUUID(), timeZone: 'UTC', nowMs, buckets }), 'counted', name)
    visits += 1
    const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/129.0' }
    const visit = { headers, remoteAddress: `10.0.${visits}.1` }
    t.equal((await site.inject({ method: 'POST', url: '/posts/good-1/views', ...visit })).statusCode, 204, name)
    t.match(await site.postViews.flush(), { aside: 0, waiting: 0 }, name)
    await site.postViews.prune()
    await site.popularPosts.invalidate()
    const [counted] = (await site.popularPosts.get({ days: 0, limit: 50 })).filter(({ slug }) => slug === 'good-1')
    t.equal(counted?.totalViews, 302, name)
    await changesSince(db, (await changesSince(db, undefined)).revision)
    await findProblems(db, read)
    return lists
  }
}
