import type { Kysely } from 'kysely'
import { sql } from 'kysely'
import { compilePostPattern } from '../../bin/import-log/slug.ts'
import type { Database } from '../../db/schema.ts'

/** A request in a log. */
export interface Hit {
  /** Seconds since {@link LOG_BEGINS}. */
  second: number
  visitor?: number
  target: string
  status?: number
  agent?: string
}

export const LOG_BEGINS = Date.UTC(2015, 4, 17, 22)
export const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'
/** The path of a post in these tests is `/blog/<slug>`. */
export const POST = compilePostPattern('^/blog/(?<slug>[^/]+)$')

export function logLine({ second, visitor = 1, target, status = 200, agent = FIREFOX }: Hit): string {
  const [weekday, date, month, year, time] = new Date(LOG_BEGINS + second * 1000).toUTCString().split(' ')
  if (weekday === undefined) throw new Error('unreachable')
  return `10.0.0.${visitor} - - [${date}/${month}/${year}:${time} +0000] "GET ${target} HTTP/1.1" ${status} 1 "-" "${agent}"`
}

export function logOf(hits: readonly Hit[]): string {
  return hits.map((hit) => `${logLine(hit)}\n`).join('')
}

/** The views of each `slug day`, computed by comparing each hit with all earlier hits. */
export function bruteForce(
  hits: readonly Hit[],
  { timeZone = 'UTC', slugs }: { timeZone?: string; slugs?: string[] } = {},
) {
  const day = new Intl.DateTimeFormat('en-CA', { timeZone, dateStyle: 'short' })
  const views: Hit[] = []
  for (const hit of hits) {
    if (!hit.target.startsWith('/blog/') || hit.status === 404 || hit.agent === 'Googlebot') continue
    const isRepeat = views.some(
      (view) => view.target === hit.target && view.visitor === hit.visitor && hit.second - view.second < 900,
    )
    if (!isRepeat) views.push(hit)
  }
  const counts: Record<string, number> = {}
  for (const { target, second } of views) {
    const slug = target.slice('/blog/'.length)
    if (slugs !== undefined && !slugs.includes(slug)) continue
    const key = `${slug} ${day.format(LOG_BEGINS + second * 1000)}`
    counts[key] = (counts[key] ?? 0) + 1
  }
  return counts
}

/** The views in the database, in the shape of {@link bruteForce}. */
export async function readDailyViews(db: Kysely<Database>): Promise<Record<string, number>> {
  const { rows } = await sql<{ key: string; views: string }>`
    select slug || ' ' || day as key, views from post_views_daily join posts on posts.id = post_id`.execute(db)
  return Object.fromEntries(rows.map(({ key, views }) => [key, Number(views)]))
}

/** The total views of each post by slug, most viewed first. */
export async function readTotals(db: Kysely<Database>): Promise<Record<string, number>> {
  const { rows } = await sql<{ slug: string; views: string }>`
    select slug, views from post_views_total join posts on posts.id = post_id order by views desc, slug`.execute(db)
  return Object.fromEntries(rows.map(({ slug, views }) => [slug, Number(views)]))
}

export async function addPosts(db: Kysely<Database>, ...slugs: string[]): Promise<void> {
  const posts = slugs.map((slug) => ({
    slug,
    title: slug.toUpperCase(),
    url: `/blog/${slug}`,
    published_at: new Date(0),
  }))
  await db.insertInto('posts').values(posts).execute()
}
