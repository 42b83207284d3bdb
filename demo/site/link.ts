import { html } from 'ghtml'

/** The full address of a post on another site; `undefined`: its URL is a path, or neither http nor https. */
export function originalOf(url: string): string | undefined {
  return URL.canParse(url) && /^https?:$/.test(new URL(url).protocol) ? url : undefined
}

/** The path of the service's page of a post. */
function pageOf(slug: string): string {
  return `/posts/${encodeURIComponent(slug)}`
}

/** Where a page of latest posts is. */
export interface PageAddress {
  /** From 1. */
  page?: number
  /** The slug of the category whose posts it shows. Default: all. */
  category?: string | undefined
  /** The query string that keeps the window of the reader: `''` or `?days=7`. */
  query: string
}

/** The address of a page of latest posts. */
export function addressOf({ page = 1, category, query }: PageAddress): string {
  const parameters = [
    ...(query === '' ? [] : [query.slice(1)]),
    ...(category === undefined ? [] : [`category=${encodeURIComponent(category)}`]),
    ...(page === 1 ? [] : [`page=${page}`]),
  ]
  return parameters.length === 0 ? '/' : `/?${parameters.join('&')}`
}

/** The categories of a post, each with a link to its posts; empty: it has none. */
export function kicker(categories: readonly { name: string; slug: string }[], query: string): string {
  if (categories.length === 0) return ''
  const links = categories.map(({ name, slug }) => html`<a href="${addressOf({ category: slug, query })}">${name}</a>`)
  return html`<p class="kicker">!${links.join(', ')}</p>`
}

/**
 * A link to a post. A URL that is a path links to the service's page of the post, because the blog's host is unknown.
 * @param query the query string for addresses of the service.
 */
export function linkTo({ slug, url, title }: { slug: string; url: string; title: string }, query: string): string {
  return html`<a href="${originalOf(url) ?? pageOf(slug) + query}">${title}</a>`
}
