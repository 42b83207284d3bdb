import { decodePercent, refererOf } from './fields.ts'
import { readerOf } from './readers.ts'
import type { LineReader, LoggedRequest } from './request.ts'
import { parseTime, rememberingLast } from './times.ts'

const DIRECTIVE = /^#(Version|Fields|Software|Date|Start-Date|End-Date|Remark): ?(.*)$/

/**
 * Creates a reader of the W3C extended format, which IIS and CloudFront write: the directive `#Fields` names the fields
 * of the lines after it. Times are UTC.
 * @see https://www.w3.org/TR/WD-logfile.html
 */
export function createW3cReader(): LineReader {
  const timeOf = rememberingLast(parseTime)
  let names: string[] = []
  let day = ''
  return (line) => {
    const [, directive, value = ''] = DIRECTIVE.exec(line) ?? []
    if (directive === 'Fields') names = value.trim().split(/\s+/)
    if (directive === 'Date') day = value.slice(0, 10)
    if (directive !== undefined) return null
    if (names.length === 0) return undefined
    const tabbed = line.split('\t')
    const isTabbed = tabbed.length === names.length
    const values = isTabbed ? tabbed : spaced(line, names.length)
    if (values.length !== names.length) return undefined
    const fields = new Map(names.map((name, index) => [name.toLowerCase(), values[index]]))
    if (!fields.has('date')) fields.set('date', day)
    return requestOfW3c((name) => fields.get(name.toLowerCase()), isTabbed, timeOf)
  }
}

/**
 * The values of a line, which spaces separate: IIS decodes paths, so a value may contain a tab.
 * @param count the number of fields. A value in quotes may have spaces; a quote inside a value is a character.
 */
function spaced(line: string, count: number): string[] {
  const values = line.split(' ')
  return values.length === count
    ? values
    : Array.from(line.matchAll(/"((?:[^"]|"")*)"|[^ ]+/g), ([all, text]) => text ?? all)
}

/**
 * The request of named fields.
 * @param isCloudFront CloudFront encodes values as `%hh`; IIS writes spaces as `+`.
 */
export function requestOfW3c(
  field: (name: string) => string | undefined,
  isCloudFront: boolean,
  timeOf: (text: string) => number | undefined,
): LoggedRequest | undefined {
  const [address, method, path, status] = ['c-ip', 'cs-method', 'cs-uri-stem', 'sc-status'].map(field)
  const timeMs = timeOf(`${field('date')} ${field('time')}Z`)
  if (address === undefined || method === undefined || path === undefined || timeMs === undefined) return undefined
  if (status === undefined || !/^\d{3}$/.test(status)) return undefined
  const decode = isCloudFront ? decodePercent : (text: string) => text.replaceAll('+', ' ')
  const agent = field('cs(User-Agent)')
  const referer = field('cs(Referer)')
  const query = field('cs-uri-query') ?? '-'
  const target = isCloudFront ? decodePercent(path) : path
  return {
    address: readerOf(address, [field('x-forwarded-for') ?? '-']),
    timeMs,
    method,
    target: query === '-' ? target : `${target}?${query}`,
    status: Number(status),
    host: ['x-host-header', 'cs-host', 'cs(Host)'].map(field).find((host) => host !== undefined && host !== '-'),
    referer: referer === undefined ? undefined : refererOf(decode(referer)),
    userAgent: agent === undefined ? undefined : agent === '-' ? '' : decode(agent),
  }
}
