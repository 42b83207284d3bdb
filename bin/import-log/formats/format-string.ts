/** What a variable of a format string means for a request. */
export type Part =
  | 'address'
  | 'reader'
  | 'forwarded'
  | 'time'
  | 'request'
  | 'method'
  | 'target'
  | 'query'
  | 'status'
  | 'referer'
  | 'agent'
  | 'user'
  | 'host'
  | 'other'
  | Clock

/** The parts of a time that `strftime` writes. */
export type Clock = 'year' | 'month' | 'monthName' | 'day' | 'hour' | 'minute' | 'second' | 'zone'

/** A piece of a format string: text, or a variable. */
export type Piece = string | Variable

interface Variable {
  part: Part
  /** The regular expression of its values, where it is known. */
  pattern?: string
}

const HEADERS: Readonly<Record<string, Part>> = {
  referer: 'referer',
  'user-agent': 'agent',
  'x-forwarded-for': 'forwarded',
  'x-real-ip': 'forwarded',
  'cf-connecting-ip': 'reader',
  'true-client-ip': 'reader',
  'fastly-client-ip': 'reader',
  host: 'host',
}

/** @see https://nginx.org/en/docs/varindex.html */
const NGINX: Readonly<Record<string, Part | Variable>> = {
  remote_addr: 'address',
  proxy_protocol_addr: 'forwarded',
  proxy_add_x_forwarded_for: 'forwarded',
  remote_user: 'user',
  time_local: 'time',
  time_iso8601: 'time',
  msec: 'time',
  host: 'host',
  server_name: 'host',
  request: 'request',
  request_method: 'method',
  request_uri: 'target',
  uri: 'target',
  document_uri: 'target',
  is_args: { part: 'other', pattern: String.raw`\??` },
  args: 'query',
  query_string: 'query',
  status: 'status',
}

/** @see https://httpd.apache.org/docs/2.4/mod/mod_log_config.html#formats */
const APACHE: Readonly<Record<string, Part | Variable>> = {
  h: 'address',
  a: 'address',
  u: 'user',
  t: 'time',
  r: 'request',
  m: 'method',
  U: 'target',
  q: { part: 'query', pattern: String.raw`(?:\?[^\s"]*)?` },
  s: 'status',
  v: 'host',
  V: 'host',
}

const CLOCK: Readonly<Record<string, Piece>> = {
  Y: { part: 'year', pattern: String.raw`\d{4}` },
  m: { part: 'month', pattern: String.raw`\d\d` },
  b: { part: 'monthName', pattern: '[A-Z][a-z]{2}' },
  d: { part: 'day', pattern: String.raw`\d\d` },
  e: { part: 'day', pattern: String.raw`[ \d]\d` },
  H: { part: 'hour', pattern: String.raw`\d\d` },
  M: { part: 'minute', pattern: String.raw`\d\d` },
  S: { part: 'second', pattern: String.raw`\d\d` },
  z: { part: 'zone', pattern: String.raw`[+-]\d{4}` },
  s: { part: 'time', pattern: String.raw`\d+` },
}
const SHORT: Readonly<Record<string, string>> = { F: '%Y-%m-%d', T: '%H:%M:%S', R: '%H:%M' }

/** Splits a format string of nginx or Apache, or a directive `log_format` or `LogFormat`, into its pieces. */
export function piecesOf(source: string): Piece[] {
  const text = textOf(source)
  return isApache(text) ? apachePieces(text) : nginxPieces(text)
}

const VARIABLE = /\$(?:\{(\w+)\}|(\w+))/
const DIRECTIVE = /%[<>!\d,]*(?:\{([^}]*)\})?(%|\^[A-Za-z]{2}|[A-Za-z])/

/** Whether a text is a format string, not a name. */
export function isFormatString(text: string): boolean {
  return /[$%]/.test(text)
}

function isApache(text: string): boolean {
  return !VARIABLE.test(text)
}

/** The format string in a directive, or in the text itself. */
function textOf(source: string): string {
  const [, quoted] = /^\s*log_format\s+\S+\s+(?:escape=\w+\s+)?(['"][\s\S]*['"])\s*;?\s*$/.exec(source) ?? []
  if (quoted !== undefined)
    return Array.from(quoted.matchAll(/'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"/g), ([, a, b]) =>
      String(a ?? b).replace(/\\(['"])/g, '$1'),
    ).join('')
  const [, apache = source] = /^\s*(?:LogFormat|CustomLog\s+\S+)\s+"((?:[^"\\]|\\.)*)"/.exec(source) ?? []
  return apache.replaceAll('\\"', '"').replaceAll('\\t', '\t')
}

function nginxPieces(text: string): Piece[] {
  return split(text, new RegExp(VARIABLE, 'g'), ([, braced, plain]) => {
    const name = String(braced ?? plain)
    const header = name.startsWith('http_') ? HEADERS[name.slice('http_'.length).replaceAll('_', '-')] : undefined
    return [variable(header ?? NGINX[name])]
  })
}

function apachePieces(text: string): Piece[] {
  return split(text, new RegExp(DIRECTIVE, 'g'), ([, argument, letter = '']) => {
    if (letter === '%') return ['%']
    if (argument === undefined) return [variable(APACHE[letter])]
    if (letter === 'i') return [variable(HEADERS[argument.toLowerCase()])]
    return letter === 't' ? clockPieces(argument.replace(/^(?:begin|end):/, '')) : [{ part: 'other' }]
  })
}

function variable(meaning: Part | Variable = 'other'): Variable {
  return typeof meaning === 'string' ? { part: meaning } : meaning
}

/** @throws an error for the user, if the format of the time is unknown. */
function clockPieces(format: string): Piece[] {
  if (/^(?:sec|msec|usec)$/.test(format)) return [{ part: 'time' }]
  if (/^(?:msec|usec)_frac$/.test(format)) return [{ part: 'other' }]
  const full = format.replace(/%([FTR])/g, (_, letter: string) => String(SHORT[letter]))
  return split(full, /%(.)/g, ([, letter = '']) => {
    const piece = CLOCK[letter]
    if (piece === undefined) throw new Error(`--format: %${letter} in the time %{${format}}t is not known.`)
    return [piece]
  })
}

/** Splits a text at the matches of a pattern, which `read` translates. */
function split(text: string, pattern: RegExp, read: (match: RegExpExecArray) => Piece[]): Piece[] {
  const pieces: Piece[] = []
  let end = 0
  for (const match of text.matchAll(pattern)) {
    if (match.index > end) pieces.push(text.slice(end, match.index))
    pieces.push(...read(match))
    end = match.index + match[0].length
  }
  if (end < text.length) pieces.push(text.slice(end))
  return pieces
}
