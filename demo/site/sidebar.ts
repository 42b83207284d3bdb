import { html } from 'ghtml'
import type { PopularPost } from '../../db/ranking.ts'
import { plural } from '../../lib/plural.ts'
import { linkTo } from './link.ts'
import { DAYS } from './page-data.ts'
import { sparkline } from './sparkline.ts'
import type { SiteStats } from './stats.ts'
import { type Days, describeWindow, windowSwitch } from './windows.ts'

interface Sidebar {
  /** The windows that pages show, the shortest first. */
  windows: readonly Days[]
  /** The window of the list. */
  days: Days
  /** The query string of links to other pages. */
  query: string
  /** The number of the page of latest posts. */
  page: number
  /** The slug of the category of the latest posts. */
  category?: string | undefined
  /** The posts of the list that have views, in the order of the list. */
  posts: readonly PopularPost[]
  /** The age of the list; `undefined`: no list is available. */
  ageSeconds: number | undefined
  stats: SiteStats
  /** Views of the blog in each of the last days; `undefined`: the database does not answer. */
  perDay: number[] | undefined
  /** The slug of the post on the page. */
  slug?: string | undefined
  /** Whether visitors may invalidate the cache. */
  isDemo: boolean
}

const LIMIT = 5

/** What stands beside the main part of a page: HTML. */
export interface Asides {
  /** The most read posts. On a phone they come first. */
  list: string
  /** Figures of the cache. On a phone they come last. */
  panel: string
}

/** The sidebar of every page. */
export function sidebar(of: Sidebar): Asides {
  return { list: mostRead(of), panel: panel(of) }
}

function mostRead({ windows, days, query, page, category, posts, slug }: Sidebar): string {
  return html`
  <section class="card" aria-labelledby="popular-title">
    <h2 id="popular-title">Most read <small>${describeWindow(days, 'in')}</small></h2>
    !${windowSwitch(windows, days, page, category)}
    <popular-posts days="${days}" limit="${LIMIT}" label="Most read" views link="/posts/{slug}${query}"
      text-empty="${emptyText(days)}"!${slug === undefined ? '' : html` record="${slug}"`}>!${list(posts.slice(0, LIMIT), days, query)}</popular-posts>
  </section>`
}

function panel({ days, ageSeconds, stats, perDay, isDemo }: Sidebar): string {
  const { loads, invalidations } = stats
  return html`
  <section class="card panel" aria-labelledby="panel-title" data-days="${days}" data-window="${describeWindow(days)}"
    data-loads="${loads}" data-invalidations="${invalidations}" data-age="${ageSeconds ?? ''}">
    <h2 id="panel-title">The cache at work</h2>
    <dl>
      !${number('hit-rate', 'Hit rate', stats.hitRate === undefined ? '–' : `${stats.hitRate} %`)}
      !${number('saved', 'Queries saved', stats.saved.toLocaleString('en'))}
      !${number('age', 'Age of the list', ageSeconds === undefined ? '–' : `${ageSeconds} s`)}
    </dl>
    <figure>
      <svg class="chart" viewBox="0 0 240 56" preserveAspectRatio="none" role="img" aria-label="Requests and queries in the last minute">
        <path class="requests" d="M0 55L240 55"/><path class="queries" d=""/>
      </svg>
      <figcaption>Last minute: <span class="key requests">requests <b data-requests></b></span> <span class="key queries">queries <b data-queries></b></span></figcaption>
    </figure>
    !${perDay === undefined ? '' : html`<figure>!${sparkline(perDay, 'Views a day of the whole blog')}<figcaption>Views a day, the last ${DAYS} days</figcaption></figure>`}
    <p class="state" role="status">${stats.trouble ?? ''}</p>
    !${isDemo ? actions() : ''}
  </section>`
}

/** The list for browsers without scripts, and until the script of the element runs. */
function list(posts: readonly PopularPost[], days: Days, query: string): string {
  if (posts.length === 0) return html`<ol></ol><p>${emptyText(days)}</p>`
  const rows = posts.map(
    (post) => html`<li><span>!${linkTo(post, query)}<small>${plural(post.views, 'view')}</small></span></li>`,
  )
  return html`<ol role="list" aria-label="Most read">!${rows}</ol>`
}

function emptyText(days: Days): string {
  return days === 0 ? 'No post has been read yet.' : `No post was read ${describeWindow(days, 'in')}.`
}

function number(name: string, label: string, value: string): string {
  return html`<div><dt>${label}</dt><dd data-number="${name}">${value}</dd></div>`
}

function actions(): string {
  return html`
    <p class="actions"><button type="button" data-action="requests">Send 100 requests</button>
      <button type="button" data-action="invalidate">Empty the cache</button></p>
    <p class="said" role="status"></p>
    <p class="small">Empty it, then send a hundred: one query. Here views are counted within a second, and the lists refreshed right
      after. A blog’s lists live for half an hour, or until somebody publishes.</p>`
}
