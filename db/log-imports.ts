import { type Kysely, sql, type Transaction } from 'kysely'
import { addViews, bucketStart, type ViewBucket } from './count-views.ts'
import {
  type Chain,
  isKnownVisit,
  judgeChange,
  type KnownVisit,
  lockLedger,
  type NewVisit,
  readKeys,
  writeChains,
} from './log-ledger.ts'
import { canBeSlug, createPosts, findPathPosts, linkPosts } from './logged-posts.ts'
import { type FoundPost, findPostsBySlug } from './posts-by-slug.ts'
import type { Database } from './schema.ts'
import { removeViews } from './uncount-views.ts'

/** A visit found in a log: a request of a reader for a post. */
export interface LoggedVisit {
  slug: string
  /** The requested path as a URL: the post's address on its blog. */
  url: string
  /** Names the reader, the same in every log. */
  visitor: string
  /** Milliseconds since the epoch. */
  timeMs: number
}

/** How views are counted. */
export interface Counting {
  timeZone: string
  nowMs: number
  /** How long after a view of a visitor further visits are repeats. */
  dedupSeconds: number
}

/** One import of one log. */
export interface LogImport {
  /** The id in the database; `undefined`: it has brought no new visit yet. */
  id: string | undefined
  /** The name of the log, for people. */
  readonly source: string
  /** The imports that had visits of this one before. */
  readonly overlaps: Set<string>
}

interface ChunkImport extends Counting {
  visits: readonly LoggedVisit[]
  logImport: LogImport
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
  /** Visits that were views in an earlier import. */
  countedBefore: number
  /** Visits that are no views, because the visitor had viewed the post. */
  repeats: number
  /** Views of unknown slugs. */
  unknown: number
  /** Posts created. */
  created: number
  /** Posts whose path became a full URL. */
  linked: number
}

/** An outcome of nothing. */
export function noOutcome(): ChunkOutcome {
  return { counted: new Map(), countedBefore: 0, repeats: 0, unknown: 0, created: 0, linked: 0 }
}

/**
 * Counts the visits of one chunk of a log, each exactly once for its post, whatever parts and copies of logs were
 * imported before, in any order.
 *
 * One transaction creates posts, changes counters and writes the ledger, or does nothing.
 * @param db a transaction: the caller rolls it back, and no counter changes.
 * @throws the error of PostgreSQL; nothing is counted then.
 */
export async function importChunk(db: Kysely<Database>, batch: ChunkImport): Promise<ChunkOutcome> {
  const { visits, logImport } = batch
  if (visits.length === 0) return noOutcome()
  if (db.isTransaction) return (await countChunk(db as Transaction<Database>, batch)).outcome
  const { outcome, id } = await db.transaction().execute(async (trx) => {
    await lockLedger(trx)
    const done = await countChunk(trx, batch)
    await applyChanges(trx, batch, done.changes)
    return done
  })
  // Not before the commit: an id of a transaction that failed does not exist.
  logImport.id = id
  return outcome
}

/** Does everything but to change the counters. */
async function countChunk(
  trx: Transaction<Database>,
  batch: ChunkImport,
): Promise<{ outcome: ChunkOutcome; changes: Iterable<ViewBucket>; id: string | undefined }> {
  const { visits, logImport, dedupSeconds } = batch
  const windowMs = dedupSeconds * 1000
  const outcome = noOutcome()
  const posts = await postsOfVisits(trx, batch, outcome)
  const unknown = visits.filter(({ slug }) => !posts.has(slug))
  outcome.unknown = countViews(unknown, windowMs)
  outcome.repeats = unknown.length - outcome.unknown
  const keyOf = await readKeys(trx)
  const added = visits.flatMap(({ slug, visitor, timeMs }): NewVisit[] => {
    const post = posts.get(slug)
    return post === undefined ? [] : [{ key: keyOf(post.id, visitor), postId: post.id, timeMs }]
  })
  const chains = await judgeChange(trx, { added, removed: [], removedRows: new Set(), windowMs })
  const overlaps = countBefore(added, chains, logImport.id, outcome)
  const changes = changesOf(chains)
  const slugs = new Map([...posts.values()].map(({ id, slug }) => [id, slug]))
  let counted = 0
  for (const { postId, views } of changes) {
    counted += views
    const slug = slugs.get(String(postId)) as string
    outcome.counted.set(slug, (outcome.counted.get(slug) ?? 0) + views)
  }
  outcome.repeats += added.length - outcome.countedBefore - counted
  for (const id of overlaps) logImport.overlaps.add(id)
  const hasNew = [...chains.values()].some(({ visits }) => !visits.every(isKnownVisit))
  const id = logImport.id ?? (hasNew ? await startImport(trx, logImport.source) : undefined)
  if (id === undefined) return { outcome, changes, id }
  await writeChains(trx, chains, id)
  if (overlaps.size > 0 || id !== logImport.id) {
    await sql`
      update ${sql.table('post_views_log_import')} set known_from = ${[...logImport.overlaps]}::bigint[]
      where id = ${id}`.execute(trx)
  }
  return { outcome, changes, id }
}

async function startImport(trx: Transaction<Database>, source: string): Promise<string> {
  const { id } = await trx
    .insertInto('post_views_log_import')
    .values({ source })
    .returning('id')
    .executeTakeFirstOrThrow()
  return String(id)
}

