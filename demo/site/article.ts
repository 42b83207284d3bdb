import { html } from 'ghtml'
import { contours } from './contours.ts'
import { kicker, originalOf } from './link.ts'
import { DAYS, type FullPost } from './page-data.ts'
import { sparkline } from './sparkline.ts'
import { type Days, describeWindow } from './windows.ts'

interface Article {
  post: FullPost
  /** Its rank in the window, from 1; 0: below the first {@link PLACES}; `undefined`: no list is available. */
  place: number | undefined
  days: Days
  /** The query string of links to other pages. */
  query: string
  date: (date: Date) => string
  /** Whether visitors may simulate readers. */
  isDemo: boolean
}

/** The greatest rank that a page shows. */
export const PLACES = 50

/** The main part of the page of a post, as HTML. */
export function article({ post, place, days, query, date, isDemo }: Article): string {
  const { slug, title, excerpt, text, comments, perDay, isOwn } = post
  return html`<article class="post">
    !${contours(slug)}
    !${kicker(post.categories, query)}
    <h1>${title}</h1>
    <p class="meta">${post.author === null ? '' : `${post.author} · `}!${date(post.publishedAt)} · ${post.readingMinutes} min</p>
    !${excerpt === '' ? '' : html`<p class="lead">${excerpt}</p>`}
    !${isOwn ? '' : whereToRead(post.url)}
    !${text.map((paragraph) => html`<p>${paragraph}</p>`)}
    <section class="card place" aria-labelledby="place-title">
      <h2 id="place-title">Who reads this</h2>
      <p class="big" role="status" data-place="${place ?? 0}" data-slug="${slug}">${describePlace(place, days)}</p>
      <figure>!${sparkline(perDay, 'Views a day')}<figcaption>Views a day, the last ${DAYS} days</figcaption></figure>
      !${isOwn ? html`<p>You are a reader, too: your view is counted once you see this page, and once in a quarter of an hour.</p>` : ''}
      !${isDemo ? html`<p><button type="button" data-readers="${slug}">Send in 25 more readers</button> <span class="said" role="status"></span></p>` : ''}
    </section>
    !${comments.length === 0 ? '' : discussion(comments, date)}
  </article>`
}

/** The link shown instead of the text of a post that is on another site. */
function whereToRead(url: string): string {
  const original = originalOf(url)
  if (original !== undefined) return html`<p><a href="${original}">Read it on ${new URL(original).host}</a></p>`
  if (!url.startsWith('/')) return ''
  return html`<p>The post is at <code>${url}</code> on its blog. This service does not know the address of the blog.</p>`
}

function describePlace(place: number | undefined, days: Days): string {
  if (place === undefined) return 'Its rank is not available now'
  return place === 0 ? `Not among the first ${PLACES} ${describeWindow(days)}` : `No. ${place} ${describeWindow(days)}`
}

function discussion(comments: FullPost['comments'], date: (date: Date) => string): string {
  return html`<section class="comments" aria-labelledby="comments-title">
    <h2 id="comments-title">What readers say</h2>
    <ul role="list">!${comments.map(
      ({ author, body, createdAt }) => html`<li><p>${body}</p><p class="meta">${author} · !${date(createdAt)}</p></li>`,
    )}</ul>
  </section>`
}

/** The main part of the page for an unknown slug. */
export function noArticle(): string {
  return html`<h1>No such post</h1><p>There is no post at this address. <a href="/">To the latest posts</a></p>`
}

/** The main part of the page of a post that cannot be loaded. */
export function unknownArticle(): string {
  return html`<h1>Not right now</h1><p class="notice" role="status">The database does not answer, so this post cannot be shown. The list beside it
    still can: it is in the cache.</p>`
}
