import { isNetwork } from '../lib/address.ts'
import { isRequestRule } from '../lib/request-rules.ts'

/** The default window and the longest one, in days, unless options set others. */
export const WINDOW = { byDefault: 30, longest: 365 }

/**
 * Formats of settings: `time-zone` is the name of an IANA time zone; `trusted-proxies` are addresses and networks, and
 * `request-rules` are rules for requests, with commas between them; `request-rule` is one of them; `schema` is the name of a
 * schema of PostgreSQL that may have tables of this package; `windows` are windows in days, with commas between them.
 */
export const formats = {
  'time-zone': isTimeZone,
  'trusted-proxies': areProxies,
  'request-rule': isRequestRule,
  schema: isSchema,
  windows: areWindows,
  'request-rules': (text: string) => text.split(',').every(isRequestRule),
}

/**
 * Whether PostgreSQL and JavaScript agree on a name: that of a place (`Europe/Berlin`), of `Etc/…`, or UTC. Other names
 * are refused. PostgreSQL reads them as abbreviations (`CET` has no summer time, `IST` is Israel's), as POSIX rules
 * (`+05:30` is west of Greenwich), or not at all.
 */
function isTimeZone(name: string): boolean {
  // At a cold start on AWS Lambda, loading Intl takes milliseconds.
  if (name === 'UTC') return true
  if (!/^(?:UTC$|[a-z_]+\/)/i.test(name) || /^(?:SystemV|posix|right)\//i.test(name)) return false
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    // That is how Intl says no.
    return false
  }
}

/**
 * A network of all addresses is refused: with it the service would believe any address that a client invents. A number of
 * hops is refused too, because Fastify cannot tell by it which address has connected.
 */
function areProxies(text: string): boolean {
  return text.split(',').every(isNetwork)
}

/** PostgreSQL cuts longer names off, and reserves `pg_`. */
function isSchema(name: string): boolean {
  return !/^$|^pg_|^information_schema$|\0/.test(name) && Buffer.byteLength(name) <= 63
}

/** Numbers up to the longest window, none twice, and the default window among them: the service cannot set another one. */
function areWindows(text: string): boolean {
  const windows = text.split(',').map((window) => window.trim())
  const areNumbers = windows.every((window) => /^(?:0|[1-9]\d{0,2})$/.test(window) && Number(window) <= WINDOW.longest)
  return areNumbers && new Set(windows).size === windows.length && windows.includes(String(WINDOW.byDefault))
}
