/** The most characters of a header that are read. Browsers send up to 300; other clients may send 16 kB and more. */
export const MAX_HEADER_LENGTH = 512

/** Truncates a header. Regular expressions, digests and maps get no longer text. */
export function truncate(header: string): string {
  return header.length > MAX_HEADER_LENGTH ? header.slice(0, MAX_HEADER_LENGTH) : header
}

/** Copies a text for a cache. A substring would keep the whole string in memory. */
export function detachedCopy(text: string): string {
  return Buffer.from(text).toString()
}
