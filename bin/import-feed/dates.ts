const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']

/** Offsets of zone names in minutes. RFC 2822 (4.3) takes all other names as UTC. */
const ZONES: ReadonlyMap<string, number> = new Map([
  ['est', -300],
  ['edt', -240],
  ['cst', -360],
  ['cdt', -300],
  ['mst', -420],
  ['mdt', -360],
  ['pst', -480],
  ['pdt', -420],
  ['bst', 60],
  ['cet', 60],
  ['cest', 120],
  ['eet', 120],
  ['eest', 180],
  ['msk', 180],
  ['ist', 330],
  ['jst', 540],
  ['kst', 540],
  ['aest', 600],
  ['aedt', 660],
])

/** RFC 822 and 2822, with what generators write: no weekday, a full month, two digits of a year, no seconds, no zone. */
const MAIL =
  /^(?:[a-z]+\.?,?\s+)?(?<day>\d{1,2})[\s-]+(?<name>[a-z]{3})[a-z]*\.?[\s-]+(?<year>\d{4}|\d{2})(?:\s+(?<hour>\d{1,2}):(?<minute>\d{2})(?::(?<second>\d{2})(?:\.\d+)?)?)?\s*(?<zone>[+-]\d{1,2}:?\d{2}|[a-z]+)?(?:\s*\(.*\))?$/i

/** ISO 8601 and RFC 3339, from a year on. */
const ISO =
  /^(?<year>\d{4})(?:-(?<month>\d{2})(?:-(?<day>\d{2})(?:[T\s]+(?<hour>\d{1,2}):(?<minute>\d{2})(?::(?<second>\d{2})(?:[.,]\d+)?)?\s*(?<zone>[+-]\d{2}:?\d{2}|[+-]\d{2}|[a-z]+)?)?)?)?$/i

/** Older dates are placeholders: generators write the year 1 or the epoch for a post without a date. */
const OLDEST_MS = 1

/**
 * Reads a date of a feed. A date without a zone is UTC.
 * @returns `undefined`: there is no date, it is not valid, or it stands for no date (1970 or before).
 */
export function parseDate(text: string | undefined): Date | undefined {
  const trimmed = text?.trim().slice(0, 100) ?? ''
  const groups = (ISO.exec(trimmed) ?? MAIL.exec(trimmed))?.groups
  if (groups === undefined) return undefined
  const { name, year = '', month = '1', day = '1', hour = '0', minute = '0', second = '0', zone = 'Z' } = groups
  const monthIndex = name === undefined ? Number(month) - 1 : MONTHS.indexOf(name.toLowerCase())
  const [h, m, s] = [Number(hour), Number(minute), Math.min(59, Number(second))]
  if (monthIndex < 0 || monthIndex > 11 || h > 24 || m > 59) return undefined
  const midnight = new Date(Date.UTC(fullYear(year), monthIndex, Number(day)))
  // A day that its month does not have.
  if (midnight.getUTCDate() !== Number(day)) return undefined
  const date = new Date(midnight.getTime() + ((h * 60 + m - offsetOf(zone)) * 60 + s) * 1000)
  return date.getTime() < OLDEST_MS ? undefined : date
}

/** RFC 2822 (4.3): two digits from 50 on are of the last century. */
function fullYear(year: string): number {
  const number = Number(year)
  if (year.length === 4) return number
  return number + (number < 50 ? 2000 : 1900)
}

/** The offset of a zone in minutes. */
function offsetOf(zone: string): number {
  const [, sign, hours = '0', minutes = '0'] = /^([+-])(\d{1,2}):?(\d{2})?$/.exec(zone) ?? []
  if (sign === undefined) return ZONES.get(zone.toLowerCase()) ?? 0
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes))
}
