import helmet from '@fastify/helmet'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { codeOf } from '../db/startup-error.ts'
import { article, noArticle, PLACES, unknownArticle } from './article.ts'
import type { Assets } from './assets.ts'
import { dateIn } from './date.ts'
import { home, homeWithout } from './home.ts'
import { layout } from './layout.ts'
import { LIST, sidebar } from './panel.ts'
import type { Blog, Reader } from './reader.ts'
import type { SiteStats } from './stats.ts'

interface Content {
  /** Default: the blog's name. */
  title?: string
  /** HTML. */
  main: string
  /** The post that the page is of. */
  slug?: string
}

interface PagesOptions {
  assets: Assets
  reader: Reader
  timeZone: string
  stats: () => Promise<SiteStats>
}

/** Nothing but what we serve ourselves runs, is styled by, or is asked for. */
const POLICY = {
  useDefaults: false,
  directives: {
    'default-src': ["'none'"],
    'script-src': ["'self'"],
    'style-src': ["'self'"],
    'img-src': ["'self'"],
    'connect-src': ["'self'"],
    'base-uri': ["'none'"],
    'form-action': ["'none'"],
    'frame-ancestors': ["'none'"],
  },
}

/** When not even the name is known. */
const UNKNOWN_BLOG: Blog = { name: 'Popular posts', tagline: 'Out of the cache.', isDemo: false, perDay: [] }

/** `GET /` and `GET /posts/:slug`: the blog, for people. */
const pages: FastifyPluginAsyncTypebox<PagesOptions> = async (app, { assets, reader, timeZone, stats }) => {
  // Whether there is TLS is for whoever stands in front to say.
  await app.register(helmet, {
    contentSecurityPolicy: POLICY,
    frameguard: { action: 'deny' },
    strictTransportSecurity: false,
  })
  const date = dateIn(timeZone)
  const orNothing = <T>(work: Promise<T>): Promise<T | undefined> =>
    work.catch((error: unknown) => {
      app.log.warn({ code: codeOf(error) }, 'a page goes without what the database did not tell')
      return undefined
    })

  async function send(reply: FastifyReply, { title, main, slug }: Content): Promise<FastifyReply> {
    const [known, now] = await Promise.all([orNothing(reader.blog()), stats()])
    const blog = known ?? UNKNOWN_BLOG
    const aside = sidebar({ stats: now, perDay: known?.perDay, slug, isDemo: blog.isDemo })
    reply.header('cache-control', 'no-store').type('text/html; charset=utf-8')
    return reply.send(layout({ assets, blog, title, main, aside }))
  }

  app.get(
    '/',
    { schema: { querystring: Type.Object({ page: Type.Integer({ minimum: 1, maximum: 10_000, default: 1 }) }) } },
    async ({ query }, reply) => {
      const latest = await orNothing(reader.latest(query.page))
      if (latest !== undefined) return send(reply, { main: home({ latest, page: query.page, date }) })
      const popular = await orNothing(app.popularPosts.get({ days: LIST.days }))
      return send(reply, { main: homeWithout(popular ?? [], date) })
    },
  )

  app.get(
    '/posts/:slug',
    { schema: { params: Type.Object({ slug: Type.String({ minLength: 1, maxLength: 200 }) }) } },
    async ({ params: { slug } }, reply) => {
      const [post, popular, blog] = await Promise.all([
        orNothing(reader.post(slug)),
        orNothing(app.popularPosts.get({ days: LIST.days, limit: PLACES })),
        orNothing(reader.blog()),
      ])
      if (post === undefined) {
        reply.code(503).header('retry-after', 5)
        return send(reply, { title: 'Not right now', main: unknownArticle() })
      }
      if (post === 'none') return send(reply.code(404), { title: 'No such post', main: noArticle() })
      const place = popular === undefined ? undefined : popular.findIndex((other) => other.slug === slug) + 1
      const main = article({ post, place, date, isDemo: blog?.isDemo === true })
      return send(reply, { title: post.title, main, slug })
    },
  )
}

export default pages
