import { agentOf, parseRequestLine, refererOf, unescapeField } from './fields.ts'
import { type Part, type Piece, piecesOf } from './format-string.ts'
import { isAddress, readerOf } from './readers.ts'
import type { LineReader } from './request.ts'
import { parseTime, rememberingLast } from './times.ts'

/**
 * Creates a reader for a format string in the language of nginx' `log_format` or Apache's `LogFormat`.
 * @throws an error for the user, if the string has no address, time, request or status.
 */
export function createCustomReader(source: string): LineReader {
  const pieces = piecesOf(source)
  const parts = pieces.flatMap((piece) => (typeof piece === 'string' ? [] : [piece.part]))
  requireParts(source, new Set(parts))
  const pattern = new RegExp(`^${pieces.map((piece, index) => patternOf(piece, pieces, index)).join('')}$`, 's')
  const decode = pieces[0]?.toString().trimStart().startsWith('{') === true ? unescapeJson : unescapeField
  const timeOf = rememberingLast(parseTime)
  return (line) => {
    const match = pattern.exec(line)
    if (match === null) return undefined
    const values = new Map<Part, string>()
    const forwarded: string[] = []
    for (const [index, part] of parts.entries()) {
      const value = decode(String(match[index + 1]))
      if (part === 'forwarded') forwarded.push(value)
      else if (part === 'host' && values.has('host')) continue
      else values.set(part, `${part === 'target' ? (values.get(part) ?? '') : ''}${value}`)
    }
    const value = (part: Part) => values.get(part) ?? ''
    const timeMs = timeOf(values.has('time') ? value('time') : clockOf(value))
    const status = Number(value('status'))
    const { method, target } = values.has('request') ? parseRequestLine(value('request')) : requestOf(value)
    const address = isAddress(value('reader')) ? value('reader') : (values.get('address') ?? String(forwarded[0]))
    if (timeMs === undefined) return undefined
    const userAgent = values.has('agent') ? agentOf(value('agent')) : undefined
    const referer = refererOf(value('referer') || '-')
    return {
      address: readerOf(address, forwarded),
      timeMs,
      method,
      target,
      status,
      host: values.get('host'),
      referer,
      userAgent,
    }
  }
}

function requireParts(source: string, parts: ReadonlySet<Part>): void {
  const isThere = (...names: Part[]) => names.some((name) => parts.has(name))
  const needed: [string, boolean][] = [
    ['address ($remote_addr, %h)', isThere('address', 'reader', 'forwarded')],
    ['time ($time_local, %t)', isThere('time') || (isThere('day') && isThere('hour'))],
    ['request ($request, %r)', isThere('request') || (isThere('method') && isThere('target'))],
    ['status ($status, %>s)', isThere('status')],
  ]
  const missing = needed.filter(([, isFound]) => !isFound).map(([name]) => name)
  if (missing.length > 0) throw new Error(`--format needs the ${missing.join(', the ')}, got: ${source}`)
}

/** The greatest length of a value in brackets or before another sign; a quoted one has none. */
const MAX_VALUE = 4096

/**
 * Values that may have spaces outside of quotes. Their lengths are bounded: clients choose them, and several values
 * without a bound would take quadratic time.
 */
const SPACED: Partial<Record<Part, string>> = {
  user: '.{0,128}?',
  forwarded: '.{0,256}?',
  reader: '.{0,256}?',
  request: '.*?',
}

function patternOf(piece: Piece, pieces: readonly Piece[], index: number): string {
  if (typeof piece === 'string') return escapePattern(piece)
  if (piece.pattern !== undefined) return `(${piece.pattern})`
  const [before, after] = [pieces[index - 1], pieces[index + 1]]
  const start = typeof before === 'string' ? before.at(-1) : before === undefined ? '' : undefined
  const next = typeof after === 'string' ? after.charAt(0) : after === undefined ? '' : undefined
  // `$host$request_uri`: the path begins with a slash.
  const slash = piece.part === 'target' && start === undefined ? '(?=/)' : ''
  return `(${slash}${valuePattern(piece.part, start, next)})`
}

/**
 * @param start the character before the value; `undefined`: it follows another variable.
 * @param next the character after it; empty at the end of the line; `undefined`: another variable follows.
 */
function valuePattern(part: Part, start: string | undefined, next: string | undefined): string {
  if (start === '"' && next === '"') return String.raw`[^"\\]*(?:\\.[^"\\]*)*`
  if (part === 'status') return String.raw`-?\d{1,3}`
  if (next === '') return '.*'
  if (next === undefined) return part === 'target' ? String.raw`[^\s"?]*` : String.raw`[^\s"]*?`
  if (next !== ' ') return `[^${escapePattern(next)}]{0,${MAX_VALUE}}`
  return SPACED[part] ?? (part === 'time' ? String.raw`\[[^\]]*\]|\S+(?: [+-]\d{4})?` : String.raw`\S*`)
}

function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
}

function requestOf(value: (part: Part) => string): { method: string; target: string } {
  const query = value('query').replace(/^[?-]/, '')
  return { method: value('method'), target: query === '' ? value('target') : `${value('target')}?${query}` }
}

/** The time that `strftime` wrote, as ISO 8601 or, with the name of a month, as in the common format. */
function clockOf(value: (part: Part) => string): string {
  const [day, clock] = [value('day').trim().padStart(2, '0'), ['hour', 'minute', 'second'] as const]
  const [hour, minute, second] = clock.map((part) => value(part).padStart(2, '0'))
  const [month, zone] = [value('monthName'), value('zone')]
  return month === ''
    ? `${value('year')}-${value('month')}-${day}T${hour}:${minute}:${second}${zone}`
    : `${day}/${month}/${value('year')}:${hour}:${minute}:${second} ${zone}`.trimEnd()
}

/** Reverts the escapes of nginx' `escape=json`. */
function unescapeJson(text: string): string {
  try {
    return String(JSON.parse(`"${text}"`))
  } catch {
    return unescapeField(text)
  }
}
