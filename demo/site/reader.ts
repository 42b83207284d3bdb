import type { Kysely } from 'kysely'
import { shortestWindow } from '../../db/narrowest-window.ts'
import type { Database } from '../../db/schema.ts'
import { latestPosts, type SiteComment, type SitePost, siteComments, sitePost } from '../../db/site-posts.ts'
import { viewsPerDay } from '../../db/views-per-day.ts'
import { demoBlog } from '../data/content.ts'
import { hasDemo, isDemoBlog } from '../data/fact.ts'
import { demoText } from '../data/paragraphs.ts'
import { keep } from './keep.ts'
import { type Days, WINDOWS } from './windows.ts'

export interface ReaderOptions {
  db: Kysely<Database>
  timeZone: string
  /** The blog has tables of its own: see `docs/adopting.md`. */
  isAdopted: boolean
  /** For how long the answers of the database are kept. */
  keptMs: number
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

export type Reader = ReturnType<typeof createReader>

export const POSTS_A_PAGE = 8
export const DAYS = 30

/** When not even the name is known. */
const UNKNOWN_BLOG: Blog = { name: 'Popular posts', tagline: 'Out of the cache.', isDemo: false, perDay: [] }

/**
 * What pages show, from the database: kept for a moment, and for as long as the database does not answer.
 * Each rejects with what the database said when there is nothing kept.
 */
export function createReader({ db, timeZone, isAdopted, keptMs }: ReaderOptions) {
  const none = () => new Array<number>(DAYS).fill(0)

  let lastBlog = UNKNOWN_BLOG
  const blog = keep({ max: 1, keptMs }, async (): Promise<Blog> => {
    const isDemo = !isAdopted && (await isDemoBlog(db))
    const perDay = (await viewsPerDay(db, { days: DAYS, timeZone })).get('all') ?? none()
    lastBlog = {
      ...(isDemo ? demoBlog : { name: 'Your blog', tagline: 'Its posts, and what is read.' }),
      isDemo,
      perDay,
    }
    return lastBlog
  })

  const latest = keep({ max: 20, keptMs }, async (page): Promise<Latest> => {
    const { posts, total } = await latestPosts(db, { limit: POSTS_A_PAGE, offset: (Number(page) - 1) * POSTS_A_PAGE })
    const postIds = posts.map(({ id }) => id)
    const perDay = await viewsPerDay(db, { days: DAYS, timeZone, postIds })
    return { posts: posts.map((post) => ({ ...post, perDay: perDay.get(post.id) ?? none() })), total }
  })

  const post = keep({ max: 500, keptMs }, async (slug): Promise<{ found: FullPost | undefined }> => {
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

  const start = keep({ max: 1, keptMs }, async (): Promise<{ days: Days | undefined }> => {
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
