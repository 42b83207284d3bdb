import { decodeHex, parseRequestLine } from './fields.ts'
import { isAddress, readerOf } from './readers.ts'
import type { LineReader } from './request.ts'
import { parseClfTime, rememberingLast } from './times.ts'

/**
 * `client:port [time] frontend backend/server`, five durations, the status, the size, two cookies, the state, the
 * connections, the queues, captured headers of the request and of the reply, the request line.
 */
const LINE =
  /^(\S+):\d+ \[(\d\d\/[A-Z][a-z]{2}\/[\d:.]+)\] \S+ \S+\/\S+ [-+\d/]+ (-1|\d{3}) \+?\d+ \S+ \S+ \S{4} [-+\d/]+ \d+\/\d+ (?:\{([^}]*)\} )?(?:\{[^}]*\} )?"([^"]*)"(?= |$)/

/**
 * Creates a reader of HAProxy's `option httplog` and `option httpslog`. A time has no zone: it is in the zone of the
 * process (`TZ`). The user agent is known if HAProxy captures it: `capture request header User-Agent len 200`.
 * @see https://docs.haproxy.org/3.0/configuration.html#8.2.3
 */
export function createHaproxyReader(): LineReader {
  const timeOf = rememberingLast(parseClfTime)
  return (line) => {
    const [match, address = '', time = '', status, captured, request = ''] = LINE.exec(line) ?? []
    const timeMs = timeOf(time)
    if (match === undefined || timeMs === undefined) return undefined
    const { method, target } = parseRequestLine(decodeHash(request))
    const { userAgent, host, referer, forwarded } = headersIn(captured)
    const reader = readerOf(address, forwarded)
    return { address: reader, timeMs, method, target, status: Number(status), host, referer, userAgent }
  }
}

const HOST = /^[\w-]+(?:\.[\w-]+)+\.?(?::\d+)?$|^localhost(?::\d+)?$/

/** Captured headers have no names: what is no host, no address and no URL is the user agent. */
function headersIn(captured: string | undefined) {
  const values = captured?.split('|').map(decodeHash) ?? []
  const isForwarded = (value: string) => value.split(',').every((part) => isAddress(part.trim()))
  const isUrl = (value: string) => /^[a-z-]+:\/\//.test(value)
  const found = values.find((value) => value !== '' && !HOST.test(value) && !isForwarded(value) && !isUrl(value))
  // A header that was not sent is empty.
  const userAgent = found ?? (values.includes('') ? '' : undefined)
  const host = values.find((value) => HOST.test(value) && !isForwarded(value))
  return { userAgent, host, referer: values.find(isUrl), forwarded: values.filter(isForwarded) }
}

/** HAProxy writes characters that separate fields as `#hh`. */
function decodeHash(text: string): string {
  return text.replace(/(?:#[\dA-F]{2})+/g, (bytes) => decodeHex(bytes.replaceAll('#', '')))
}
