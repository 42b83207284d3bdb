const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const CLF =
  /^(\d\d)\/([A-Z][a-z]{2})\/(\d{4}):([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.(\d{1,9}))?(?: ([+-](?:0\d|1[0-4])[0-5]\d))?$/
const ISO =
  /^(\d{4})[-/](\d\d)[-/](\d\d)[T ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:[.,](\d{1,9}))? ?(Z|UTC|[+-](?:0\d|1[0-4]):?[0-5]\d)?$/
const NUMBER = /^\d{9,19}(?:\.\d+)?$/

/**
 * `17/May/2015:10:05:03 +0000` as milliseconds since the epoch, also with a fraction of a second and without a zone.
 * @returns `undefined` for a date that does not exist, or before 1970.
 */
export function parseClfTime(text: string): number | undefined {
  const match = CLF.exec(text)
  if (match === null) return undefined
  const [, day = '', month = '', year = '', hour, minute, second, fraction, zone] = match
  return timeOf([year, String(MONTHS.indexOf(month) + 1), day, hour, minute, second], fraction, zone)
}

/**
 * A time in any notation of logs, as milliseconds since the epoch: {@link parseClfTime}, ISO 8601, or a number of
 * seconds, milliseconds, microseconds or nanoseconds. Without a zone it is in the zone of the process (`TZ`).
 * @returns `undefined` for another notation, a date that does not exist, or before 1970.
 */
export function parseTime(text: string): number | undefined {
  if (NUMBER.test(text)) return parseUnixTime(Number(text))
  const match = ISO.exec(text)
  if (match === null) return parseClfTime(text.replace(/^\[(.*)\]$/, '$1'))
  const [, year = '', month = '', day = '', hour, minute, second, fraction, zone] = match
  return timeOf([year, month, day, hour, minute, second], fraction, zone)
}

/** The unit follows from the size: 1e11 seconds are in the year 5138, and 1e11 milliseconds in 1973. */
function parseUnixTime(time: number): number {
  const digits = Math.log10(time)
  const unit = digits < 11 ? 1e3 : digits < 14 ? 1 : digits < 17 ? 1e-3 : 1e-6
  return Math.floor(time * unit)
}

function timeOf(
  fields: readonly (string | undefined)[],
  fraction: string | undefined,
  zone: string | undefined,
): number | undefined {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = fields.map(Number)
  if (month < 1 || month > 12 || year < 1970 || day < 1 || (day > 28 && day > daysIn(month, year))) return undefined
  const ms = fraction === undefined ? 0 : Math.floor(Number(`0.${fraction}`) * 1000)
  if (zone === undefined) return new Date(year, month - 1, day, hour, minute, second, ms).getTime()
  return Date.UTC(year, month - 1, day, hour, minute, second, ms) - offsetOf(zone)
}

/** The offset of `Z`, `UTC`, `+0200` or `-03:30` in milliseconds. */
function offsetOf(zone: string): number {
  const [, sign, hours, minutes] = /^([+-])(\d\d):?(\d\d)$/.exec(zone) ?? [undefined, '+', '0', '0']
  const ms = (Number(hours) * 60 + Number(minutes)) * 60_000
  return sign === '+' ? ms : -ms
}

function daysIn(month: number, year: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate()
}

/** Remembers the last result: the lines of a second have the same time. */
export function rememberingLast(parse: (text: string) => number | undefined): (text: string) => number | undefined {
  let lastText = ''
  let lastTime: number | undefined
  return (text) => {
    if (text === lastText) return lastTime
    lastTime = parse(text)
    lastText = text
    return lastTime
  }
}
