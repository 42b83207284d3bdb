import { html } from 'ghtml'
import type { PopularPost } from '../../db/ranking.ts'
import { contours } from './contours.ts'
import { linkTo } from './link.ts'
import { DAYS, type Latest, POSTS_A_PAGE } from './page-data.ts'
import { sparkline } from './sparkline.ts'

interface Home {
  latest: Latest
  page: number
  /** The query string of links to other pages: `''` or `?days=7`. */
  query: string
  date: (date: Date) => string
}

type ShownPost = Latest['posts'][number]

/** The main part of the page with the latest posts, as HTML. */
export function home({ latest: { posts, total }, page, query, date }: Home): string {
  const pages = Math.ceil(total / POSTS_A_PAGE)
  if (posts.length === 0)
    return html`<h1>The latest posts</h1><p class="empty">There is no post ${page === 1 ? 'yet' : 'on this page'}.</p>`
  return html`
    <h1 class="quiet">${page === 1 ? 'The latest posts' : `Older posts, page ${page} of ${pages}`}</h1>
    <ol class="posts" role="list">!${posts.map((post) => entry(post, { query, date }))}</ol>
    !${pager(page, pages, query)}`
}

/** The main part while the database does not answer: the last good list, from the cache. */
export function homeWithout(popular: readonly PopularPost[], shown: Pick<Home, 'query' | 'date'>): string {
  const none = new Array<number>(DAYS).fill(0)
  const posts = popular.slice(0, 10).map((post) => ({
    ...post,
    author: post.author?.name ?? null,
    publishedAt: new Date(post.publishedAt),
    categories: post.categories.map(({ name }) => name),
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
      !${post.categories.length === 0 ? '' : html`<p class="kicker">${post.categories.join(', ')}</p>`}
      <h2>!${linkTo(post, query)}</h2>
      !${excerpt === '' ? '' : html`<p>${excerpt}</p>`}
      <div class="meta"><span>${post.author === null ? '' : `${post.author} · `}!${date(post.publishedAt)} · ${post.readingMinutes} min</span>
      !${perDay.some((views) => views > 0) ? sparkline(perDay, `Views a day of “${title}”`) : ''}</div>
    </div>
  </article></li>`
}

function pager(page: number, pages: number, query: string): string {
  if (pages < 2) return ''
  const link = (to: number, text: string) =>
    to < 1 || to > pages ? '' : html`<a href="${addressOf(to, query)}">${text}</a>`
  return html`<nav class="pager" aria-label="Pages">!${link(page - 1, '← Newer posts')}!${link(page + 1, 'Older posts →')}</nav>`
}

function addressOf(page: number, query: string): string {
  if (page === 1) return `/${query}`
  return query === '' ? `/?page=${page}` : `/${query}&page=${page}`
}