/** How many of these visits are views. */
function countViews(visits: readonly LoggedVisit[], windowMs: number): number {
  const lastMs = new Map<string, number>()
  let views = 0
  for (const { slug, visitor, timeMs } of [...visits].sort((a, b) => a.timeMs - b.timeMs)) {
    const key = `${slug.length} ${slug}${visitor}`
    if (timeMs - (lastMs.get(key) ?? Number.NEGATIVE_INFINITY) < windowMs) continue
    lastMs.set(key, timeMs)
    views++
  }
  return views
}

/** Counts the visits that were views in another import; returns the imports that had any of these visits. */
function countBefore(
  added: readonly NewVisit[],
  chains: ReadonlyMap<number, Chain>,
  importId: string | undefined,
  outcome: ChunkOutcome,
): Set<string> {
  const overlaps = new Set<string>()
  const known = new Map<string, KnownVisit>()
  for (const [key, { visits }] of chains) {
    for (const visit of visits) if (isKnownVisit(visit)) known.set(`${key} ${visit.timeMs}`, visit)
  }
  for (const { key, timeMs } of added) {
    const visit = known.get(`${key} ${timeMs}`)
    if (visit === undefined || visit.importId === importId) continue
    overlaps.add(visit.importId)
    if (visit.wasCounted) outcome.countedBefore++
  }
  return overlaps
}

/** The views that counters get, and below 0 those that they lose. */
export function changesOf(chains: ReadonlyMap<number, Chain>): ViewBucket[] {
  const buckets = new Map<string, ViewBucket>()
  for (const { postId, visits } of chains.values()) {
    for (const { timeMs, isCounted, wasCounted = false } of visits) {
      if (isCounted === wasCounted) continue
      const bucketStartMs = bucketStart(timeMs)
      const key = `${postId} ${bucketStartMs}`
      const bucket = buckets.get(key) ?? { postId, bucketStartMs, views: 0 }
      buckets.set(key, bucket)
      bucket.views += isCounted ? 1 : -1
    }
  }
  return [...buckets.values()].filter(({ views }) => views !== 0)
}

/** Adds views to counters, and takes them from counters. */
export async function applyChanges(
  trx: Transaction<Database>,
  { timeZone, nowMs }: Pick<Counting, 'timeZone' | 'nowMs'>,
  changes: Iterable<ViewBucket>,
): Promise<void> {
  const added = [...changes].filter(({ views }) => views > 0)
  const removed = [...changes].filter(({ views }) => views < 0).map((bucket) => ({ ...bucket, views: -bucket.views }))
  if (added.length > 0) await addViews(trx, { timeZone, nowMs, buckets: added })
  if (removed.length > 0) await removeViews(trx, { timeZone, buckets: removed })
}

/** The posts of the chunk's visits, by the logged slug, including posts created now. */
async function postsOfVisits(
  trx: Transaction<Database>,
  { visits, createPosts: creation }: ChunkImport,
  outcome: ChunkOutcome,
): Promise<Map<string, FoundPost>> {
  const firstVisits = new Map<string, LoggedVisit>()
  for (const visit of visits) {
    const first = firstVisits.get(visit.slug)
    if (first === undefined || visit.timeMs < first.timeMs) firstVisits.set(visit.slug, visit)
  }
  const find = () => findPostsBySlug(trx, [...firstVisits.keys()])
  const missingIn = (posts: ReadonlyMap<string, unknown>) =>
    [...firstVisits.values()].filter((visit) => !posts.has(visit.slug) && canBeSlug(visit.slug))
  const posts = await find()
  if (creation === undefined) return posts
  const { before, baseUrl } = creation
  const findPaths = async () => (baseUrl === undefined ? [] : findPathPosts(trx, visits))
  if (missingIn(posts).length === 0 && (await findPaths()).length === 0) return posts
  await before(trx)
  // Read again, because `before` may have removed posts; and again, because another process may have created the same
  // posts.
  outcome.created = await createPosts(trx, missingIn(await find()), baseUrl)
  outcome.linked = await linkPosts(trx, await findPaths(), baseUrl)
  return find()
}

/**
 * The time, in milliseconds since the epoch, until which an earlier version of this package imported logs: its ledger
 * had digests of chunks, which say nothing of visits. `undefined`: it imported none.
 */
export async function readLegacyEnd(db: Kysely<Database>): Promise<number | undefined> {
  const { at } = await db
    .selectFrom('post_views_log_chunk')
    .select(({ fn }) => fn.max('imported_at').as('at'))
    .executeTakeFirstOrThrow()
  return at === null ? undefined : new Date(at).getTime()
}

/**
 * The hour of the last visit up to the present that imports of this source have, in milliseconds since the epoch;
 * `undefined`: there is no such visit. A line with a wrong date may be in the future.
 */
export async function readLastHour(db: Kysely<Database>, source: string, nowMs: number): Promise<number | undefined> {
  const { hour } = await db
    .selectFrom('post_views_log_import as import')
    .innerJoin('post_views_log_visits as visits', 'visits.import_id', 'import.id')
    .where('source', '=', source)
    .where('hour', '<=', Math.floor(nowMs / 3_600_000))
    .select(({ fn }) => fn.max('hour').as('hour'))
    .executeTakeFirstOrThrow()
  return hour === null ? undefined : hour * 3_600_000
}

/** Does some work in a transaction, and rolls it back. */
export async function rehearse<T>(db: Kysely<Database>, work: (trx: Transaction<Database>) => Promise<T>): Promise<T> {
  const trx = await db.startTransaction().execute()
  try {
    return await work(trx)
  } finally {
    await trx.rollback().execute()
  }
}
