import { html } from 'ghtml'
import type { PopularPost } from '../db/popular-posts.ts'
import { contours } from './contours.ts'
import { linkTo } from './link.ts'
import { notice } from './notice.ts'
import { DAYS, type Latest, POSTS_A_PAGE } from './reader.ts'
import { sparkline } from './sparkline.ts'

interface Home {
  latest: Latest
  page: number
  date: (date: Date) => string
}

type ShownPost = Latest['posts'][number]

/** The latest posts of the blog. */
export function home({ latest: { posts, total }, page, date }: Home): string {
  const pages = Math.ceil(total / POSTS_A_PAGE)
  if (posts.length === 0)
    return html`<h1>The latest posts</h1><p class="empty">There is no post ${page === 1 ? 'yet' : 'on this page'}.</p>`
  return html`
    <h1 class="quiet">${page === 1 ? 'The latest posts' : `Older posts, page ${page} of ${pages}`}</h1>
    <ol class="posts" role="list">!${posts.map((post) => entry(post, date))}</ol>
    !${pager(page, pages)}`
}

/** What is left when the database does not answer: the last good list, which the cache keeps. */
export function homeWithout(popular: readonly PopularPost[], date: (date: Date) => string): string {
  const none = new Array<number>(DAYS).fill(0)
  const posts = popular.map((post) => ({
    ...post,
    ...{ id: String(post.id), author: post.author?.name ?? null, publishedAt: new Date(post.publishedAt) },
    ...{ categories: post.categories.map(({ name }) => name), perDay: none },
  }))
  return html`
    !${notice('The database does not answer. This is the last good list, out of the cache.')}
    <h1 class="quiet">The most popular posts</h1>
    <ol class="posts" role="list">!${posts.map((post) => entry(post, date))}</ol>`
}

function entry(post: ShownPost, date: (date: Date) => string): string {
  const { slug, title, url, excerpt, perDay } = post
  return html`<li><article class="entry">
    !${contours(slug)}
    <div>
      <p class="kicker">${post.categories.join(', ')}</p>
      <h2>!${linkTo(url, title)}</h2>
      <p>${excerpt}</p>
      <div class="meta"><span>${post.author === null ? '' : `${post.author} · `}!${date(post.publishedAt)} · ${post.readingMinutes} min</span>
      !${perDay.some((views) => views > 0) ? sparkline(perDay, `Views a day of “${title}”`) : ''}</div>
    </div>
  </article></li>`
}

function pager(page: number, pages: number): string {
  if (pages < 2) return ''
  const link = (to: number, text: string) =>
    to < 1 || to > pages ? '' : html`<a href="${to === 1 ? '/' : `/?page=${to}`}">${text}</a>`
  return html`<nav class="pager" aria-label="Pages">!${link(page - 1, '← Newer posts')}!${link(page + 1, 'Older posts →')}</nav>`
}
