import { type Kysely, sql, type Transaction } from 'kysely'
import { addViews, bucketStart, type ViewBucket } from './count-views.ts'
import { canBeSlug, createPosts, findPathPosts, findPosts, linkPosts } from './logged-posts.ts'
import type { Database } from './schema.ts'

/** A stretch of lines of a log. Digests are running ones: of the whole log up to a line, line ends aside. */
export interface LogChunk {
  /** Digest of everything before the chunk. */
  readonly before: string
  /** How many lines it has. */
  readonly lines: number
  /** The digests after so many lines of the chunk. */
  digestsAt(lines: readonly number[]): ReadonlyMap<number, string>
}

/** A view that a log tells of. */
export interface LoggedView {
  /** Where in its chunk, from 0. */
  line: number
  slug: string
  /** The path that was asked for, as a URL: the post's address on its blog. */
  url: string
  /** Milliseconds since the epoch. */
  timeMs: number
}

interface ChunkImport {
  chunk: LogChunk
  views: readonly LoggedView[]
  timeZone: string
  nowMs: number
  /** Makes posts of slugs that are none. */
  createPosts?: PostCreation | undefined
}

export interface PostCreation {
  /** Called in the transaction, when there is a post to make or to link. */
  before(trx: Transaction<Database>): Promise<void>
  /** The blog's address, without a slash at its end: posts get whole URLs, also those that have just a path of the log. */
  baseUrl?: string | undefined
}

export interface ChunkOutcome {
  /** Views counted now, per slug. */
  counted: Map<string, number>
  /** Views that an import before this one counted. */
  countedBefore: number
  /** Views of slugs that are no posts. */
  unknown: number
  /** Posts made. */
  created: number
  /** Posts whose path has become a whole URL. */
  linked: number
}

/**
 * Counts the views of one chunk of a log, each exactly once per post, however often and in how many copies the log is
 * imported, and however far it has grown in between.
 *
 * One transaction: posts are made, counters grow and the ledger says so, or nothing happens.
 * @throws what PostgreSQL answered; nothing is counted then.
 */
export async function importChunk(db: Kysely<Database>, batch: ChunkImport): Promise<ChunkOutcome> {
  const outcome: ChunkOutcome = { counted: new Map(), countedBefore: 0, unknown: 0, created: 0, linked: 0 }
  const { chunk, views } = batch
  if (views.length === 0) return outcome
  return db.transaction().execute(async (trx) => {
    // Taken before the ledger is read: of two imports of one log the second one waits, then sees what the first one wrote.
    await sql`select pg_advisory_xact_lock(hashtextextended('popular-posts import-log ' || ${chunk.before}, 0))`.execute(
      trx,
    )
    const ledger = await readLedger(trx, chunk)
    const posts = await postsOfViews(trx, batch, outcome)
    const buckets = new Map<string, ViewBucket>()
    for (const { line, slug, timeMs } of views) {
      const postId = posts.get(slug)
      if (postId === undefined) {
        outcome.unknown++
      } else if (line < ledger.linesCounted(postId)) {
        outcome.countedBefore++
      } else {
        outcome.counted.set(slug, (outcome.counted.get(slug) ?? 0) + 1)
        addTo(buckets, postId, bucketStart(timeMs))
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

/** The posts of the chunk's views, by slug; those made now among them. */
async function postsOfViews(
  trx: Transaction<Database>,
  { views, createPosts: creation }: ChunkImport,
  outcome: ChunkOutcome,
): Promise<Map<string, string>> {
  const firstViews = new Map<string, LoggedView>()
  for (const view of views) if (!firstViews.has(view.slug)) firstViews.set(view.slug, view)
  const find = () => findPosts(trx, [...firstViews.keys()])
  const missingIn = (posts: ReadonlyMap<string, string>) =>
    [...firstViews.values()].filter((view) => !posts.has(view.slug) && canBeSlug(view.slug))
  const posts = await find()
  if (creation === undefined) return posts
  const { before, baseUrl } = creation
  const findPaths = async () => (baseUrl === undefined ? [] : findPathPosts(trx, views))
  if (missingIn(posts).length === 0 && (await findPaths()).length === 0) return posts
  await before(trx)
  // Looked up again, because `before` may have removed posts; and again, as another process may have made the same ones.
  outcome.created = await createPosts(trx, missingIn(await find()), baseUrl)
  outcome.linked = await linkPosts(trx, await findPaths(), baseUrl)
  return find()
}

/**
 * What the ledger says about a chunk. A row is about this chunk when the log before it is the same and so are the first
 * `lines` lines; the row then says that these lines have been counted for the posts in `post_ids`.
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
    /** The first so many lines of the chunk have been counted for this post. */
    linesCounted: (postId: string): number => counted.get(postId) ?? 0,
    /**
     * Notes that all lines of the chunk have been counted for these posts. That is true of each of them: its views in the
     * lines that a row covered were counted then, the others now; and where it had no view it will never have one, for
     * the same lines always give the same views. (Another --post may find some: they are left out, as a row promises that
     * nothing is counted twice.) The other posts stay at the lines that they were counted for: they may have views in
     * the lines since that only the --post they were counted with can see.
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
