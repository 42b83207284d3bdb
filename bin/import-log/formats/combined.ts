import { agentOf, parseRequestLine, QUOTED, refererOf, unescapeField } from './fields.ts'
import { isAddress, isPrivate, publicAddressIn, readerOf } from './readers.ts'
import type { LineReader, LoggedRequest } from './request.ts'
import { parseClfTime, parseTime, rememberingLast } from './times.ts'

const REQUEST = new RegExp(String.raw` ${QUOTED} (\d{3}) (?:\d+|-)(?= |$)`, 'sy')
/** The usual line: its request, status, referer and user agent at once. */
const USUAL = new RegExp(String.raw` ${QUOTED} (\d{3}) (?:\d+|-) ${QUOTED} ${QUOTED}(?= |$)`, 'sy')
/** Servers may add fields, such as the duration, before the referer. */
const AGENT = new RegExp(String.raw`((?: (?!")\S+){0,8}) ${QUOTED}(?: ${QUOTED})?(?= |$)`, 'sy')
const FIELD = new RegExp(String.raw` (?:(?:\w+=)?${QUOTED}|(\S+))`, 'sg')

/**
 * Creates a reader of Apache's and nginx's combined format, and of the common format (the same, without referer and
 * user agent), with any fields before and after.
 * @see https://httpd.apache.org/docs/2.4/logs.html#accesslog
 */
export function createCombinedReader(): LineReader {
  const timeOf = rememberingLast(parseClfTime)
  return (line) => {
    for (let open = line.indexOf(' ['); open !== -1; open = line.indexOf(' [', open + 1)) {
      const start = open + 2
      const isClf = line[start + 26] === ']'
      const end = isClf ? start + 26 : start + line.slice(start, start + 40).indexOf(']')
      const text = line.slice(start, end)
      const timeMs = isClf ? timeOf(text) : parseTime(text)
      if (timeMs !== undefined) return readAfterTime(line, open, end + 1, timeMs)
    }
    return undefined
  }
}

function readAfterTime(line: string, open: number, start: number, timeMs: number): LoggedRequest | undefined {
  const head = line.slice(0, open)
  const address = addressBefore(head)
  const fields = address === undefined ? undefined : fieldsAfter(line, start)
  if (address === undefined || fields === undefined) return undefined
  const { request, status, referer, userAgent, end } = fields
  const { method, target } = parseRequestLine(unescapeField(request))
  const reader = isPrivate(address) ? readerOf(address, fieldsFrom(line, end)) : address
  const host = hostBefore(head, address)
  return { address: reader, timeMs, method, target, status: Number(status), host, referer, userAgent }
}

function fieldsAfter(line: string, start: number) {
  USUAL.lastIndex = start
  const usual = USUAL.exec(line)
  if (usual !== null) {
    const [, request = '', status = '', from = '', agent = ''] = usual
    const [referer, userAgent] = [refererOf(unescapeField(from)), agentOf(unescapeField(agent))]
    return { request, status, referer, userAgent, end: USUAL.lastIndex }
  }
  REQUEST.lastIndex = start
  const match = REQUEST.exec(line)
  const headers = match === null ? undefined : headersAfter(line, REQUEST.lastIndex)
  const [, request = '', status = ''] = match ?? []
  return headers === undefined ? undefined : { request, status, ...headers }
}

/** The fields after the answer's size. A log in common format has no referer and no user agent. */
function headersAfter(line: string, start: number) {
  const common = { referer: undefined, userAgent: undefined, end: start }
  AGENT.lastIndex = start
  const match = AGENT.exec(line)
  if (match === null) return line.includes('"', start) ? undefined : common
  const [, between, from = '', agent] = match
  if (agent === undefined) {
    // A line that was cut after the referer is not one in common format.
    return publicAddressIn(from) === undefined ? undefined : common
  }
  // Other quoted fields follow the fields of the common format.
  if (between !== '' && !/^(?:-|)$|:\/\//.test(from)) return common
  return { referer: refererOf(unescapeField(from)), userAgent: agentOf(unescapeField(agent)), end: AGENT.lastIndex }
}

function* fieldsFrom(line: string, start: number): Generator<string, void> {
  for (const [, quoted, word] of line.slice(start).matchAll(FIELD)) yield String(quoted ?? word)
}

/**
 * The address in the words before the time: `address ident user`, and before them anything, such as a host with its
 * port, or the name of a container. The ident is practically always `-`; a user may be several words.
 * @returns the first address of a list; `undefined`: it cannot be told which word is the address.
 */
function addressBefore(head: string): string | undefined {
  const firstEnd = head.indexOf(' ')
  const isUsual = head.startsWith(' - ', firstEnd) && !head.includes(' ', firstEnd + 3)
  if (isUsual) return head.slice(0, firstEnd)
  const words = head.split(' ')
  const [first = '', second = '', third] = words
  if (words.length < 3) return undefined
  const addresses = words.flatMap((word, index) => {
    const isStart = isAddress(word) && words[index - 1]?.endsWith(',') !== true
    return isStart && index < words.length - 1 ? [index] : []
  })
  const found = addresses.filter((index) => words[listEnd(words, index)] === '-')
  if (found.length > 0) return found.length === 1 ? words.at(Number(found)) : undefined
  // An ident that is a name follows the last address.
  const last = addresses.at(-1)
  if (last !== undefined) return words[last]
  // Host names: the server resolved the address.
  const ident = words.indexOf('-', 1)
  if (ident === -1) return words.length === 3 ? first : undefined
  if (ident === 2 && words.length === 4) return second
  return ident === 1 && third !== undefined && !words.includes('-', 2) ? first : undefined
}

/** The first word before the address that looks like a host, such as Apache's `%v:%p`, or the only word. */
function hostBefore(head: string, address: string): string | undefined {
  if (head.startsWith(`${address} `)) return undefined
  const words = head.split(' ')
  const before = words.slice(0, words.indexOf(address))
  return before.length === 1 ? before[0] : before.find((word) => /[.:]/.test(word))
}

/** The index after the address, and after the addresses that follow with commas. */
function listEnd(words: readonly string[], start: number): number {
  let end = start
  while (words[end]?.endsWith(',') === true) end++
  return end + 1
}

const CLOSED = new RegExp(String.raw` ${QUOTED} \d{3} (?:\d+|-) ${QUOTED} ${QUOTED}$`, 's')

/** Whether the line ends with the quote that closes the user agent. */
export function endsWithAgent(line: string): boolean {
  return CLOSED.test(line)
}
