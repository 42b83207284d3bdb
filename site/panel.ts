import { html } from 'ghtml'
import { DAYS } from './reader.ts'
import { sparkline } from './sparkline.ts'
import type { SiteStats } from './stats.ts'

interface Sidebar {
  stats: SiteStats
  /** Views of the blog in each of the last days; `undefined`: the database does not answer. */
  perDay: number[] | undefined
  /** The slug of the post that the page is of. */
  slug?: string | undefined
  /** Whether visitors may empty the cache. */
  isDemo: boolean
}

/** The list that every page shows. */
export const LIST = { days: 1, limit: 5 }

/** What stands beside every page: what is read, and the cache at work. */
export function sidebar({ stats, perDay, slug, isDemo }: Sidebar): string {
  return html`
  <section class="card" aria-labelledby="popular-title">
    <h2 id="popular-title">Most read <small>in the last 24 hours</small></h2>
    !${
      slug === undefined
        ? html`<popular-posts days="${LIST.days}" limit="${LIST.limit}" label="Most read" views></popular-posts>`
        : html`<popular-posts days="${LIST.days}" limit="${LIST.limit}" label="Most read" views record="${slug}"></popular-posts>`
    }
  </section>
  <section class="card panel" aria-labelledby="panel-title" data-version="${stats.version}">
    <h2 id="panel-title">The cache at work</h2>
    <dl>
      !${number('hit-rate', 'Hit rate', stats.hitRate === undefined ? '–' : `${stats.hitRate} %`)}
      !${number('saved', 'Queries saved', stats.saved.toLocaleString('en'))}
      !${number('age', 'Age of the list', '–')}
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
