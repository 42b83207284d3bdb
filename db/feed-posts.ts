import { type Kysely, sql, type Transaction } from 'kysely'
import { slugForms } from '../lib/slug-forms.ts'
import { type LinkedTable, namedRows, replaceLinks } from './feed-names.ts'
import { titleOfSlug } from './logged-posts.ts'
import { findPostsBySlug } from './posts-by-slug.ts'
import type { Database } from './schema.ts'

/** A post as a feed names it. What is `undefined`, or an empty list, the feed does not say. */
export interface FeedPost {
  slug: string
  /** The full address. */
  url: string
  /** The key of its id in the feed. */
  id: string | undefined
  title: string | undefined
  excerpt: string | undefined
  publishedAt: Date | undefined
  /** Its last change: the publication of a new post that has no other date. */
  changedAt: Date | undefined
  author: string | undefined
  categories: readonly string[]
  tags: readonly string[]
  image: { url: string; width?: number | undefined; height?: number | undefined; alt?: string | undefined } | undefined
  language: string | undefined
}

/** What an import has done. */
export interface FeedOutcome {
  created: number
  changed: number
  /** Of those that were changed: posts that got another slug. */
  renamed: number
  unchanged: number
  /** Slugs of posts that were left out, or keep their old slug, because another post has the slug. */
  takenSlugs: string[]
}

/** Rows of one statement. */
const BATCH = 1_000

type Row = Awaited<ReturnType<typeof readPosts>>[number]

/** A post of the feed with its row in the database. */
interface Match {
  post: FeedPost
  row: Row
  /** Whether the row gets the slug of the post. */
  isRenamed: boolean
}

/**
 * Creates and updates posts. A post is recognized by the key of its id, else by its slug in any of its forms. Only what
 * differs is written, so an import without changes invalidates no list. No post is deleted. One transaction does all.
 * @param options.nowMs the publication of a new post without a date. Posts without a date keep their order.
 * @param options.before called first, in the transaction.
 * @throws the error of PostgreSQL; nothing is changed then.
 */
export async function importFeedPosts(
  db: Kysely<Database>,
  posts: readonly FeedPost[],
  { nowMs, before }: { nowMs: number; before(trx: Transaction<Database>): Promise<void> },
): Promise<FeedOutcome> {
  return db
    .transaction()
    .setIsolationLevel('read committed')
    .execute(async (trx) => {
      await before(trx)
      // One import at a time: the second reads what the first wrote.
      await sql`select pg_advisory_xact_lock(hashtextextended('popular-posts import-feed', 0))`.execute(trx)
      const { matches, missing, takenSlugs } = await matchPosts(trx, posts)
      const authors = await namedRows(
        trx,
        'authors',
        posts.flatMap(({ author }) => author ?? []),
      )
      const changes = matches.map((match) => changesOf(match, authors)).filter((change) => change !== undefined)
      await updatePosts(trx, changes)
      const created = await insertPosts(trx, missing, authors, nowMs)
      const withIds = [...matches.map(({ post, row }) => ({ post, postId: row.id })), ...created]
      await rememberIds(trx, withIds)
      const changed = new Set(changes.map(({ id }) => id))
      for (const table of ['post_categories', 'post_tags'] as const)
        for (const postId of await linkPosts(trx, table, withIds)) changed.add(postId)
      for (const { postId } of created) changed.delete(postId)
      return {
        created: created.length,
        changed: changed.size,
        renamed: matches.filter(({ isRenamed }) => isRenamed).length,
        unchanged: matches.length - changed.size,
        takenSlugs,
      }
    })
}

