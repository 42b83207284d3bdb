import { sql, type Transaction } from 'kysely'
import { type AppliedImport, applyImport } from './apply-counts.ts'
import { lockSource, noonOf } from './count-ledger.ts'
import { MAX_COUNT, MAX_VIEWS } from './count-views.ts'
import type { PostCreation } from './log-imports.ts'
import { canBeSlug, createPosts } from './logged-posts.ts'
import { type FoundPost, findPostsBySlug } from './posts-by-slug.ts'
import type { Database } from './schema.ts'

/** Views of a post on a day, or of all time, in an export. */
export interface ExportedCount {
  /** The slug, the id as text, or an id of another system, which is in no database. */
  post: { slug: string } | { id: string } | { foreignId: string }
  /** The address of a post that is created, without the site. */
  url: string
  /** `YYYY-MM-DD` in the site's time zone; `undefined`: the total of all time. */
  day: string | undefined
  /** When the views were, in milliseconds since the epoch; `undefined`: some time on the day. */
  timeMs: number | undefined
  views: bigint
  /** The heat of a total. */
  heat: number | undefined
}

/** What an import does with its export. */
export interface CountImport {
  source: string
  /** The site's IANA time zone. */
  timeZone: string
  nowMs: number
  createPosts?: PostCreation | undefined
}

/** An import in its transaction. */
export interface OpenCountImport {
  readonly id: string
  /** @returns the counts of posts that do not exist. */
  add(counts: readonly ExportedCount[]): Promise<ExportedCount[]>
  /** Counts what was added. To be called once, at last. */
  apply(): Promise<AppliedImport>
  /** The number of posts that were created. */
  readonly created: number
}

/** How long `days=1` reads back: views of that time keep their hour. */
const HOURS_READ = 25
const TOTAL = '-infinity'

/** A row for the ledger, in which `hour` may be any time in it. */
interface StagedRow {
  post_id: string
  day: string
  hour: string | null
  views: bigint
  heat: number | null
}

/**
 * Begins the import of an export of a source. Imports of one source wait for each other.
 * @param trx counts everything or nothing.
 */
export async function beginCountImport(
  trx: Transaction<Database>,
  { source, timeZone, nowMs, createPosts: creation }: CountImport,
): Promise<OpenCountImport> {
  await lockSource(trx, source)
  const { id } = await trx
    .insertInto('post_views_import')
    .values({ source })
    .returning(sql<string>`id::text`.as('id'))
    .executeTakeFirstOrThrow()
  const firstDays = new Map<string, string>()
  let created = 0
  let isPrepared = false

  async function find(counts: readonly ExportedCount[]): Promise<(count: ExportedCount) => FoundPost | undefined> {
    const slugs = new Set(counts.flatMap(({ post }) => ('slug' in post ? post.slug : [])))
    const ids = new Set(counts.flatMap(({ post }) => ('id' in post ? post.id : [])))
    const bySlug = await findPostsBySlug(trx, [...slugs])
    const byId = ids.size === 0 ? new Map<string, FoundPost>() : await findPostsById(trx, [...ids])
    return ({ post }) => ('slug' in post ? bySlug.get(post.slug) : 'id' in post ? byId.get(post.id) : undefined)
  }

  /** Creates the posts of slugs that no post has. */
  async function create(counts: readonly ExportedCount[], { before, baseUrl }: PostCreation): Promise<void> {
    const missing = new Map<string, { slug: string; url: string; timeMs: number }>()
    for (const { post, url, day } of counts) {
      if (!('slug' in post) || !canBeSlug(post.slug)) continue
      const timeMs = day === undefined ? nowMs : Date.parse(day)
      const found = missing.get(post.slug)
      if (found === undefined || timeMs < found.timeMs) missing.set(post.slug, { slug: post.slug, url, timeMs })
    }
    if (missing.size === 0) return
    if (!isPrepared) await before(trx)
    isPrepared = true
    created += await createPosts(trx, [...missing.values()], baseUrl)
    for (const { slug, timeMs } of missing.values()) firstDays.set(slug, new Date(timeMs).toISOString())
  }

  return {
    id,
    get created() {
      return created
    },
    async add(counts) {
      let postOf = await find(counts)
      const missing = counts.filter((count) => postOf(count) === undefined)
      if (creation !== undefined && missing.length > 0) {
        await create(missing, creation)
        postOf = await find(counts)
      }
      const rows = new Map<string, StagedRow>()
      for (const count of counts) {
        const post = postOf(count)
        if (post === undefined) continue
        const { day = TOTAL, timeMs, views, heat } = count
        const first = firstDays.get(post.slug)
        if (first !== undefined && day !== TOTAL && day < first) firstDays.set(post.slug, day)
        const hour = timeMs === undefined ? null : hourOf(timeMs, nowMs)
        const key = `${post.id} ${day} ${hour}`
        const row = rows.get(key)
        if (row === undefined) rows.set(key, { post_id: post.id, day, hour, views, heat: heat ?? null })
        else row.views = row.views + views > MAX_COUNT ? MAX_COUNT : row.views + views
      }
      await stage(trx, id, [...rows.values()], { timeZone, nowMs })
      return counts.filter((count) => postOf(count) === undefined)
    },
    async apply() {
      if (firstDays.size > 0) await publishBefore(trx, firstDays)
      return applyImport(trx, { id, source, timeZone, nowMs })
    },
  }
}

