import { type Kysely, sql, type Transaction } from 'kysely'
import { addViews, bucketStart, type ViewBucket } from './count-views.ts'
import { canBeSlug, createPosts, findPathPosts, linkPosts } from './logged-posts.ts'
import { type FoundPost, findPostsBySlug } from './posts-by-slug.ts'
import type { Database } from './schema.ts'

/** Consecutive lines of a log. A digest covers the whole log up to a line, without line ends. */
export interface LogChunk {
  /** Digest of everything before the chunk. */
  readonly before: string
  /** The number of lines. */
  readonly lines: number
  /** The digests after the given numbers of lines of the chunk, by number. */
  digestsAt(lines: readonly number[]): ReadonlyMap<number, string>
}

/** A view found in a log. */
export interface LoggedView {
  /** The index of its line in the chunk, from 0. */
  line: number
  slug: string
  /** The requested path as a URL: the post's address on its blog. */
  url: string
  /** Milliseconds since the epoch. */
  timeMs: number
}

interface ChunkImport {
  chunk: LogChunk
  views: readonly LoggedView[]
  timeZone: string
  nowMs: number
  /** Creates posts for unknown slugs; `undefined`: they are counted as unknown. */
  createPosts?: PostCreation | undefined
}

/** How posts are created for unknown slugs. */
export interface PostCreation {
  /** Called in the transaction before the first post is created or linked. */
  before(trx: Transaction<Database>): Promise<void>
  /** The blog's address, without a trailing slash: posts get full URLs, also posts whose URL is a path of the log. */
  baseUrl?: string | undefined
}

/** What an import of a chunk did. */
export interface ChunkOutcome {
  /** Views counted by this import, by the present slug of the post. */
  counted: Map<string, number>
  /** Views that an earlier import counted. */
  countedBefore: number
  /** Views of unknown slugs. */
  unknown: number
  /** Posts created. */
  created: number
  /** Posts whose path became a full URL. */
  linked: number
}

/**
 * Counts the views of one chunk of a log, each exactly once per post, however often the log or a copy of it is
 * imported, and also if the log grew between the imports.
 *
 * One transaction creates posts, increases counters and writes the ledger, or does nothing.
 * @throws the error of PostgreSQL; nothing is counted then.
 */
export async function importChunk(db: Kysely<Database>, batch: ChunkImport): Promise<ChunkOutcome> {
  const outcome: ChunkOutcome = { counted: new Map(), countedBefore: 0, unknown: 0, created: 0, linked: 0 }
  const { chunk, views } = batch
  if (views.length === 0) return outcome
  return db.transaction().execute(async (trx) => {
    // Locked before the ledger is read: of two imports of one log, the second waits and then reads what the first
    // wrote.
    await sql`select pg_advisory_xact_lock(hashtextextended('popular-posts import-log ' || ${chunk.before}, 0))`.execute(
      trx,
    )
    const ledger = await readLedger(trx, chunk)
    const posts = await postsOfViews(trx, batch, outcome)
    const buckets = new Map<string, ViewBucket>()
    for (const { line, slug, timeMs } of views) {
      const post = posts.get(slug)
      if (post === undefined) {
        outcome.unknown++
      } else if (line < ledger.linesCounted(post.id)) {
        outcome.countedBefore++
      } else {
        outcome.counted.set(post.slug, (outcome.counted.get(post.slug) ?? 0) + 1)
        addTo(buckets, post.id, bucketStart(timeMs))
      }
    }
    if (buckets.size === 0) return outcome
    const { timeZone, nowMs } = batch
    await addViews(trx, { timeZone, nowMs, buckets: [...buckets.values()] })
    await ledger.write(new Set([...buckets.values()].map((bucket) => String(bucket.postId))))
    return outcome
  })
}

function addTo(buckets: Map<string, ViewBucket>, postId: string, bucketStartMs: number): void {
  const key = `${postId} ${bucketStartMs}`
  const bucket = buckets.get(key)
  if (bucket === undefined) buckets.set(key, { postId, bucketStartMs, views: 1 })
  else bucket.views++
}

/** The posts of the chunk's views, by the logged slug, including posts created now. */
async function postsOfViews(
  trx: Transaction<Database>,
  { views, createPosts: creation }: ChunkImport,
  outcome: ChunkOutcome,
): Promise<Map<string, FoundPost>> {
  const firstViews = new Map<string, LoggedView>()
  for (const view of views) if (!firstViews.has(view.slug)) firstViews.set(view.slug, view)
  const find = () => findPostsBySlug(trx, [...firstViews.keys()])
  const missingIn = (posts: ReadonlyMap<string, unknown>) =>
    [...firstViews.values()].filter((view) => !posts.has(view.slug) && canBeSlug(view.slug))
  const posts = await find()
  if (creation === undefined) return posts
  const { before, baseUrl } = creation
  const findPaths = async () => (baseUrl === undefined ? [] : findPathPosts(trx, views))
  if (missingIn(posts).length === 0 && (await findPaths()).length === 0) return posts
  await before(trx)
  // Read again, because `before` may have removed posts; and again, because another process may have created the same
  // posts.
  outcome.created = await createPosts(trx, missingIn(await find()), baseUrl)
  outcome.linked = await linkPosts(trx, await findPaths(), baseUrl)
  return find()
}

/**
 * Reads the ledger of a chunk. A row belongs to the chunk if the log before the chunk and the first `lines` lines are
 * the same; the row then means that these lines are counted for the posts in `post_ids`.
 */
async function readLedger(trx: Transaction<Database>, chunk: LogChunk) {
  const marks = await trx
    .selectFrom('post_views_log_chunk')
    .select(['id', 'lines', 'digest'])
    .where('before', '=', chunk.before)
    .where('lines', '<=', chunk.lines)
    .execute()
  const digests = chunk.digestsAt([...new Set([...marks.map((mark) => mark.lines), chunk.lines])])
  const ids = marks.filter((mark) => digests.get(mark.lines) === mark.digest).map((mark) => mark.id)
  const rows =
    ids.length === 0
      ? []
      : await trx.selectFrom('post_views_log_chunk').select(['lines', 'post_ids']).where('id', 'in', ids).execute()
  const counted = new Map<string, number>()
  for (const { lines, post_ids } of rows) {
    for (const postId of post_ids) counted.set(postId, Math.max(lines, counted.get(postId) ?? 0))
  }
  return {
    /** How many lines, from the first line of the chunk, are counted for this post. */
    linesCounted: (postId: string): number => counted.get(postId) ?? 0,
    /**
     * Writes that all lines of the chunk are counted for these posts. That holds for each of them: its views in the
     * lines of an earlier row were counted by the earlier import, the others by this one; and lines without a view of
     * it never have one, because the same lines always give the same views. (Another --post may find views there: they
     * are not counted, because a row promises that nothing is counted twice.) The other posts keep their number of
     * lines: later lines may have views that only the --post of their own import finds.
     */
    async write(postIds: Iterable<string>): Promise<void> {
      if (ids.length > 0) await trx.deleteFrom('post_views_log_chunk').where('id', 'in', ids).execute()
      for (const postId of postIds) counted.set(postId, chunk.lines)
      const rows = [...digests].map(([lines, digest]) => {
        const post_ids = [...counted].filter(([, countedLines]) => countedLines === lines).map(([postId]) => postId)
        return { before: chunk.before, lines, digest, post_ids }
      })
      const written = rows.filter((row) => row.post_ids.length > 0)
      await trx.insertInto('post_views_log_chunk').values(written).execute()
    },
  }
}