async function matchPosts(
  trx: Transaction<Database>,
  posts: readonly FeedPost[],
): Promise<{ matches: Match[]; missing: FeedPost[]; takenSlugs: string[] }> {
  const known = await trx
    .selectFrom('feed_posts')
    .where(sql<boolean>`id = any(${posts.flatMap(({ id }) => id ?? [])}::text[])`)
    .select(['id', sql<string>`post_id::text`.as('postId')])
    .execute()
  const byId = new Map(known.map(({ id, postId }) => [id, postId]))
  const slugs = posts.map(({ slug }) => slug)
  // A post that had the slug before is another one.
  const bySlug = new Map(
    [...(await findPostsBySlug(trx, slugs))].filter(([slug, found]) => slugForms(slug).includes(found.slug)),
  )
  const rows = await readPosts(trx, [...byId.values(), ...[...bySlug.values()].map(({ id }) => id)])
  const rowOf = new Map(rows.map((row) => [row.id, row]))
  const matches = new Map<string, Match>()
  const takenSlugs: string[] = []
  const others: FeedPost[] = []
  // By their ids first: a new post may have the old slug of a renamed one.
  for (const post of posts) {
    const row = rowOf.get(byId.get(post.id ?? '') ?? '')
    if (row === undefined || matches.has(row.id)) {
      others.push(post)
      continue
    }
    const owner = bySlug.get(post.slug)
    if (owner !== undefined && owner.id !== row.id) takenSlugs.push(post.slug)
    matches.set(row.id, { post, row, isRenamed: owner === undefined })
  }
  const missing: FeedPost[] = []
  for (const post of others) {
    const row = rowOf.get(bySlug.get(post.slug)?.id ?? '')
    const taker = row && matches.get(row.id)
    if (row === undefined || taker?.isRenamed === true) missing.push(post)
    else if (taker === undefined) matches.set(row.id, { post, row, isRenamed: false })
    else takenSlugs.push(post.slug)
  }
  return { matches: [...matches.values()], missing, takenSlugs }
}

function readPosts(trx: Transaction<Database>, ids: readonly string[]) {
  return trx
    .selectFrom('posts')
    .where(sql<boolean>`id = any(${ids}::bigint[])`)
    .select([
      ...[sql<string>`id::text`.as('id'), sql<string | null>`author_id::text`.as('author_id')],
      ...(['slug', 'url', 'title', 'excerpt', 'published_at', 'language'] as const),
      ...(['image_url', 'image_width', 'image_height', 'image_alt'] as const),
    ])
    .execute()
}

/** The columns of a post that a feed sets. `undefined`: the column stays as it is. */
function columnsOf({ post, authors }: { post: FeedPost; authors: ReadonlyMap<string, string> }) {
  const { image } = post
  return {
    url: post.url,
    title: post.title,
    excerpt: post.excerpt,
    published_at: post.publishedAt,
    author_id: authors.get(post.author ?? ''),
    language: post.language,
    image_url: image?.url,
    image_width: image && (image.width ?? null),
    image_height: image && (image.height ?? null),
    image_alt: image && (image.alt ?? ''),
  }
}

type Change = Partial<ReturnType<typeof columnsOf>> & { id: string; slug?: string }

/** The columns that differ; `undefined`: none. */
function changesOf({ post, row, isRenamed }: Match, authors: ReadonlyMap<string, string>): Change | undefined {
  const columns = columnsOf({ post, authors })
  const isSame = Object.entries(columns).every(([name, value]) => {
    const old = row[name as keyof typeof columns]
    return value === undefined || (value instanceof Date ? value.getTime() === Number(old) : value === old)
  })
  if (isSame && !isRenamed) return undefined
  return isRenamed ? { id: row.id, slug: post.slug, ...columns } : { id: row.id, ...columns }
}

