import { html } from 'ghtml'
import { contours } from './contours.ts'
import { DAYS, type FullPost } from './reader.ts'
import { sparkline } from './sparkline.ts'

interface Article {
  post: FullPost
  /** Its place in the last 24 hours, from 1; 0: it is not among the first; `undefined`: nobody knows right now. */
  place: number | undefined
  date: (date: Date) => string
  /** Whether readers can be made up. */
  isDemo: boolean
}

/** How far down places are told. */
export const PLACES = 50

/** The page of a post. */
export function article({ post, place, date, isDemo }: Article): string {
  const { slug, title, excerpt, text, comments, perDay } = post
  return html`<article class="post">
    !${contours(slug)}
    <p class="kicker">${post.categories.join(', ')}</p>
    <h1>${title}</h1>
    <p class="meta">${post.author === null ? '' : `${post.author} · `}!${date(post.publishedAt)} · ${post.readingMinutes} min</p>
    <p class="lead">${excerpt}</p>
    !${text.map((paragraph) => html`<p>${paragraph}</p>`)}
    <section class="card place" aria-labelledby="place-title">
      <h2 id="place-title">Who reads this</h2>
      <p class="big" role="status" data-place="${place ?? 0}" data-slug="${slug}">${placeInWords(place)}</p>
      <figure>!${sparkline(perDay, 'Views a day')}<figcaption>Views a day, the last ${DAYS} days</figcaption></figure>
      <p>You are a reader, too: your view is counted once you see this page, and once in a quarter of an hour.</p>
      !${isDemo ? html`<p><button type="button" data-readers="${slug}">Send in 25 more readers</button> <span class="said" role="status"></span></p>` : ''}
    </section>
    !${comments.length === 0 ? '' : discussion(comments, date)}
  </article>`
}

function placeInWords(place: number | undefined): string {
  if (place === undefined) return 'Its place is not known right now'
  return place === 0 ? `Not among the first ${PLACES} of the last 24 hours` : `No. ${place} of the last 24 hours`
}

function discussion(comments: FullPost['comments'], date: (date: Date) => string): string {
  return html`<section class="comments" aria-labelledby="comments-title">
    <h2 id="comments-title">What readers say</h2>
    <ul role="list">!${comments.map(
      ({ author, body, createdAt }) => html`<li><p>${body}</p><p class="meta">${author} · !${date(createdAt)}</p></li>`,
    )}</ul>
  </section>`
}

/** There is no such post here. */
export function noArticle(): string {
  return html`<h1>No such post</h1><p>There is no post at this address. <a href="/">To the latest posts</a></p>`
}

/** Nobody knows right now. */
export function unknownArticle(): string {
  return html`<h1>Not right now</h1><p class="notice" role="status">The database does not answer, so this post cannot be shown. The list beside it
    still can: it is in the cache.</p>`
}
