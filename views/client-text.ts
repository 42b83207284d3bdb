/** How many characters of a header are looked at. Browsers send up to 300; a stranger sends what the server takes, 16 kB and more. */
export const MAX_HEADER_LENGTH = 512

/** The part of a header that is looked at: no regular expression, digest or map gets more. */
export function truncate(header: string): string {
  return header.length > MAX_HEADER_LENGTH ? header.slice(0, MAX_HEADER_LENGTH) : header
}

/** The same text in memory of its own, for what is remembered: a part of a string keeps the whole of it in memory. */
export function detachedCopy(text: string): string {
  return Buffer.from(text).toString()
}
