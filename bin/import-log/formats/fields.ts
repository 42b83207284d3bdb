/** The inside of a quoted field: a quote in it is escaped by a backslash, as Apache and nginx do. */
export const QUOTED = String.raw`"([^"\\]*(?:\\.[^"\\]*)*)"`

/**
 * Parses `GET /x HTTP/1.1`. The target may contain spaces, which some clients send; without a version it is HTTP/0.9.
 * A single regular expression would take quadratic time on many spaces, and clients choose the text.
 * @returns empty texts, if the client sent something else.
 */
export function parseRequestLine(text: string): { method: string; target: string } {
  const methodEnd = text.indexOf(' ')
  const method = text.slice(0, Math.max(methodEnd, 0))
  const versionStart = text.lastIndexOf(' HTTP/')
  const hasVersion = versionStart >= methodEnd && /^\d(?:\.\d)?$/.test(text.slice(versionStart + 6))
  const target = text.slice(methodEnd + 1, hasVersion ? versionStart : undefined).trim()
  return /^[A-Za-z]+$/.test(method) && target !== '' ? { method, target } : { method: '', target: '' }
}

const ESCAPES = /((?:\\x[0-9A-Fa-f]{2})+)|\\(["\\bnrtvf])/g
const CONTROLS: Record<string, string> = { b: '\b', n: '\n', r: '\r', t: '\t', v: '\v', f: '\f' }

/** Reverts the escapes of Apache and nginx in a quoted field. Consecutive `\xhh` are UTF-8; other backslashes stay. */
export function unescapeField(field: string): string {
  if (!field.includes('\\')) return field
  return field.replace(ESCAPES, (_, bytes: string | undefined, escaped: string) =>
    bytes === undefined ? (CONTROLS[escaped] ?? escaped) : decodeHex(bytes.replaceAll('\\x', '')),
  )
}

/** Decodes hexadecimal digits as UTF-8. */
export function decodeHex(digits: string): string {
  return Buffer.from(digits, 'hex').toString('utf8')
}

/** Decodes `%hh`; a text with invalid escapes is returned unchanged. */
export function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The user agent of a field in which servers write `-` for none. */
export function agentOf(field: string): string {
  return field === '-' ? '' : field
}

/** The referer of a field in which servers write `-` for none. */
export function refererOf(field: string): string | undefined {
  return field === '-' ? undefined : field
}
