import { hash } from 'node:crypto'

/** The strong entity tag of bytes, with its quotes. */
export function etagOf(bytes: Uint8Array): string {
  return `"${hash('sha256', bytes, 'base64url').slice(0, 27)}"`
}

/**
 * Whether a client has a representation already, so that the reply is 304: its `If-None-Match` has the entity tag, or is `*`.
 * Tags are compared weakly. No other header counts, in particular not the `Cache-Control: no-cache` that `fetch` of Node.js
 * adds to each conditional request (RFC 9110, 13.1.2).
 * @param ifNoneMatch the header of the request.
 * @param etag the strong tag of the representation, with its quotes.
 */
export function isNotModified(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  if (ifNoneMatch === etag || ifNoneMatch.trim() === '*') return true
  // A tag may contain commas, so the list is not split at them.
  for (const [tag] of ifNoneMatch.matchAll(/"[^"]*"/g)) if (tag === etag) return true
  return false
}
