import { html } from 'ghtml'
import type { PopularPost } from '../../db/ranking.ts'
import { contours } from './contours.ts'
import { addressOf, kicker, linkTo } from './link.ts'
import { DAYS, type Latest } from './page-data.ts'
import { sparkline } from './sparkline.ts'

interface Home {
  latest: Latest
  page: number
  /** The slug of the category of all posts on the page. */
  category?: string | undefined
  /** The query string of links to other pages: `''` or `?days=7`. */
  query: string
  date: (date: Date) => string
}

type ShownPost = Latest['posts'][number]

/** The main part of the page with the latest posts, as HTML. */
export function home({ latest: { posts, pages }, page, category, query, date }: Home): string {
  if (posts.length === 0) {
    const where = page > 1 ? 'on this page' : category === undefined ? 'yet' : 'in this category'
    return html`<h1>The latest posts</h1><p class="empty">There is no post ${where}.</p>`
  }
  const name = posts.flatMap((post) => post.categories).find(({ slug }) => slug === category)?.name ?? category
  const all = category === undefined ? '' : ` in ${name}`
  return html`
    <h1 class="quiet">${page === 1 ? `The latest posts${all}` : `Older posts${all}, page ${page} of ${pages}`}</h1>
    <ol class="posts" role="list">!${posts.map((post) => entry(post, { query, date }))}</ol>
    !${pager({ page, pages, category, query })}`
}

/** The main part while the database does not answer: the last good list, from the cache. */
export function homeWithout(popular: readonly PopularPost[], shown: Pick<Home, 'query' | 'date'>): string {
  const none = new Array<number>(DAYS).fill(0)
  const posts = popular.slice(0, 10).map((post) => ({
    ...post,
    author: post.author?.name ?? null,
    publishedAt: new Date(post.publishedAt),
    perDay: none,
  }))
  return html`
    <p class="notice" role="status">The database does not answer. This is the last good list, from the cache.</p>
    <h1 class="quiet">The most popular posts</h1>
    <ol class="posts" role="list">!${posts.map((post) => entry(post, shown))}</ol>`
}

function entry(post: ShownPost, { query, date }: Pick<Home, 'query' | 'date'>): string {
  const { slug, title, excerpt, perDay } = post
  return html`<li><article class="entry">
    !${contours(slug)}
    <div>
      !${kicker(post.categories, query)}
      <h2>!${linkTo(post, query)}</h2>
      !${excerpt === '' ? '' : html`<p>${excerpt}</p>`}
      <div class="meta"><span>${post.author === null ? '' : `${post.author} · `}!${date(post.publishedAt)} · ${post.readingMinutes} min</span>
      !${perDay.some((views) => views > 0) ? sparkline(perDay, `Views a day of “${title}”`) : ''}</div>
    </div>
  </article></li>`
}

function pager({
  page,
  pages,
  category,
  query,
}: Pick<Home, 'page' | 'category' | 'query'> & { pages: number }): string {
  if (pages < 2) return ''
  const link = (to: number, text: string) =>
    to < 1 || to > pages ? '' : html`<a href="${addressOf({ page: to, category, query })}">${text}</a>`
  return html`<nav class="pager" aria-label="Pages">!${link(page - 1, '← Newer posts')}!${link(page + 1, 'Older posts →')}</nav>`
}
