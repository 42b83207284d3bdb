import type { IncomingHttpHeaders } from 'node:http'
import { truncate } from './client-text.ts'

/**
 * Creates a function that tells whether the page that sends a request has one of these origins, or that of the server itself.
 * Browsers name the page in `Origin`, or else in `Referer`; a request with neither is refused. Without origins, all pages may.
 */
export function createOriginCheck(origins: readonly string[]): (headers: IncomingHttpHeaders) => boolean {
  if (origins.length === 0) return () => true
  const allowed = new Set(origins.map((origin) => new URL(origin).origin))
  return ({ origin, referer, host }) => {
    const page = truncate(origin ?? referer ?? '')
    return URL.canParse(page) && (allowed.has(new URL(page).origin) || new URL(page).host === host)
  }
}
