import { html } from 'ghtml'

/** A link to a post's own address; only its text where the address is none that a browser should open. */
export function linkTo(url: string, text: string): string {
  return isSafe(url) ? html`<a href="${url}">${text}</a>` : html`${text}`
}

function isSafe(url: string): boolean {
  // Seen from any page: relative addresses are ours.
  return URL.canParse(url, 'https://page.invalid/') && /^https?:$/.test(new URL(url, 'https://page.invalid/').protocol)
}