async function updatePosts(trx: Transaction<Database>, changes: readonly Change[]): Promise<void> {
  for (const batch of batchesOf(changes)) {
    const json = JSON.stringify(batch)
    // Rows are locked in the order of their slugs, as in `createPosts` of logged-posts.ts.
    await sql`
      select from ${sql.table('posts')} where id in (select id from jsonb_to_recordset(${json}::jsonb) as change (id bigint))
      order by slug for update`.execute(trx)
    await sql`
      update ${sql.table('posts')} set
        slug = coalesce(change.slug, posts.slug),
        url = change.url,
        title = coalesce(change.title, posts.title),
        excerpt = coalesce(change.excerpt, posts.excerpt),
        published_at = coalesce(change.published_at, posts.published_at),
        author_id = coalesce(change.author_id, posts.author_id),
        language = coalesce(change.language, posts.language),
        image_url = coalesce(change.image_url, posts.image_url),
        image_width = case when change.image_url is null then posts.image_width else change.image_width end,
        image_height = case when change.image_url is null then posts.image_height else change.image_height end,
        image_alt = coalesce(change.image_alt, posts.image_alt)
      from jsonb_to_recordset(${json}::jsonb) as change (
        id bigint, slug text, url text, title text, excerpt text, published_at timestamptz, author_id bigint,
        language text, image_url text, image_width integer, image_height integer, image_alt text
      )
      where posts.id = change.id`.execute(trx)
  }
}

/** @returns the created posts with their ids. A post whose slug another process has just taken is not among them. */
async function insertPosts(
  trx: Transaction<Database>,
  posts: readonly FeedPost[],
  authors: ReadonlyMap<string, string>,
  nowMs: number,
): Promise<{ post: FeedPost; postId: string }[]> {
  const rows = posts.map((post, index) => ({
    slug: post.slug,
    ...columnsOf({ post, authors }),
    title: post.title ?? titleOfSlug(post.slug),
    published_at: post.publishedAt ?? post.changedAt ?? new Date(nowMs - index),
  }))
  const ids = new Map<string, string>()
  // A feed begins with its latest post: ids grow with time.
  for (const batch of batchesOf(rows.toReversed())) {
    const inserted = await sql<{ id: string; slug: string }>`
      insert into ${sql.table('posts')}
        (slug, url, title, excerpt, published_at, author_id, language, image_url, image_width, image_height, image_alt)
      select slug, url, title, coalesce(excerpt, ''), published_at, author_id, language,
        image_url, image_width, image_height, coalesce(image_alt, '')
      from jsonb_to_recordset(${JSON.stringify(batch)}::jsonb) as post (
        slug text, url text, title text, excerpt text, published_at timestamptz, author_id bigint,
        language text, image_url text, image_width integer, image_height integer, image_alt text
      )
      on conflict (slug) do nothing
      returning id::text, slug`.execute(trx)
    for (const { id, slug } of inserted.rows) ids.set(slug, id)
  }
  return posts.flatMap((post) => {
    const postId = ids.get(post.slug)
    return postId === undefined ? [] : [{ post, postId }]
  })
}

async function rememberIds(
  trx: Transaction<Database>,
  posts: readonly { post: FeedPost; postId: string }[],
): Promise<void> {
  const known = posts.filter(({ post }) => post.id !== undefined)
  await sql`
    insert into ${sql.table('feed_posts')} (id, post_id)
    select id, post_id from unnest(
      ${known.map(({ post }) => post.id)}::text[], ${known.map(({ postId }) => postId)}::bigint[]
    ) as known (id, post_id)
    on conflict (id) do nothing`.execute(trx)
}

/** @returns the ids of posts whose links have changed. */
async function linkPosts(
  trx: Transaction<Database>,
  table: LinkedTable,
  posts: readonly { post: FeedPost; postId: string }[],
): Promise<Set<string>> {
  const named = table === 'post_categories' ? 'categories' : 'tags'
  const ids = await namedRows(
    trx,
    named,
    posts.flatMap(({ post }) => post[named]),
  )
  const wanted = new Map(
    posts
      .filter(({ post }) => post[named].length > 0)
      .map(({ post, postId }) => [postId, new Set(post[named].flatMap((name) => ids.get(name) ?? []))]),
  )
  return replaceLinks(trx, table, wanted)
}

function* batchesOf<T>(items: readonly T[]): Generator<T[]> {
  for (let start = 0; start < items.length; start += BATCH) yield items.slice(start, start + BATCH)
}
