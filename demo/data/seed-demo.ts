import { type Kysely, type RawBuilder, sql } from 'kysely'
import { addViews } from '../../db/count-views.ts'
import type { Database } from '../../db/schema.ts'
import { type Calendar, createCalendar, isDated, publishedAtMs } from './calendar.ts'
import { demoComments } from './comments.ts'
import { demoAuthors, demoCategories, demoTags } from './content.ts'
import { type DemoPost, demoPosts } from './posts.ts'
import { demoViews } from './views.ts'

/** The demo posts with their ids in the database. */
type SeededPosts = readonly { id: string | number | bigint; post: DemoPost }[]

/**
 * Fills an empty blog with the demo: posts, comments and 400 days of views that end at `nowMs`.
 *
 * One transaction under a lock: of processes that start at once, one fills the database and the others change nothing.
 * @param options.nowMs the present, in milliseconds since the epoch. The same time gives the same rows.
 * @param options.timeZone the site's IANA time zone: decides the day of a view.
 * @returns whether it was filled; `false`: nothing changed, because the database has posts or had a demo before.
 * @throws RangeError for a zone that does not exist, or the error of PostgreSQL; nothing is filled then.
 */
export async function seedDemo(
  db: Kysely<Database>,
  { nowMs, timeZone }: { nowMs: number; timeZone: string },
): Promise<boolean> {
  const calendar = createCalendar({ nowMs, timeZone })
  // Read committed: after the wait for the lock, this transaction must see the commit of the other process.
  return db
    .transaction()
    .setIsolationLevel('read committed')
    .execute(async (trx) => {
      await lockDemo(trx)
      if ((await demoFact(trx)) !== undefined || (await hasPosts(trx))) return false
      await insertNamed(trx, 'authors', demoAuthors)
      await insertNamed(trx, 'categories', demoCategories)
      await insertNamed(trx, 'tags', demoTags)
      const filled = await insertPosts(trx, calendar)
      await insertLinks(trx, filled, 'post_categories', 'category_id', 'categories', (post) => post.in)
      await insertLinks(trx, filled, 'post_tags', 'tag_id', 'tags', (post) => post.tags)
      await insertComments(trx, filled, calendar)
      const buckets = filled.flatMap(({ id, post }) =>
        demoViews(post, calendar).map((views) => ({ postId: id, ...views })),
      )
      await addViews(trx, { timeZone, nowMs, buckets })
      await trx.insertInto('site_facts').values({ name: 'demo', value: 'filled' }).execute()
      return true
    })
}

/**
 * Removes the demo permanently: its posts with their comments and counters, and its authors, categories and tags that
 * no other post uses.
 * @param trx a read committed transaction without earlier statements: it waits while another process fills the demo.
 * @returns the number of removed posts; 0: there is no demo, nothing changed.
 */
export async function removeDemo(trx: Kysely<Database>): Promise<number> {
  await lockDemo(trx)
  if ((await demoFact(trx)) !== 'filled') return 0
  const posts = await trx
    .deleteFrom('posts')
    .where(
      'slug',
      'in',
      demoPosts.map(({ slug }) => slug),
    )
    .returning('id')
    .execute()
  const ids = posts.map(({ id }) => String(id))
  // Rows are locked in the order in which batches are counted, so that a concurrent batch cannot deadlock with this.
  for (const [table, key] of [
    ['post_views_hourly', sql`hour, post_id`],
    ['post_views_daily', sql`day, post_id`],
    ['post_views_total', sql`post_id`],
  ] as const) {
    await sql`
      delete from ${sql.table(table)} where (${key}) in (
        select ${key} from ${sql.table(table)} where post_id = any(${ids}::bigint[]) order by ${key} for update
      )`.execute(trx)
  }
  await deleteUnused(trx, 'authors', demoAuthors, sql`select from ${sql.table('posts')} where author_id = named.id`)
  await deleteUnused(trx, 'categories', demoCategories, sql`select from ${sql.table('post_categories')} where category_id = named.id`)
  await deleteUnused(trx, 'tags', demoTags, sql`select from ${sql.table('post_tags')} where tag_id = named.id`)
  await trx.updateTable('site_facts').set({ value: 'removed' }).where('name', '=', 'demo').execute()
  return ids.length
}

