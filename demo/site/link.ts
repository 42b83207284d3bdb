import { html } from 'ghtml'

/** The whole address of a post on another site; `undefined` where its URL is a path, or none that a browser should open. */
export function originalOf(url: string): string | undefined {
  return URL.canParse(url) && /^https?:$/.test(new URL(url).protocol) ? url : undefined
}

/** The page that the service has for each post. */
function pageOf(slug: string): string {
  return `/posts/${encodeURIComponent(slug)}`
}

/**
 * A link to a post. Which site a path belongs to is not known: the service's own page of the post says more.
 * @param query is added to the address of a page of the service.
 */
export function linkTo({ slug, url, title }: { slug: string; url: string; title: string }, query: string): string {
  return html`<a href="${originalOf(url) ?? pageOf(slug) + query}">${title}</a>`
}
