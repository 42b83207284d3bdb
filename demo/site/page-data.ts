import type { Kysely } from 'kysely'
import { shortestWindow } from '../../db/narrowest-window.ts'
import { createRowGuard } from '../../db/row-guard.ts'
import type { Database } from '../../db/schema.ts'
import {
  latestPostIds,
  type SiteComment,
  type SitePost,
  siteComments,
  sitePost,
  sitePostsById,
} from '../../db/site-posts.ts'
import { viewsPerDay } from '../../db/views-per-day.ts'
import { demoBlog } from '../data/content.ts'
import { hasDemo, isDemoBlog } from '../data/demo-marker.ts'
import { demoText } from '../data/paragraphs.ts'
import { cached } from './cached.ts'
import type { Days } from './windows.ts'

/** Options of {@link createPageData}. */
export interface PageDataOptions {
  db: Kysely<Database>
  timeZone: string
  /** The windows that pages show, the shortest first. */
  windows: readonly Days[]
  /** Whether the blog has its own tables: see `docs/adopting.md`. */
  isAdopted: boolean
  /** How long results of queries are cached, in milliseconds. */
  ttlMs: number
}

/** The blog as a whole. */
export interface Blog {
  name: string
  tagline: string
  isDemo: boolean
  /** Views of all posts in each of the last 30 days. */
  perDay: number[]
}

/** A page of latest posts. */
export interface Latest {
  posts: (SitePost & { perDay: number[] })[]
  /** The number of pages. */
  pages: number
}

/** A post with its text, comments and views. */
export interface FullPost extends SitePost {
  /** Whether the service's page is the post itself; else the post is on another site. */
  isOwn: boolean
  text: string[]
  comments: SiteComment[]
  perDay: number[]
}

/** See {@link createPageData}. */
export type PageData = ReturnType<typeof createPageData>

/** The number of posts on a page of latest posts. */
export const POSTS_A_PAGE = 8
/** The posts that pages of latest posts reach. Older ones are found by their slugs. */
const MAX_LISTED = 10_000
/** The number of days in charts. */
export const DAYS = 30

/** Shown until the first query succeeds. */
const UNKNOWN_BLOG: Blog = { name: 'Popular posts', tagline: 'From the cache.', isDemo: false, perDay: [] }

/**
 * Loads the data of pages from the database. Results are cached for `ttlMs`, and longer while the database does not
 * answer. Each method rejects with the error of the database if it has no cached result.
 */
export function createPageData({ db, timeZone, windows, isAdopted, ttlMs }: PageDataOptions) {
  const none = new Array<number>(DAYS).fill(0)
  // Lists read the same rows, and log those that cannot be read.
  const read = createRowGuard({ warn: Boolean })

  let lastBlog = UNKNOWN_BLOG
  const blog = cached({ max: 1, ttlMs: ttlMs }, async (): Promise<Blog> => {
    const isDemo = !isAdopted && (await isDemoBlog(db))
    const perDay = (await viewsPerDay(db, { days: DAYS, timeZone })).get('all') ?? none
    lastBlog = {
      ...(isDemo ? demoBlog : { name: 'Your blog', tagline: 'Its posts, and what is read.' }),
      isDemo,
      perDay,
    }
    return lastBlog
  })

  // The order of all posts is loaded once for all pages, so a page costs the same whatever its number is.
  const order = cached({ max: 20, ttlMs: ttlMs }, async (category): Promise<string[]> => {
    return read(db, (blog) => latestPostIds(blog, { category: category || undefined, limit: MAX_LISTED }))
  })

  const latest = cached({ max: 100, ttlMs: ttlMs }, async (key): Promise<Latest> => {
    const { page, category } = JSON.parse(key) as { page: number; category: string }
    const ids = await order(category)
    const postIds = ids.slice((page - 1) * POSTS_A_PAGE, page * POSTS_A_PAGE)
    const posts = await read(db, (blog) => sitePostsById(blog, postIds))
    const perDay = await viewsPerDay(db, { days: DAYS, timeZone, postIds })
    return {
      posts: posts.map((post) => ({ ...post, perDay: perDay.get(post.id) ?? none })),
      pages: Math.ceil(ids.length / POSTS_A_PAGE),
    }
  })

  const post = cached({ max: 500, ttlMs: ttlMs }, async (slug): Promise<{ found: FullPost | undefined }> => {
    const found = await read(db, (blog) => sitePost(blog, slug))
    if (found === undefined) return { found }
    const [comments, perDay] = await Promise.all([
      isAdopted ? [] : siteComments(db, found.id),
      viewsPerDay(db, { days: DAYS, timeZone, postIds: [found.id] }),
    ])
    const isOwn = !isAdopted && found.url === `/posts/${found.slug}`
    const text = !isAdopted && (await hasDemo(db)) ? demoText(found.slug) : []
    return { found: { ...found, isOwn, text, comments, perDay: perDay.get(found.id) ?? none } }
  })

  const start = cached({ max: 1, ttlMs: ttlMs }, async (): Promise<{ days: Days | undefined }> => {
    return { days: await read(db, (blog) => shortestWindow(blog, { windows, timeZone })) }
  })

  return {
    blog: () => blog('blog'),
    /** The last result of `blog`; never rejects. */
    lastBlog: () => lastBlog,
    /** A page of latest posts, from 1: of all, or of those in a category. */
    latest: (page: number, category = '') => latest(JSON.stringify({ page, category })),
    /** The shortest window with a view; `undefined`: there is none. */
    shortestWindow: async () => (await start('start')).days,
    /** The live post with a slug, or with an earlier slug; `none`: there is none. */
    post: async (slug: string) => (await post(slug)).found ?? 'none',
  }
}