/** Allows one transaction of the demo at a time; the lock ends with the transaction. */
async function lockDemo(trx: Kysely<Database>): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended('fastify-popular-posts demo', 0))`.execute(trx)
}

async function demoFact(trx: Kysely<Database>): Promise<string | undefined> {
  const fact = await trx.selectFrom('site_facts').select('value').where('name', '=', 'demo').executeTakeFirst()
  return fact?.value
}

async function hasPosts(trx: Kysely<Database>): Promise<boolean> {
  return (await trx.selectFrom('posts').select('id').limit(1).executeTakeFirst()) !== undefined
}

/** An existing row with the same slug stays unchanged, and is used. */
async function insertNamed(
  trx: Kysely<Database>,
  table: 'authors' | 'categories' | 'tags',
  names: Readonly<Record<string, string>>,
): Promise<void> {
  await trx
    .insertInto(table)
    .values(Object.entries(names).map(([slug, name]) => ({ slug, name })))
    .onConflict((conflict) => conflict.column('slug').doNothing())
    .execute()
}

/** Inserts the oldest posts first: ids grow with time, as in a real blog. */
async function insertPosts(trx: Kysely<Database>, calendar: Calendar): Promise<SeededPosts> {
  const rows = await trx
    .insertInto('posts')
    .values((eb) =>
      demoPosts.toReversed().map((post) => ({
        slug: post.slug,
        title: post.title,
        url: `/posts/${post.slug}`,
        excerpt: post.excerpt,
        author_id: eb.selectFrom('authors').select('id').where('slug', '=', post.by),
        published_at: isDated(post) ? new Date(publishedAtMs(post, calendar)) : null,
        is_private: post.isPrivate ?? false,
        reading_minutes: post.minutes,
      })),
    )
    .returning(['id', 'slug'])
    .execute()
  return rows.flatMap(({ id, slug }) => demoPosts.filter((post) => post.slug === slug).map((post) => ({ id, post })))
}

async function insertLinks(
  trx: Kysely<Database>,
  filled: SeededPosts,
  table: 'post_categories' | 'post_tags',
  column: 'category_id' | 'tag_id',
  named: 'categories' | 'tags',
  slugsOf: (post: DemoPost) => readonly string[],
): Promise<void> {
  const links = filled.flatMap(({ id, post }) => slugsOf(post).map((slug) => ({ id: String(id), slug })))
  await sql`
    insert into ${sql.table(table)} (post_id, ${sql.ref(column)})
    select link.post_id, named.id
    from unnest(${links.map(({ id }) => id)}::bigint[], ${links.map(({ slug }) => slug)}::text[]) as link (post_id, slug)
    join ${sql.table(named)} as named on named.slug = link.slug`.execute(trx)
}

/** Inserts the oldest comments first. */
async function insertComments(trx: Kysely<Database>, filled: SeededPosts, calendar: Calendar): Promise<void> {
  const comments = filled.flatMap(({ id, post }) =>
    demoComments(post, calendar).map(({ author, body, isApproved, createdAt }) => ({
      post_id: id,
      author_name: author,
      body,
      is_approved: isApproved,
      created_at: createdAt,
    })),
  )
  await trx
    .insertInto('comments')
    .values(comments.toSorted((a, b) => a.created_at.getTime() - b.created_at.getTime()))
    .execute()
}

/** @param uses a query for posts that use the row `named`. */
async function deleteUnused(
  trx: Kysely<Database>,
  table: 'authors' | 'categories' | 'tags',
  names: Readonly<Record<string, string>>,
  uses: RawBuilder<unknown>,
): Promise<void> {
  await sql`
    delete from ${sql.table(table)} as named
    where slug = any(${Object.keys(names)}::text[]) and not exists (${uses})`.execute(trx)
}
