import { type Kysely, type RawBuilder, sql } from 'kysely'
import { addViews } from '../../db/count-views.ts'
import type { Database } from '../../db/schema.ts'
import { type Calendar, createCalendar, isDated, publishedAtMs } from './calendar.ts'
import { demoComments } from './comments.ts'
import { demoAuthors, demoCategories, demoTags } from './content.ts'
import { type DemoPost, demoPosts } from './posts.ts'
import { demoViews } from './views.ts'

/** The demo posts with the ids that they got. */
type SeededPosts = readonly { id: string | number | bigint; post: DemoPost }[]

/**
 * Fills an empty blog with the demo: posts, comments and 400 days of views that end at `nowMs`.
 *
 * One transaction under a lock: of processes that start at once, one fills and the others find it done.
 * @param options.nowMs the present, in milliseconds since the epoch. The same moment gives the same rows.
 * @param options.timeZone the site's IANA time zone: decides the day that a view belongs to.
 * @returns whether it was filled; `false`, with nothing changed, when there is a post already or a demo was ever here.
 * @throws RangeError for a zone that does not exist, and what PostgreSQL answered; nothing is filled then.
 */
export async function seedDemo(
  db: Kysely<Database>,
  { nowMs, timeZone }: { nowMs: number; timeZone: string },
): Promise<boolean> {
  const calendar = createCalendar({ nowMs, timeZone })
  // Read committed: after the wait for the lock, what the other process has committed must be seen.
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
 * Takes the demo out again, for good: its posts with their comments and counters, and those of its authors, categories
 * and tags that no other post uses.
 * @param trx a transaction (read committed), in which this comes first: it waits for a demo that is being filled.
 * @returns how many posts were removed; 0, with nothing changed, when there is no demo.
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
  // Rows are locked in the order in which views are counted: a batch that is being counted cannot deadlock with this.
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
  await deleteUnused(trx, 'authors', demoAuthors, sql`select from posts where author_id = named.id`)
  await deleteUnused(trx, 'categories', demoCategories, sql`select from post_categories where category_id = named.id`)
  await deleteUnused(trx, 'tags', demoTags, sql`select from post_tags where tag_id = named.id`)
  await trx.updateTable('site_facts').set({ value: 'removed' }).where('name', '=', 'demo').execute()
  return ids.length
}

/** One of the demo's transactions at a time; the lock goes with the transaction. */
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

/** A name that is there already, from the blog's owner, stays as it is and is used. */
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

/** The oldest first: ids grow with time, as those of a real blog do. */
async function insertPosts(trx: Kysely<Database>, calendar: Calendar): Promise<SeededPosts> {
  const rows = await trx
    .insertInto('posts')
    .values((eb) =>
      demoPosts.toReversed().map((post) => ({
        slug: post.slug,
        title: post.title,
        // The demo is one page: a post is a place on it.
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

/** Oldest first, as they came in. */
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

/** @param uses a query for what uses the row called `named`. */
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
