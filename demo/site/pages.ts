import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { html } from 'ghtml'
import { Type } from 'typebox'
import type { PopularPost } from '../../db/ranking.ts'
import { loggedError } from '../../lib/logged-error.ts'
import { MAX_SLUG_LENGTH } from '../../lib/slug-forms.ts'
import { article, noArticle, PLACES, unknownArticle } from './article.ts'
import { home, homeWithout } from './home.ts'
import { type Frame, layout } from './layout.ts'
import type { PageData } from './page-data.ts'
import { PAGE_HEADERS } from './page-headers.ts'
import { sidebar } from './sidebar.ts'
import type { SiteStats } from './stats.ts'
import type { Days } from './windows.ts'

interface Content {
  /** Default: the blog's name. */
  title?: string
  /** HTML. */
  main: string
  /** The slug of the post on the page. */
  slug?: string
  /** The number of the page of latest posts, from 1. */
  page?: number
  /** The slug of the category of these posts. */
  category?: string | undefined
}

/** The list on a page: of the window in the address, or of the shortest window with views. */
interface Popular {
  days: Days
  /** The query string that keeps the reader's window in links to other pages. */
  query: string
  /** `undefined`: no list is available. */
  posts: PopularPost[] | undefined
  ageSeconds: number | undefined
}

interface PagesOptions {
  frame: Frame
  pageData: PageData
  timeZone: string
  /** The windows that pages show, the shortest first. */
  windows: readonly Days[]
  stats: () => Promise<SiteStats>
  /** Collects the windows that pages have shown. */
  shown: Set<Days>
}

const category = Type.Optional(Type.String({ minLength: 1, maxLength: MAX_SLUG_LENGTH, pattern: '^[^\\0]*$' }))

/** `GET /` and `GET /posts/:slug`: the HTML pages of the blog. */
const pages: FastifyPluginAsyncTypebox<PagesOptions> = async (app, options) => {
  const { frame, pageData, timeZone, windows, stats, shown } = options
  const [shortest = 30] = windows
  const days = Type.Optional(Type.Integer({ enum: [...windows] }))
  const date = dateIn(timeZone)
  const orUndefined = <T>(work: Promise<T>): Promise<T | undefined> =>
    work.catch((error: unknown) => {
      app.log.warn({ err: loggedError(error) }, 'a page is shown without a part that could not be loaded')
      return undefined
    })

  async function findPopular(asked: number | undefined): Promise<Popular> {
    const chosen = windows.find((days) => days === asked)
    const days = chosen ?? (await orUndefined(pageData.shortestWindow())) ?? shortest
    shown.add(days)
    const answer = await orUndefined(app.popularPosts.read({ days, limit: PLACES }))
    return {
      days,
      query: chosen === undefined ? '' : `?days=${chosen}`,
      posts: answer && (JSON.parse(answer.list.body.toString()) as PopularPost[]),
      ageSeconds: answer?.ageSeconds,
    }
  }

  async function send(
    reply: FastifyReply,
    popular: Popular,
    { title, main, slug, page = 1, category }: Content,
  ): Promise<FastifyReply> {
    const [known, now] = await Promise.all([orUndefined(pageData.blog()), stats()])
    const blog = known ?? pageData.lastBlog()
    const posts = withViews(popular.posts)
    const aside = sidebar({
      windows,
      ...popular,
      posts,
      stats: now,
      perDay: known?.perDay,
      slug,
      page,
      category,
      isDemo: blog.isDemo,
    })
    return reply.headers(PAGE_HEADERS).send(layout({ frame, blog, title, main, aside }))
  }

  app.get(
    '/',
    {
      schema: {
        querystring: Type.Object({ page: Type.Integer({ minimum: 1, maximum: 10_000, default: 1 }), category, days }),
      },
    },
    async ({ query: { page, category, days } }, reply) => {
      const [popular, latest] = await Promise.all([findPopular(days), orUndefined(pageData.latest(page, category))])
      const { query } = popular
      const main =
        latest === undefined
          ? homeWithout(popular.posts ?? [], { query, date })
          : home({ latest, page, category, query, date })
      return send(reply, popular, { main, page, category })
    },
  )

  app.get(
    '/posts/:slug',
    {
      schema: {
        params: Type.Object({ slug: Type.String({ minLength: 1, maxLength: MAX_SLUG_LENGTH }) }),
        querystring: Type.Object({ days }),
      },
    },
    async ({ params: { slug }, query: { days } }, reply) => {
      const [post, popular, blog] = await Promise.all([
        orUndefined(pageData.post(slug)),
        findPopular(days),
        orUndefined(pageData.blog()),
      ])
      if (post === undefined) {
        reply.code(503).header('retry-after', 5)
        return send(reply, popular, { title: 'Not right now', main: unknownArticle() })
      }
      if (post === 'none') return send(reply.code(404), popular, { title: 'No such post', main: noArticle() })
      if (post.slug !== slug) return reply.redirect(`/posts/${encodeURIComponent(post.slug)}`, 301)
      const place = popular.posts && withViews(popular.posts).findIndex((other) => other.slug === slug) + 1
      const main = article({
        post,
        place,
        days: popular.days,
        query: popular.query,
        date,
        isDemo: blog?.isDemo === true,
      })
      return send(reply, popular, { title: post.title, main, ...(post.isOwn ? { slug } : {}) })
    },
  )
}

/** Formats a day for readers, in a time zone, and as ISO 8601 for programs. */
function dateIn(timeZone: string): (date: Date) => string {
  const format = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeZone })
  return (date) => html`<time datetime="${date.toISOString()}">${format.format(date)}</time>`
}

/** Removes the posts without views, which end a list. */
function withViews(posts: PopularPost[] = []): PopularPost[] {
  return posts.filter(({ views }) => views > 0)
}

export default pages
