import type { Kysely } from 'kysely'
import type { Database } from '../../db/schema.ts'
import { shortestWindow } from '../../db/shortest-window.ts'
import { latestPosts, type SiteComment, type SitePost, siteComments, sitePost } from '../../db/site-posts.ts'
import { viewsPerDay } from '../../db/views-per-day.ts'
import { demoBlog } from '../data/content.ts'
import { hasDemo, isDemoBlog } from '../data/demo-marker.ts'
import { demoText } from '../data/paragraphs.ts'
import { cached } from './cached.ts'
import { type Days, WINDOWS } from './windows.ts'

export interface PageDataOptions {
  db: Kysely<Database>
  timeZone: string
  /** The blog has tables of its own: see `docs/adopting.md`. */
  isAdopted: boolean
  /** For how long the answers of the database are kept. */
  ttlMs: number
}

export interface Blog {
  name: string
  tagline: string
  isDemo: boolean
  /** Views of all posts in each of the last 30 days. */
  perDay: number[]
}

export interface Latest {
  posts: (SitePost & { perDay: number[] })[]
  total: number
}

export interface FullPost extends SitePost {
  /** The service's page of it is the post itself; of others it only tells. */
  isOwn: boolean
  text: string[]
  comments: SiteComment[]
  perDay: number[]
}

export type PageData = ReturnType<typeof createPageData>

export const POSTS_A_PAGE = 8
export const DAYS = 30

/** When not even the name is known. */
const UNKNOWN_BLOG: Blog = { name: 'Popular posts', tagline: 'Out of the cache.', isDemo: false, perDay: [] }

/**
 * What pages show, from the database: kept for a moment, and for as long as the database does not answer.
 * Each rejects with what the database said when there is nothing kept.
 */
export function createPageData({ db, timeZone, isAdopted, ttlMs }: PageDataOptions) {
  const none = () => new Array<number>(DAYS).fill(0)

  let lastBlog = UNKNOWN_BLOG
  const blog = cached({ max: 1, ttlMs: ttlMs }, async (): Promise<Blog> => {
    const isDemo = !isAdopted && (await isDemoBlog(db))
    const perDay = (await viewsPerDay(db, { days: DAYS, timeZone })).get('all') ?? none()
    lastBlog = {
      ...(isDemo ? demoBlog : { name: 'Your blog', tagline: 'Its posts, and what is read.' }),
      isDemo,
      perDay,
    }
    return lastBlog
  })

  const latest = cached({ max: 20, ttlMs: ttlMs }, async (page): Promise<Latest> => {
    const { posts, total } = await latestPosts(db, { limit: POSTS_A_PAGE, offset: (Number(page) - 1) * POSTS_A_PAGE })
    const postIds = posts.map(({ id }) => id)
    const perDay = await viewsPerDay(db, { days: DAYS, timeZone, postIds })
    return { posts: posts.map((post) => ({ ...post, perDay: perDay.get(post.id) ?? none() })), total }
  })

  const post = cached({ max: 500, ttlMs: ttlMs }, async (slug): Promise<{ found: FullPost | undefined }> => {
    const found = await sitePost(db, slug)
    if (found === undefined) return { found }
    const [comments, perDay] = await Promise.all([
      isAdopted ? [] : siteComments(db, found.id),
      viewsPerDay(db, { days: DAYS, timeZone, postIds: [found.id] }),
    ])
    const isOwn = !isAdopted && found.url === `/posts/${slug}`
    const text = !isAdopted && (await hasDemo(db)) ? demoText(slug) : []
    return { found: { ...found, isOwn, text, comments, perDay: perDay.get(found.id) ?? none() } }
  })

  const start = cached({ max: 1, ttlMs: ttlMs }, async (): Promise<{ days: Days | undefined }> => {
    return { days: await shortestWindow(db, { windows: WINDOWS, timeZone }) }
  })

  return {
    blog: () => blog('blog'),
    /** As it was when the database answered last. */
    lastBlog: () => lastBlog,
    /** The latest posts; the first page is 1. */
    latest: (page: number) => latest(String(page)),
    /** The shortest window in which a post was read; `undefined`: no post was. */
    shortestWindow: async () => (await start('start')).days,
    /** A live post. */
    post: async (slug: string) => (await post(slug)).found ?? 'none',
  }
}