/** The ids are compared as text: an id of another type names no post, and fails no statement. */
async function findPostsById(trx: Transaction<Database>, ids: readonly string[]): Promise<Map<string, FoundPost>> {
  const posts = await trx
    .selectFrom('posts')
    .where(sql<boolean>`posts.id::text = any(${ids}::text[]) and posts.slug is not null`)
    .select([sql<string>`posts.id::text`.as('id'), 'posts.slug'])
    .execute()
  return new Map(posts.map((post) => [post.id, post]))
}

/** A post is not younger than its first views. */
async function publishBefore(trx: Transaction<Database>, firstDays: ReadonlyMap<string, string>): Promise<void> {
  await sql`
    update ${sql.table('posts')} set published_at = first.day::timestamptz
    from unnest(${[...firstDays.keys()]}::text[], ${[...firstDays.values()]}::text[]) as first (slug, day)
    where posts.slug = first.slug and posts.published_at > first.day::timestamptz`.execute(trx)
}

/** The time of views of about the last day. Of older views only the day is of use. */
function hourOf(timeMs: number, nowMs: number): string {
  return nowMs - timeMs < HOURS_READ * 3_600_000 ? new Date(Math.min(timeMs, nowMs)).toISOString() : '-infinity'
}

/** Adds rows to the ledger. Views of about the last day without an hour get that of noon, or the present one. */
async function stage(
  trx: Transaction<Database>,
  id: string,
  rows: readonly StagedRow[],
  { timeZone, nowMs }: { timeZone: string; nowMs: number },
): Promise<void> {
  const now = sql`least(${new Date(nowMs)}::timestamptz, now())`
  const noon = noonOf('r', timeZone)
  const json = JSON.stringify(rows, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
  const table = sql.table('post_views_import_count')
  await sql`
    insert into ${table} as kept (import_id, day, post_id, hour, views, heat)
    select ${id}::bigint, r.day, r.post_id, case
      when r.hour is not null then date_trunc('hour', r.hour, 'UTC')
      when ${noon} >= ${now} - ${HOURS_READ} * interval '1 hour' then date_trunc('hour', least(${noon}, ${now}), 'UTC')
      else '-infinity' end, least(sum(r.views), ${MAX_VIEWS}), max(r.heat)
    from json_populate_recordset(null::${table}, ${json}::json) as r
    group by 2, 3, 4 order by 2, 3, 4
    on conflict (import_id, day, post_id, hour)
    do update set views = least(kept.views::numeric + excluded.views, ${MAX_VIEWS}), heat = greatest(kept.heat, excluded.heat)`.execute(
    trx,
  )
}
