import { inspect } from 'node:util'
import { Ajv } from 'ajv'
import ipaddr from 'ipaddr.js'

/** A property of a flat settings object, as JSON Schema. `expected` says in words what a value must be; integers have a range. */
interface PropertySchema {
  minimum?: number
  maximum?: number
  expected?: string
  /** A value that must not be shown, not even in an error. */
  isSecret?: boolean
}

/** The schema of a flat settings object. */
export interface SettingsSchema {
  type: 'object'
  properties: Record<string, PropertySchema>
}

/**
 * Makes a function that lists what is wrong with a settings object, a sentence each; none when all is well. It fills in
 * the defaults of what is not set. The format `time-zone` is the name of an IANA time zone; `trusted-proxies` are
 * addresses and networks with commas between them.
 */
export function createValidator(schema: SettingsSchema): (settings: object) => string[] {
  const check = new Ajv({ allErrors: true, strictSchema: false, useDefaults: true })
    .addFormat('time-zone', isTimeZone)
    .addFormat('trusted-proxies', areProxies)
    .compile(schema)
  return (settings) => {
    check(settings)
    const values = new Map(Object.entries(settings))
    const problems = (check.errors ?? []).map((error) => {
      const name = error.instancePath.split('/')[1] ?? String(error.params['additionalProperty'])
      const property = schema.properties[name]
      if (property === undefined)
        return `${name}: expected no such name; there are ${Object.keys(schema.properties).join(', ')}`
      return `${name}: expected ${inWords(property)}, got ${property.isSecret ? 'something else' : shown(values.get(name))}`
    })
    return [...new Set(problems)]
  }
}

function inWords({ minimum, maximum, expected }: PropertySchema): string {
  return expected ?? `an integer from ${minimum} to ${maximum}`
}

/** A value as it may stand in an error: short, on one line. */
export function shown(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : inspect(value, { depth: 1, breakLength: Infinity })
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}

/**
 * Whether PostgreSQL and JavaScript agree on a name. Bare offsets are refused: PostgreSQL reads `+05:30` the POSIX way,
 * as west of Greenwich.
 */
function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    // That is how Intl says no.
    return false
  }
}

/**
 * A network of all addresses is refused: whoever trusts everybody believes any address that a client makes up. So is a
 * number of hops, which Fastify takes for nobody, as it cannot tell who connects.
 */
function areProxies(text: string): boolean {
  return text.split(',').every((part) => {
    const proxy = part.trim()
    if (['loopback', 'linklocal', 'uniquelocal'].includes(proxy)) return true
    return ipaddr.isValidCIDR(proxy) ? !proxy.endsWith('/0') : isAddress(proxy)
  })
}

/** Not the short forms of IPv4 (`1`, `127.1`) that were meant as something else. */
function isAddress(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text)
}
