import { html } from 'ghtml'

/** The full address of a post on another site; `undefined`: its URL is a path, or neither http nor https. */
export function originalOf(url: string): string | undefined {
  return URL.canParse(url) && /^https?:$/.test(new URL(url).protocol) ? url : undefined
}

/** The path of the service's page of a post. */
function pageOf(slug: string): string {
  return `/posts/${encodeURIComponent(slug)}`
}

/**
 * A link to a post. A URL that is a path links to the service's page of the post, because the blog's host is unknown.
 * @param query the query string for addresses of the service.
 */
export function linkTo({ slug, url, title }: { slug: string; url: string; title: string }, query: string): string {
  return html`<a href="${originalOf(url) ?? pageOf(slug) + query}">${title}</a>`
}
