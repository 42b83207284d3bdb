/** A moment of an export: its day in the site's time zone, and the time, if the export has one. */
export interface Moment {
  /** `YYYY-MM-DD`. */
  day: string
  /** Milliseconds since the epoch; `undefined`: the export has the day only. */
  timeMs: number | undefined
}

/** Reads days and times of an export. */
export interface Calendar {
  /** @returns `undefined`: no day. */
  readDay(text: string, isUtc?: boolean): Moment | undefined
  /** @returns `undefined`: no time. */
  readTime(text: string, isUtc?: boolean): Moment | undefined
  /** The day of a time. */
  dayOf(timeMs: number): string
}

const DAY = /^(\d{4})([-/]?)(\d\d)\2(\d\d)$/
const TIME =
  /^(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d+)?)?\s*(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?(?: UTC)?)?$/i
const EPOCH_SECONDS = /^\d{9,10}(?:\.\d+)?$/
const EPOCH_MS = /^\d{12,13}$/
const MIDNIGHT = /^(.{10})[T ]00:00(?::00(?:\.0+)?)?$/

/** Time zones have offsets of multiples of 15 minutes. */
const QUARTER_MS = 15 * 60 * 1000
/** The number of quarters of an hour whose days are remembered. */
const MAX_REMEMBERED = 100_000

/**
 * @param timeZone the site's IANA time zone.
 * @param sourceZone that of times without an offset.
 */
export function createCalendar(timeZone: string, sourceZone: string): Calendar {
  const format = new Intl.DateTimeFormat('en-CA', { timeZone, dateStyle: 'short' })
  const dayOf = remember((timeMs) => format.format(timeMs))
  const sourceOffset = offsetsOf(sourceZone)

  function instantOf(localMs: number, offset: string | undefined, isUtc: boolean): number {
    if (offset !== undefined) return localMs - offsetMs(offset)
    if (isUtc) return localMs
    // Twice, for the hours around a change of the offset.
    return localMs - sourceOffset(localMs - sourceOffset(localMs))
  }

  function at(timeMs: number): Moment {
    return { day: dayOf(timeMs), timeMs }
  }

  function readTime(text: string, isUtc = false): Moment | undefined {
    if (EPOCH_SECONDS.test(text)) return at(Math.floor(Number(text) * 1000))
    if (EPOCH_MS.test(text)) return at(Number(text))
    const [, year, month, date, hour, minute, second = '00', offset] = TIME.exec(text) ?? []
    const localMs = Date.parse(`${year}-${month}-${date}T${hour}:${minute}:${second}Z`)
    if (Number.isNaN(localMs) || new Date(localMs).getUTCDate() !== Number(date)) return undefined
    return at(instantOf(localMs, offset, isUtc))
  }

  return {
    dayOf,
    readTime,
    readDay(text, isUtc) {
      const day = MIDNIGHT.exec(text)?.[1] ?? text
      const [, year, , month, date] = DAY.exec(day) ?? []
      if (year === undefined) return readTime(text, isUtc)
      const name = `${year}-${month}-${date}`
      const ms = Date.parse(name)
      return Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== name
        ? undefined
        : { day: name, timeMs: undefined }
    },
  }
}

/** The offsets of a time zone: local time minus UTC, in milliseconds. */
function offsetsOf(timeZone: string): (timeMs: number) => number {
  const format = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' })
  return remember((timeMs) => offsetMs(format.format(timeMs)))
}

/** Finds an offset such as `+02:00`, `-0330` or `+02` in a text; without one it is UTC. */
function offsetMs(name: string): number {
  const [, sign, hours = '0', minutes = '0'] = /([+-])(\d\d):?(\d\d)?/.exec(name) ?? []
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000
}

/** Remembers the results for quarters of an hour: `Intl` takes microseconds for each call. */
function remember<T>(compute: (timeMs: number) => T): (timeMs: number) => T {
  const known = new Map<number, T>()
  return (timeMs) => {
    const quarter = Math.floor(timeMs / QUARTER_MS)
    const found = known.get(quarter)
    if (found !== undefined) return found
    if (known.size >= MAX_REMEMBERED) known.clear()
    const value = compute(quarter * QUARTER_MS)
    known.set(quarter, value)
    return value
  }
}
