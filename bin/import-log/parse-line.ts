import { isIP } from 'node:net'

/** One request, as a web server logged it. */
export interface LoggedRequest {
  /** The client, as logged: an address in any notation (see `networkOf`), or the host name that the server resolved. */
  address: string
  /** Milliseconds since the epoch. */
  timeMs: number
  /** Empty if the client sent no request line, for example a TLS handshake to a plain port. */
  method: string
  /** The request target as sent, not decoded; empty without a request line. */
  target: string
  status: number
  /** The page that the client came from; `undefined`: the log has no such field, or the client sent none. */
  referer: string | undefined
  /** Empty if the client sent none; `undefined` if the log has no such field (common format). */
  userAgent: string | undefined
}

const QUOTED = String.raw`"([^"\\]*(?:\\.[^"\\]*)*)"`
const LINE = new RegExp(
  String.raw`^(\S+) (\S+) \S.*? \[([^\]]{26})\] ${QUOTED} (\d{3}) (?:\d+|-)(?: ${QUOTED} ${QUOTED}( .*)?)?$`,
  's',
)
/**
 * Reads one line of an access log in Apache's and nginx's combined format, or in the common format (the same, without
 * referer and user agent). Fields after the user agent are ignored.
 * @see https://httpd.apache.org/docs/2.4/logs.html#accesslog
 * @returns `undefined` when the line is not of that format or its date does not exist.
 */
export function parseLine(line: string): LoggedRequest | undefined {
  const match = LINE.exec(line)
  if (match === null) return undefined
  const [, first = '', second = '', date = '', request = '', status, from, agent] = match
  const timeMs = parseTime(date)
  if (timeMs === undefined) return undefined
  const { method, target } = parseRequestLine(unescapeField(request))
  // Apache's `vhost_combined` begins with the host and the port of the site. A name of a user (RFC 1413) is no address.
  const address = isIP(second) !== 0 && !first.endsWith(',') ? second : first
  const userAgent = agent === undefined ? undefined : agent === '-' ? '' : unescapeField(agent)
  const referer = from === undefined || from === '-' ? undefined : unescapeField(from)
  return { address, timeMs, method, target, status: Number(status), referer, userAgent }
}

/**
 * Whether a line without a line end is complete: it ends with the quote that closes the user agent. A server that is
 * writing leaves an unfinished line at the end of the file.
 */
export function isClosedLine(line: string): boolean {
  const match = LINE.exec(line)
  return match !== null && match[7] !== undefined && match[8] === undefined
}

/**
 * Parses `GET /x HTTP/1.1`. The target may contain spaces, which some clients send; without a version it is HTTP/0.9.
 * A single regular expression would take quadratic time on many spaces, and clients choose the text.
 */
function parseRequestLine(text: string): { method: string; target: string } {
  const methodEnd = text.indexOf(' ')
  const method = text.slice(0, Math.max(methodEnd, 0))
  const versionStart = text.lastIndexOf(' HTTP/')
  const hasVersion = versionStart >= methodEnd && /^\d(?:\.\d)?$/.test(text.slice(versionStart + 6))
  const target = text.slice(methodEnd + 1, hasVersion ? versionStart : undefined).trim()
  return /^[A-Za-z]+$/.test(method) && target !== '' ? { method, target } : { method: '', target: '' }
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const TIME = /^(\d\d)\/([A-Z][a-z]{2})\/(\d{4}):([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60) ([+-])(0\d|1[0-4])([0-5]\d)$/

/**
 * `17/May/2015:10:05:03 +0000` as milliseconds since the epoch; `undefined` for a date that does not exist, or before
 * 1970.
 */
function parseTime(text: string): number | undefined {
  const match = TIME.exec(text)
  if (match === null) return undefined
  const [, dayText, monthName = '', yearText, hour, minute, second, sign, zoneHours, zoneMinutes] = match
  const [day, month, year] = [Number(dayText), MONTHS.indexOf(monthName), Number(yearText)]
  if (month === -1 || year < 1970 || day < 1 || (day > 28 && day > daysIn(month, year))) return undefined
  const localMs = Date.UTC(year, month, day, Number(hour), Number(minute), Number(second))
  const offsetMs = (Number(zoneHours) * 60 + Number(zoneMinutes)) * 60_000
  return sign === '+' ? localMs - offsetMs : localMs + offsetMs
}

function daysIn(month: number, year: number): number {
  return new Date(Date.UTC(year, month + 1, 0)).getUTCDate()
}

const ESCAPES = /((?:\\x[0-9A-Fa-f]{2})+)|\\(["\\bnrtvf])/g
const CONTROLS: Record<string, string> = { b: '\b', n: '\n', r: '\r', t: '\t', v: '\v', f: '\f' }

/** Reverts the escapes of Apache and nginx in a quoted field. Consecutive `\xhh` are UTF-8; other backslashes stay. */
function unescapeField(field: string): string {
  if (!field.includes('\\')) return field
  return field.replace(ESCAPES, (_, bytes: string | undefined, escaped: string) =>
    bytes === undefined
      ? (CONTROLS[escaped] ?? escaped)
      : Buffer.from(bytes.replaceAll('\\x', ''), 'hex').toString('utf8'),
  )
}
