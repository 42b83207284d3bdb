import { agentOf, parseRequestLine } from './fields.ts'
import { isAddress, publicAddressIn } from './readers.ts'
import type { LineReader } from './request.ts'
import { parseTime, rememberingLast } from './times.ts'

/**
 * `[time] "request" status flags …`, sizes and durations, `"x-forwarded-for" "user agent" "request id" "authority"
 * "upstream"`. Envoy does not escape quotes.
 */
const LINE =
  /^\[(\d{4}-[\dT:.-]+Z)\] "([^"]*)" (\d{1,3}) .*? \d+ \d+ \d+ (?:\d+|-) "([^"]*)" "(.*?)" "[^"]*" "([^"]*)" "[^"]*"(?: .*)?$/

/**
 * Creates a reader of Envoy's default format, also of Istio's. The reader is in `x-forwarded-for`; a line without it is
 * refused.
 * @see https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage
 */
export function createEnvoyReader(): LineReader {
  const timeOf = rememberingLast(parseTime)
  return (line) => {
    const [match, time = '', request = '', status, forwarded = '', agent = '', host] = LINE.exec(line) ?? []
    const timeMs = timeOf(time)
    const [firstAddress = ''] = forwarded.split(',')
    if (match === undefined || timeMs === undefined || !isAddress(firstAddress)) return undefined
    const address = publicAddressIn(forwarded) ?? firstAddress
    const { method, target } = parseRequestLine(request)
    return {
      address,
      timeMs,
      method,
      target,
      status: Number(status),
      host,
      referer: undefined,
      userAgent: agentOf(agent),
    }
  }
}
