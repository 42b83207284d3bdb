import ipaddr from 'ipaddr.js'

/**
 * Formats of settings: `time-zone` is the name of an IANA time zone; `trusted-proxies` are addresses and networks with commas
 * between them.
 */
export const formats = { 'time-zone': isTimeZone, 'trusted-proxies': areProxies }

/**
 * Whether PostgreSQL and JavaScript agree on a name: that of a place (`Europe/Berlin`), of `Etc/…`, or UTC. Other names
 * are refused. PostgreSQL reads them as abbreviations (`CET` has no summer time, `IST` is Israel's), as POSIX rules
 * (`+05:30` is west of Greenwich), or not at all.
 */
function isTimeZone(name: string): boolean {
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
